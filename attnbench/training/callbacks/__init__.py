"""Callbacks beside the training steps: metrics, checkpoints, progress, energy."""
