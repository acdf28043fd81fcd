"""The classifier that is trained: a backbone with an attention attached."""

from torch import Tensor, nn

from attnbench.attention.base import Attention, Output
from attnbench.backbones.base import Backbone, Slot


class Classifier(nn.Module):
    """Backbone and attention as one network.

    Calling it gives logits (B, L); `output` gives all that losses and maps are computed from.
    """

    def __init__(self, backbone: Backbone, attention: Attention) -> None:
        super().__init__()
        attention.attach(backbone)
        self.backbone = backbone
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, L) of images (B, C, H, W)."""
        return self.output(x).logits

    def output(self, x: Tensor) -> Output:
        """Logits, features and extras of images (B, C, H, W)."""
        features = self.backbone.features(x)
        wanted = self.backbone.has_classifier and self.attention.needs_logits
        logits = self.backbone.classify(features) if wanted else None
        return self.attention.classify(features, logits)

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Terms of the training loss; `target` is (B,) class indices or (B, L) probabilities."""
        return self.attention.losses(output, target)

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Attention maps (B, K, H, W) by name."""
        return self.attention.maps(output)

    @property
    def inserted_paths(self) -> list[str]:
        """Paths of the modules that the attention inserted into the backbone."""
        return [
            f"backbone.{path}.{name}"
            for path, slot in self.backbone.named_modules()
            if isinstance(slot, Slot) and path in self.backbone.slot_paths
            for name in slot
        ]

    @property
    def head_paths(self) -> list[str]:
        """Paths of the backbone's modules that make logits of the final map."""
        return [f"backbone.{path}" for path in self.backbone.head_paths]

    def backbone_modules(self) -> list[nn.Module]:
        """The backbone's own modules: all but those of its classifier and of what the attention inserted."""
        others = {
            id(module)
            for path in [*self.inserted_paths, *self.head_paths]
            for module in self.get_submodule(path).modules()
        }
        return [module for module in self.backbone.modules() if id(module) not in others]

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters of the backbone's own modules."""
        return [p for module in self.backbone_modules() for p in module.parameters(recurse=False)]
