"""Pretrained and released weights: finding, checking and loading them."""
