"""Where Hydra looks for attnbench's launcher."""
