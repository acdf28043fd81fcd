"""Every attention with its options, narrow networks of every family, and the pairs of them that tests build."""

import itertools
from collections.abc import Iterator
from functools import cache

import yaml

from attnbench.attention.per_block import PerBlockAttention
from attnbench.build import build_backbone, build_model
from attnbench.classifier import Classifier
from attnbench.config import search_path as folders
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.construct import locate
from tests.attention.toys import TOYS

NARROW = {
    "resnet basic": ("backbone=resnet20", "backbone.depth=14", "backbone.width=8"),
    "resnet bottleneck": ("backbone=resnet50", "backbone.width=4"),
    "preact basic": ("backbone=preact_resnet20", "backbone.depth=14", "backbone.width=8"),
    "preact bottleneck": ("backbone=preact_resnet20", "backbone.block=bottleneck", "backbone.width=4"),
    "wrn": ("backbone=wrn10_1", "backbone.stem_width=8"),
    "cluttered mnist cnn": ("backbone=cluttered_mnist_cnn", "backbone.width=8", "backbone.hidden=16"),
    "resnext": ("backbone=resnext11_2x2d", "backbone.width=4"),
    "densenet": ("backbone=densenet_bc16_4",),
    "mobilenet": ("backbone=mobilenet_v1", "backbone.alpha=0.125"),
    "squeezenet": ("backbone=squeezenet1_1", "backbone.width=8"),
    "vgg": ("backbone=vgg16", "backbone.depth=11", "backbone.width=8"),
    "inception": ("backbone=inception_resnet", "backbone.blocks=[1,1,1]", "backbone.width=4"),
}
KINDS = {
    "sums before the ReLU": ("resnet basic", "resnet bottleneck", "resnext", "inception"),
    "pre-activation": ("preact basic", "preact bottleneck", "wrn"),
    "concatenates": ("densenet",),
    "no sums": ("mobilenet", "squeezenet", "vgg"),
    "one image size": ("cluttered mnist cnn",),
}
"""Backbones that differ in what attention meets there."""

CONFIGS = {
    choice: yaml.safe_load(path.read_text(encoding="utf-8"))
    for choice, path in folders.choices("attention", folders.search_path()).items()
}
SHIPPED = {choice: (f"attention={choice}",) for choice in CONFIGS}
VARIANTS = {
    "bam official": ("attention=bam", "attention.variant=official"),
    "bam block": ("attention=bam", "attention.placement=block"),
    "bam product": ("attention=bam", "attention.combine=product"),
    "bam max": ("attention=bam", "attention.combine=max"),
    "bam channel": ("attention=bam", "attention.branch=channel"),
    "bam spatial": ("attention=bam", "attention.branch=spatial"),
    "bam tanh": ("attention=bam", "attention.gate=tanh"),
    "gated official": ("attention=gated", "attention.variant=official"),
    "gated own": ("attention=gated", "attention.tap=own", "attention.mask=sigmoid", "attention.global_gates=sigmoid"),
    "gated heads": ("attention=gated", "attention.head_gates=false", "attention.net_output=half"),
    "gated alone": ("attention=gated", "attention.net_output=none", "attention.combine=logits"),
    "gated plain": ("attention=gated", "attention.global_gates=none", "attention.form=direct"),
    "gated stopped": (
        "attention=gated",
        "attention.stop_gradients=true",
        "attention.deepest=before_last",
        "attention.depth=2",
    ),
    "ggam official": ("attention=ggam", "attention.variant=official"),
    "ggam channel": ("attention=ggam", "attention.spatial=false"),
    "ggam spatial": ("attention=ggam", "attention.channel=false", "attention.lambda=0"),
    "ggam softmax": ("attention=ggam", "attention.spatial_norm=softmax"),
    "ggam literal": ("attention=ggam", "attention.divergence=literal"),
    "ggam linear": ("attention=ggam", "attention.head=linear", "attention.pooling=avg"),
    "ggam second order": ("attention=ggam", "attention.second_order=true"),
    "residual naive": ("attention=residual", "attention.learning=naive"),
    "residual channel": ("attention=residual", "attention.activation=channel"),
    "residual spatial": ("attention=residual", "attention.activation=spatial"),
    "residual local": ("attention=residual", "attention.mask=local"),
    "gather_excite gather": ("attention=gather_excite", "attention.parameters=gather", "attention.extent=2"),
    "gather_excite both": ("attention=gather_excite", "attention.parameters=both", "attention.extent=4"),
}


