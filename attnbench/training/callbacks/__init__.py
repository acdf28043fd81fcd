"""What happens beside training steps: metrics, checkpoints, progress, energy."""
