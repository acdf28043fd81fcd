"""Backbones: one family per file, each presenting points, features and a classifier (see `base`)."""
