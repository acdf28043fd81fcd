"""Data sets (`sets`), what they share (`bases`), files (`sources`), pixels (`transforms`) and batches (`loaders`)."""
