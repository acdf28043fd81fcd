"""Tuning methods alike: every attention gets the same search space, budget and seeds, and its winner is tested."""
