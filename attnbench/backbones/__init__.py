"""Backbones, one family a file; networks of torchvision and timm in `adapters`."""
