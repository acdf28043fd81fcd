"""What data sets share: one base a kind of storage."""
