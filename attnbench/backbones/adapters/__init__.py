"""Networks of torchvision and timm as backbones: their stages are found, and slots put into them."""
