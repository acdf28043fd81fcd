"""Trained classifiers as files that other programs run, and predictions for any image file."""
