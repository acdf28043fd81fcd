"""What the host does in a training step beside the network's computation, measured on networks with next to none."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.bench.loops import OWN, RANDOM, measure

PLAIN = "plain loop"
SIZE, BATCH = 4, 4
"""Height and width of the images, and images a step."""
EVERY_OPTION = [
    *("recipe.mixup=0.2", "recipe.cutmix=1.0", "recipe.label_smoothing=0.1", "recipe.erasing=0.25", "recipe.cutout=2"),
    *("recipe.policy=trivialaugment", "recipe.ema=0.99", "recipe.clip_norm=1.0", "recipe.accumulate=2"),
    *("recipe.layer_decay=0.75", "backbone.blocks=1", "backbone.drop_path=0.1"),
]
"""Options that go together; the plain loop does the same. The last two need a residual block."""
RECIPES: dict[str, list[str]] = {"plain recipe": [], "every option": EVERY_OPTION}


class Nothing(Backbone):
    """A network of one linear layer: nearly all of a step's time is that of the loop.

    Args:
        blocks: residual blocks of a 1x1 convolution before it, for options that need some.
    """

    stages: tuple[str, ...] = ()
    bottlenecks = ()

    def __init__(self, num_classes: int, in_channels: int, image_size: int, blocks: int) -> None:
        super().__init__()
        self.num_classes, self.image_size = num_classes, image_size
        if blocks:
            self.stages = ("stage1",)
            self.stage1 = nn.Module()
            for number in range(blocks):
                self.stage1.add_module(f"block{number}", Block(in_channels))
        self.classifier = nn.Linear(in_channels, num_classes)
        self.register_points()

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        for block in self.stage1.children() if self.stages else ():
            x = block(x, taps)
        return x


class Block(nn.Module):
    """The sum of a map (B, C, H, W) and its 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.residual = nn.Conv2d(channels, channels, 1), Slot(channels, stride=1)

    def forward(self, x: Tensor, taps: Taps) -> Tensor:
        summed: Tensor = x + self.residual(self.conv(x), taps)
        return summed


def host_seconds(options: Sequence[str], steps: int, turns: int, folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of an epoch of so many steps by `attnbench train` and by the plain loop, in each turn.

    Args:
        options: overrides of the recipe.
        steps: batches an epoch.
        turns: measured epochs.
        folder: for configs, the run and the result.
    """
    data = [f"data.batch_size={BATCH}", f"data.train_images={BATCH * steps}", f"data.size={SIZE}"]
    words = [*RANDOM, "backbone=nothing", *data, "callbacks.rivals.usual=false", "trainer.progress=false", *options]
    seconds, _ = measure(words, turns, folder)
    return seconds[OWN], seconds[PLAIN]
