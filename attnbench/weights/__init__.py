"""Weights for backbones: reading files, translating released names, checking the fit, loading."""
