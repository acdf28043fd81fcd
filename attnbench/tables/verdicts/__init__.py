"""Statistics of results over seeds, and the verdicts on claims."""
