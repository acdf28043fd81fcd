"""Draw the diagrams of the methods for the documentation.

python scripts/method_diagrams.py     # writes docs/images/{residual_attention,bam,gated,ggam,baselines}.svg
"""

import itertools
from pathlib import Path

from drawing import BLUE, GREEN, GREY, INK, ORANGE, PLAIN, VIOLET, Box, canvas, draw_arrow, draw_box, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def chain(axes: Axes, y: float, items: list[tuple[float, float, str]], color: str) -> list[Box]:
    """Draw boxes of (centre, width, text) in a row, each with an arrow to the next."""
    boxes = [draw_box(axes, Box(x, y, width, 0.5), text, color, 8) for x, width, text in items]
    for one, following in itertools.pairwise(boxes):
        draw_arrow(axes, one.right, following.left)
    return boxes


def bam() -> Figure:
    """BAM: two branches, one gate."""
    figure, axes = canvas(8.6, 2.4)
    x = draw_box(axes, Box(0.5, 1.2, 0.7, 0.5), "F")
    channel = chain(
        axes,
        1.9,
        [(1.8, 1.0, "mean over\npositions"), (3.2, 1.2, "linear C/r,\nReLU"), (4.6, 1.1, "linear C,\nBN")],
        BLUE,
    )
    spatial = chain(
        axes,
        0.5,
        [
            (1.8, 1.0, "1×1 conv\nC/r, ReLU"),
            (3.2, 1.3, "two 3×3 convs,\ndilation d, ReLU"),
            (4.6, 1.1, "1×1 conv\nto 1, BN"),
        ],
        GREEN,
    )
    gate = draw_box(axes, Box(6.2, 1.2, 1.3, 0.6), "M = sigmoid(\nMc + Ms)", ORANGE)
    out = draw_box(axes, Box(7.8, 1.2, 1.2, 0.6), "F' = F + F·M")
    for branch in (channel, spatial):
        draw_arrow(axes, x.right, branch[0].left)
        draw_arrow(axes, branch[-1].right, gate.left)
    draw_arrow(axes, gate.right, out.left)
    axes.text(5.35, 1.75, "Mc: B×C×1×1", fontsize=7, color=GREY)
    axes.text(5.35, 0.55, "Ms: B×1×H×W", fontsize=7, color=GREY)
    return figure


def residual_attention() -> Figure:
    """Residual attention: a trunk and an encoder-decoder mask, joined by (1 + M) T. Drawn for d = 2."""
    figure, axes = canvas(8.8, 3.0)
    first = draw_box(axes, Box(0.7, 2.5, 1.0, 0.5), "p blocks")
    trunk = draw_box(axes, Box(3.6, 2.5, 1.6, 0.5), "trunk T: t blocks", BLUE)
    joined = draw_box(axes, Box(6.6, 2.5, 1.3, 0.5), "H = (1 + M)·T", ORANGE)
    last = draw_box(axes, Box(8.2, 2.5, 1.0, 0.5), "p blocks")
    for one, following in ((first, trunk), (trunk, joined), (joined, last)):
        draw_arrow(axes, one.right, following.left)
    down = chain(axes, 1.35, [(1.6, 1.0, "pool,\nr blocks")], GREEN)[0]
    bottom = draw_box(axes, Box(2.9, 0.45, 1.1, 0.5), "pool,\n2r blocks", GREEN, 8)
    up = draw_box(axes, Box(4.3, 1.35, 1.25, 0.5), "resize, + skip,\nr blocks", GREEN, 8)
    skip = draw_box(axes, Box(2.9, 1.35, 0.9, 0.4), "skip block", GREEN, 7.5)
    mask = draw_box(axes, Box(6.6, 1.35, 1.6, 0.7), "resize,\n1×1 conv, 1×1 conv,\nM = sigmoid", GREEN, 8)
    draw_arrow(axes, first.bottom, (1.35, 1.6))
    draw_arrow(axes, down.bottom, bottom.left)
    draw_arrow(axes, bottom.right, up.bottom)
    draw_arrow(axes, down.right, skip.left)
    draw_arrow(axes, skip.right, up.left)
    draw_arrow(axes, up.right, mask.left)
    draw_arrow(axes, mask.top, joined.bottom)
    return figure


