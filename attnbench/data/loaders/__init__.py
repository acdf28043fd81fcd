"""Batches on the training device, from memory or streamed from files."""
