"""Object detection: the task `detection`, with torchvision's detectors on attnbench's backbones."""
