"""Training: one LightningModule for every network, recipes, callbacks, and the way from configuration to record."""
