"""Classifiers of timm, by timm's names (extra `timm`).

timm tells where a network's features are (`feature_info`) and splits its forward pass at the final map
(`forward_features`, `forward_head`). Networks of maps (B, H, W, C) are permuted where attention looks; networks of
tokens are refused.
"""

import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

from torch import Tensor, nn

from attnbench.backbones.adapters.base import LibraryBackbone
from attnbench.errors import NotInstalledError, OptionError, nearest


class TimmBackbone(LibraryBackbone):
    """A classifier of timm's, such as `resnet50`, `efficientnet_b0`, `convnext_atto`, or `resnet50.a1_in1k`."""

    library = "timm"

    def build(self) -> nn.Module:
        timm = _timm()
        if not timm.is_model(self.name):
            names = timm.list_models()
            raise OptionError("name", self.name, f"timm has no such classifier{nearest(self.name, names)}")
        architecture, _, tag = self.name.partition(".")
        if tag and self.name not in timm.list_pretrained(f"{architecture}.*"):
            tags = ", ".join(timm.list_pretrained(f"{architecture}.*"))
            raise OptionError("name", self.name, f"timm has no such weights for {architecture} (there are: {tags})")
        size = {"img_size": self.image_size} if self._of_one_size() else {}
        net: nn.Module = timm.create_model(
            self.name, pretrained=False, num_classes=self.num_classes, in_chans=self.in_channels, **size
        )
        if not hasattr(net, "forward_head") or not hasattr(net, "feature_info"):
            kind = type(net).__name__
            raise OptionError("name", self.name, f"cannot be a backbone: {kind} does not tell features from head")
        self.channels_last = getattr(net, "output_fmt", None) == "NHWC"
        return net

    def _of_one_size(self) -> bool:
        """Whether the network is built for images of one size."""
        return bool(_published(self.name).fixed_input_size)

    @property
    def survey_side(self) -> int:
        own = self._of_one_size() and self.image_size
        return int(own or _published(self.name).input_size[-1])

    def trunk_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return cast(Any, net).forward_features(x)

    def head_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return cast(Any, net).forward_head(x)

    def steps(self, net: nn.Module) -> list[str]:
        info: Any = net.feature_info
        entries = info if isinstance(info, list) else info.info
        return [entry["module"] for entry in entries if entry.get("module")]

    def kinds_of_blocks(self) -> Mapping[type[nn.Module], Any]:
        from timm.models import _efficientnet_blocks, convnext, regnet, resnet

        kinds = (
            resnet.BasicBlock,
            resnet.Bottleneck,
            regnet.Bottleneck,
            convnext.ConvNeXtBlock,
            _efficientnet_blocks.DepthwiseSeparableConv,
            _efficientnet_blocks.InvertedResidual,
            _efficientnet_blocks.EdgeResidual,
        )
        return dict.fromkeys(kinds)

    def residual_of(self, block: nn.Module) -> nn.Module | None:
        from timm.models.regnet import Bottleneck

        found: Any = block
        without = found.downsample is None if isinstance(block, Bottleneck) else not getattr(found, "has_skip", True)
        if without:
            return None
        if found.drop_path is None:
            found.drop_path = nn.Identity()  # what a block calls last before its sum
        drop_path: nn.Module = found.drop_path
        return drop_path

    def default_weights(self) -> str:
        found = _published(self.name)
        return f"{found.architecture}.{found.tag}"

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every try; we tell of the last
        net = _timm().create_model(self.name, pretrained=True, in_chans=self.in_channels)
        state: Mapping[str, Tensor] = net.state_dict()
        return state


def _published(name: str) -> Any:
    """What timm tells of the weights that it has for a network: tag, image size."""
    found = _timm().get_pretrained_cfg(name)
    return found if found is not None else _timm().models.PretrainedCfg(architecture=name)


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise NotInstalledError(
            "this backbone is timm's, which is not installed: pip install 'attnbench[timm]'"
        ) from error
    return timm