def gated() -> Figure:
    """Gated attention: modules at several levels, each a hypothesis, weighed by global gates."""
    figure, axes = canvas(8.8, 3.3)
    stages = chain(
        axes, 2.9, [(0.9, 1.2, "stage 1"), (3.1, 1.2, "stage 2"), (5.3, 1.2, "stage 3"), (7.6, 1.4, "classifier")], BLUE
    )
    text = "K masks, softmax\nover positions;\nscores and gates\nof the K heads"
    modules = [draw_box(axes, Box(stage.x, 1.65, 1.5, 0.95), text, GREEN, 8) for stage in stages[:3]]
    total = draw_box(axes, Box(4.4, 0.35, 8.2, 0.45), "output = Σ  global gate · hypothesis", ORANGE)
    for number, (stage, module) in enumerate(zip(stages, modules, strict=False), start=1):
        draw_arrow(axes, stage.bottom, module.top)
        draw_arrow(axes, module.bottom, (module.x, total.top[1]))
        axes.text(module.x + 0.08, 0.95, f"o{number}", fontsize=8, color=GREY)
    draw_arrow(axes, (8.0, stages[3].bottom[1]), (8.0, total.top[1]))
    gates = draw_box(axes, Box(6.85, 1.65, 1.1, 0.95), "global gates:\nsoftmax(tanh(\nW · mean))", VIOLET, 8)
    draw_arrow(axes, (5.9, 2.72), gates.top)
    draw_arrow(axes, gates.bottom, (gates.x, total.top[1]))
    axes.text(8.08, 1.6, "net's own\noutput", fontsize=7, color=GREY)
    return figure


def ggam() -> Figure:
    """GGAM: channel importance S, spatial map T, and the guide that compares S with Grad-CAM's weights."""
    figure, axes = canvas(8.8, 2.9)
    features = draw_box(axes, Box(0.9, 2.3, 1.4, 0.5), "features A", BLUE)
    attended = draw_box(axes, Box(4.6, 2.3, 1.0, 0.5), "D = A·T", ORANGE)
    head = draw_box(axes, Box(6.4, 2.3, 1.4, 0.5), "max pool, mlp", BLUE)
    scores = draw_box(axes, Box(8.1, 2.3, 0.9, 0.5), "scores y", PLAIN)
    importance = draw_box(axes, Box(1.6, 1.25, 1.7, 0.6), "mean, two linears,\nsoftmax: S", GREEN, 8)
    spatial = draw_box(axes, Box(3.7, 1.25, 1.6, 0.6), "T = Σ S·A, divided\nby its sum", GREEN, 8)
    weights = draw_box(axes, Box(7.4, 1.25, 2.0, 0.6), "w = sigmoid(mean\nover positions of ∂y/∂A)", VIOLET, 8)
    guide = draw_box(axes, Box(4.4, 0.3, 3.6, 0.42), "guide: λ · (KL(S‖w) + KL(w‖S)) / 2, training only", VIOLET, 8)
    draw_arrow(axes, features.right, attended.left)
    draw_arrow(axes, attended.right, head.left)
    draw_arrow(axes, head.right, scores.left)
    draw_arrow(axes, features.bottom, (1.2, importance.top[1]))
    draw_arrow(axes, importance.right, spatial.left)
    draw_arrow(axes, spatial.top, attended.bottom)
    draw_arrow(axes, scores.bottom, (8.1, weights.top[1]))
    draw_arrow(axes, importance.bottom, guide.left)
    draw_arrow(axes, weights.bottom, guide.right)
    return figure


def baselines() -> Figure:
    """Where the baselines are: on what a residual block adds; and where BAM is."""
    figure, axes = canvas(8.6, 1.7)
    start = (0.15, 1.2)
    layers = draw_box(axes, Box(1.9, 1.2, 1.6, 0.5), "layers of a block", BLUE)
    module = draw_box(axes, Box(4.0, 1.2, 1.5, 0.5), "SE, CBAM, ECA, …", GREEN)
    total = draw_box(axes, Box(5.6, 1.2, 0.5, 0.5), "+", PLAIN)
    later = draw_box(axes, Box(7.4, 1.2, 1.9, 0.5), "at a stage's end: BAM", ORANGE, 8.5)
    for begin, end in ((start, layers.left), (layers.right, module.left), (module.right, total.left)):
        draw_arrow(axes, begin, end)
    draw_arrow(axes, total.right, later.left)
    axes.plot([0.5, 0.5, 5.6], [1.2, 0.4, 0.4], color=INK, lw=1)
    draw_arrow(axes, (5.6, 0.4), total.bottom)
    axes.text(2.6, 0.48, "shortcut", fontsize=7.5, color=GREY)
    return figure


def main() -> None:
    """Draw all of them."""
    for make in (residual_attention, bam, gated, ggam, baselines):
        save(make(), IMAGES / f"{make.__name__}.svg")


if __name__ == "__main__":
    main()
