"""Networks of torchvision and timm as backbones: their stages are found, and insertion points placed in them."""
