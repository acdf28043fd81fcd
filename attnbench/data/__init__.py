"""Data sets (`sets`), their base classes (`bases`), files (`sources`), pixels (`transforms`), batches (`loaders`)."""
