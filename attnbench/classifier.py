"""The networks that are trained: a backbone with an attention attached, and what makes predictions of its features."""

from typing import ClassVar

from torch import Tensor, nn

from attnbench.attention.base import Attention, Output
from attnbench.backbones.base import Backbone, Slot


class Network(nn.Module):
    """Base of all networks that are trained.

    Attributes:
        backbone: Into which the attention has inserted its modules.
        attention: What was attached.
        backbone_path: Path of the backbone among the network's modules.
    """

    backbone: Backbone
    attention: Attention
    backbone_path: ClassVar[str] = "backbone"

    def output(self, x: Tensor) -> Output:
        """Return predictions, features and extras of images (B, C, H, W); every network defines it."""
        raise NotImplementedError

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return attention maps (B, K, H, W) by name."""
        return self.attention.maps(output)

    @property
    def inserted_paths(self) -> list[str]:
        """Paths of the modules that the attention inserted into the backbone, or put in the place of its layers."""
        inserted = [
            f"{self.backbone_path}.{path}.{name}"
            for path, slot in self.backbone.named_modules()
            if isinstance(slot, Slot) and path in self.backbone.slot_paths
            for name in slot
        ]
        return [*inserted, *(f"{self.backbone_path}.{path}" for path in self.backbone.replaced_paths)]

    @property
    def head_paths(self) -> list[str]:
        """Paths of the modules that compute predictions from the backbone's maps."""
        return [f"{self.backbone_path}.{path}" for path in self.backbone.head_paths]

    def backbone_modules(self) -> list[nn.Module]:
        """Return the backbone's modules except its classifier's and those that the attention inserted."""
        excluded = {
            id(module)
            for path in [*self.inserted_paths, *self.head_paths]
            for module in self.get_submodule(path).modules()
        }
        return [module for module in self.backbone.modules() if id(module) not in excluded]

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of `backbone_modules`."""
        return [p for module in self.backbone_modules() for p in module.parameters(recurse=False)]


class Classifier(Network):
    """Backbone and attention as one network, for training and evaluation.

    Calling it returns logits (B, L); `output` returns everything that losses and maps are computed from:

        net = Classifier(ResNet(20, num_classes=10), BAM(reduction=4))
        output = net.output(images)                          # images (B, 3, 32, 32)
        loss = sum(net.losses(output, target).values())      # target (B,)

    Args:
        backbone: The plain network; the attention inserts its modules into it.
        attention: Attached here, once.

    Raises:
        OptionError: An option of the attention does not fit the backbone.
        NotImplementedError: The backbone lacks the points or blocks that the attention needs.
    """

    def __init__(self, backbone: Backbone, attention: Attention) -> None:
        super().__init__()
        attention.attach(backbone)
        self.backbone = backbone
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, L) of images (B, C, H, W)."""
        return self.output(x).logits

    def output(self, x: Tensor) -> Output:
        """Return logits, features and extras of images (B, C, H, W)."""
        features = self.backbone.features(x)
        needed = self.backbone.has_classifier and self.attention.needs_logits
        logits = self.backbone.classify(features) if needed else None
        return self.attention.classify(features, logits)

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return the terms of the training loss; `target` is (B,) class indices or (B, L) probabilities."""
        return self.attention.losses(output, target)
