"""Data sets, one family per file, and the pipelines that feed them to training."""
