"""Hydra finds attnbench's launcher here."""
