"""Decoding, cropping, flipping and label noise."""