def per_block(choice: str) -> bool:
    """Return whether a choice inserts the same module at each of its points."""
    kind = locate(CONFIGS[choice]["_target_"], choice)
    return isinstance(kind, type) and issubclass(kind, PerBlockAttention)


IN_BLOCKS = tuple(filter(per_block, SHIPPED))
HAVE_REDUCTION = tuple(choice for choice in ("bam", *IN_BLOCKS) if CONFIGS[choice].get("reduction") is not None)
NARROW_OPTIONS = dict.fromkeys(HAVE_REDUCTION, ("attention.reduction=2",))
PAIR_OPTIONS = {("residual", "mobilenet"): ("attention.mask_depth=[1,1]",)}
"""Of 8x8 images, this backbone's first stage leaves 4x4."""
ATTENTIONS = {**SHIPPED, **VARIANTS}

AROUND_BLOCKS = ("residual", "extra_block", "own blocks")
SHAPES = {
    "inside blocks": (*IN_BLOCKS, "sk"),
    "around blocks": AROUND_BLOCKS,
    "taps": ("gated", "taps"),
    "instead of the head": ("ggam", "score"),
}
"""Attentions by where they attach; each other one is a shape for itself, as `none` and `bam` are."""
REJECTED = {
    "cluttered mnist cnn": {
        **dict.fromkeys(AROUND_BLOCKS, "no block to build attention of"),
        "bam block": "has no such place",
        "sk": "no blocks of one known 3x3 convolution",
    },
    "densenet": {
        **dict.fromkeys(AROUND_BLOCKS, "DenseNet has no block to build attention of"),
    },
    "inception": {"sk": "no blocks of one known 3x3 convolution"},
}
"""Attentions that a backbone has no place for, and what the message says of it."""

Pair = tuple[str, str]
"""The names of an attention, of ours or a toy, and of a narrow backbone."""


def config_of(attention: str, backbone: str, *more: str) -> RunConfig:
    """Compose an attention of ours, with more options, on a narrow backbone."""
    kind = attention.split(maxsplit=1)[0]
    options = (*NARROW_OPTIONS.get(kind, ()), *PAIR_OPTIONS.get((kind, backbone), ()), *more)
    return compose(["data=cifar10", *NARROW[backbone], *ATTENTIONS[attention], *options])


def build(attention: str, backbone: str, *more: str) -> Classifier:
    """Build a network with attention of ours, with more options, or with a toy."""
    if attention in ATTENTIONS:
        return build_model(config_of(attention, backbone, *more))
    shape = {"num_classes": 10, "in_channels": 3, "image_size": 32}
    return Classifier(build_backbone(compose(["data=cifar10", *NARROW[backbone]]), **shape), TOYS[attention]())


def rejection(attention: str, backbone: str) -> str | None:
    """Return why this pair is rejected, if it is."""
    reasons = REJECTED.get(backbone, {})
    return reasons.get(attention) or reasons.get(attention.split(maxsplit=1)[0])


def fitting() -> list[Pair]:
    """List all pairs that can be built."""
    names = [*SHIPPED, *TOYS, *VARIANTS]
    return [pair for pair in itertools.product(names, NARROW) if not rejection(*pair)]


def shape_of(attention: str) -> str:
    """Return where an attention attaches."""
    kind = attention if attention in TOYS else attention.split(maxsplit=1)[0]
    return next((shape for shape, kinds in SHAPES.items() if kind in kinds), kind)


def covered_by(attention: str, backbone: str) -> Iterator[Pair]:
    """Yield the combinations that a pair covers; of a variant, or a module in blocks, the attention alone is one."""
    kind = next(kind for kind, backbones in KINDS.items() if backbone in backbones)
    yield attention, "" if attention in (*VARIANTS, *IN_BLOCKS) else kind
    yield shape_of(attention), backbone


@cache
def chosen() -> list[Pair]:
    """Choose pairs until all combinations are covered, at each step one that covers most of what is missing."""
    pairs = fitting()
    missing = {combination for pair in pairs for combination in covered_by(*pair)}
    taken: list[Pair] = []
    while missing:
        taken.append(max(pairs, key=lambda pair: len(missing.intersection(covered_by(*pair)))))
        missing.difference_update(covered_by(*taken[-1]))
    return taken
