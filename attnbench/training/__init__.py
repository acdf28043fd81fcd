"""Training: one LightningModule for all variants, recipes, callbacks, and the job from configuration to record."""
