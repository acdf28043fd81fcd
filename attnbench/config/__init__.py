"""Configurations: composed from YAML files and overrides, then checked. Nothing here imports torch."""
