"""Classifiers of timm, by timm's names (extra `timm`).

timm describes where a network's features are (`feature_info`) and splits its forward pass at the final map
(`forward_features`, `forward_head`). Networks of maps (B, H, W, C) are permuted at insertion points; networks of tokens
are rejected.
"""

import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

from torch import Tensor, nn

from attnbench.backbones.adapters.base import LibraryBackbone
from attnbench.backbones.convolutions import Role
from attnbench.errors import NotInstalledError, OptionError, nearest


class TimmBackbone(LibraryBackbone):
    """A classifier of timm, such as `resnet50`, `efficientnet_b0`, `convnext_atto`, or `resnet50.a1_in1k`."""

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
        size = {"img_size": self.image_size} if self._has_fixed_size() else {}
        net: nn.Module = timm.create_model(
            self.name, pretrained=False, num_classes=self.num_classes, in_chans=self.in_channels, **size
        )
        if not hasattr(net, "forward_head") or not hasattr(net, "feature_info"):
            kind = type(net).__name__
            raise OptionError("name", self.name, f"cannot be a backbone: {kind} does not separate features from head")
        self.channels_last = getattr(net, "output_fmt", None) == "NHWC"
        return net

    def _has_fixed_size(self) -> bool:
        """Return whether the network is built for images of one size."""
        return bool(_pretrained_config(self.name).fixed_input_size)

    @property
    def probe_size(self) -> int:
        own = self._has_fixed_size() and self.image_size
        return int(own or _pretrained_config(self.name).input_size[-1])

    def trunk_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return cast(Any, net).forward_features(x)

    def head_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return cast(Any, net).forward_head(x)

    def stage_ends(self, net: nn.Module) -> list[str]:
        info: Any = net.feature_info
        entries = info if isinstance(info, list) else info.info
        return [entry["module"] for entry in entries if entry.get("module")]

    def block_classes(self) -> Mapping[type[nn.Module], Any]:
        from timm.models import _efficientnet_blocks, convnext, regnet, resnet

        classes = (
            resnet.BasicBlock,
            resnet.Bottleneck,
            regnet.Bottleneck,
            convnext.ConvNeXtBlock,
            _efficientnet_blocks.DepthwiseSeparableConv,
            _efficientnet_blocks.InvertedResidual,
            _efficientnet_blocks.EdgeResidual,
        )
        later = (getattr(_efficientnet_blocks, name, None) for name in ("UniversalInvertedResidual", "MobileAttention"))
        return dict.fromkeys([*classes, *filter(None, later)])  # MobileNetV4's came after timm 1.0

    def residual_of(self, block: nn.Module) -> nn.Module | None:
        from timm.models.regnet import Bottleneck

        any_block: Any = block  # each class of blocks has its own attributes
        regnet = isinstance(block, Bottleneck)
        no_shortcut = any_block.downsample is None if regnet else not getattr(any_block, "has_skip", True)
        if no_shortcut:
            return None
        if any_block.drop_path is None:
            any_block.drop_path = nn.Identity()  # the last call before a block's sum
        drop_path: nn.Module = any_block.drop_path
        return drop_path

    def roles_of(self, block: nn.Module) -> Mapping[Role, str]:
        from timm.models import _efficientnet_blocks, resnet

        if isinstance(block, resnet.BasicBlock | resnet.Bottleneck):
            return {"spatial": "conv2"}
        if not self.name.startswith("mobilenetv2"):  # EfficientNet's and MobileNetV3's have SE in them
            return {}
        if isinstance(block, _efficientnet_blocks.InvertedResidual):
            return {"spatial": "conv_dw", "projection": "conv_pwl"}
        return {"spatial": "conv_dw"} if isinstance(block, _efficientnet_blocks.DepthwiseSeparableConv) else {}

    def default_weights(self) -> str:
        config = _pretrained_config(self.name)
        return f"{config.architecture}.{config.tag}"

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs every attempt
        net = _timm().create_model(self.name, pretrained=True, in_chans=self.in_channels)
        state: Mapping[str, Tensor] = net.state_dict()
        return state


def _pretrained_config(name: str) -> Any:
    """Return timm's description of the weights that it has for a network: tag, image size."""
    config = _timm().get_pretrained_cfg(name)
    return config if config is not None else _timm().models.PretrainedCfg(architecture=name)


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise NotInstalledError(
            "this backbone is timm's, which is not installed: pip install 'attnbench[timm]'"
        ) from error
    return timm
