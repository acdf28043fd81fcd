"""Attention variants: one paper per file, each an `Attention` (see `base`)."""
