"""The panels of each attention: what its paper's figure shows, from the network's output for a batch.

An attention that is not known here is shown by its `maps()`: a map that varies in space by its mean over channels, one
that does not as bars.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention, Output
from attnbench.attention.gated import FINAL, Gated
from attnbench.attention.gated_heads import GatedAttentionModule
from attnbench.attention.ggam import GGAM
from attnbench.attention.global_context import GlobalContext
from attnbench.attention.non_local import NonLocal
from attnbench.attention.per_block import PerBlockAttention
from attnbench.attention.residual import ResidualAttention
from attnbench.explain.panels import Panel, Unit, array

CHANNELS = 2
"""Channels of a soft mask that are shown beside its mean."""


def panels_of(attention: Attention, output: Output, targets: Tensor, classes: Sequence[str]) -> list[Panel]:
    """Return the panels of an attention for a batch.

    Args:
        attention: the network's.
        output: of the batch, with gradients on; inputs (or weights) require them.
        targets: (B,), the classes to be explained.
        classes: names of the classes.
    """
    for kind, view in VIEWS.items():
        if isinstance(attention, kind):
            return view(attention, output, targets, classes)
    return plain_panels(attention.maps(output))


def plain_panels(maps: Mapping[str, Tensor]) -> list[Panel]:
    """Return a panel for each of any attention's maps (B, K, H, W)."""
    panels = []
    for name, values in maps.items():
        if values.shape[2] * values.shape[3] == 1:
            panels.append(Panel(name, name, array(values[:, :, 0, 0]), "gate", scored=False))
        else:
            title = name if values.shape[1] == 1 else f"{name}, mean"
            panels.append(Panel(name, title, array(values.mean(1)), "gate"))
    return panels


def bam_panels(attention: BAM, output: Output, targets: Tensor, classes: Sequence[str]) -> list[Panel]:
    """Return, by stage, M (its mean over channels), and the gate that each of the two branches alone would give."""
    del targets, classes
    panels = []
    for point, gate in attention.maps(output).items():
        logits = {name: output.features.taps.get(f"{point}/bam/{name}") for name in ("channel", "spatial")}
        if gate.shape[2] * gate.shape[3] > 1:
            panels.append(Panel(f"{point}/M", f"{point}\nM, mean", array(gate.mean(1)), "gate"))
        if (channel := logits["channel"]) is not None:
            values = array(attention.fuse({"channel": channel})[:, :, 0, 0])
            panels.append(Panel(f"{point}/channel", f"{point}\nchannels", values, "gate", scored=False))
        if (spatial := logits["spatial"]) is not None and len(logits) == 2 and logits["channel"] is not None:
            values = array(attention.fuse({"spatial": spatial})[:, 0])
            panels.append(Panel(f"{point}/spatial", f"{point}\nspatial part", values, "gate", scored=False))
    return panels


def residual_panels(
    attention: ResidualAttention, output: Output, targets: Tensor, classes: Sequence[str]
) -> list[Panel]:
    """Return, by module, the soft mask's mean over channels, and the channels that vary most in space."""
    del targets, classes
    panels = []
    for name, mask in attention.maps(output).items():
        title = name.replace(".module", "\nmask ")
        panels.append(Panel(f"{name}/mean", f"{title}, mean", array(mask.mean(1)), "gate"))
        order = mask.var((2, 3)).argsort(dim=1, descending=True, stable=True)  # for each image its own channels
        for rank in range(min(CHANNELS, mask.shape[1])):
            chosen = order[:, rank]
            values = mask[torch.arange(len(mask), device=mask.device), chosen]
            captions = tuple(f"channel {channel}" for channel in chosen.tolist())
            caption = f"{title}, channel"
            panels.append(Panel(f"{name}/top{rank + 1}", caption, array(values), "gate", captions, scored=False))
    return panels


def gated_panels(attention: Gated, output: Output, targets: Tensor, classes: Sequence[str]) -> list[Panel]:
    """Return, by level, each head's mask with its gate and vote and their mean by gates; then the global gates."""
    del targets
    panels = []
    for stage, point in attention.points.items():
        key = f"masks/{point}"
        if key not in output.extras:  # an evaluation that exits before
            continue
        masks, gates = output.extras[key], output.extras[f"head_gates/{point}"]
        x = output.features.final if point == FINAL else output.features.taps[f"{point}/gated/map"]
        module = attention.heads[stage]
        assert isinstance(module, GatedAttentionModule)
        _, scores = module.score_heads(x)
        votes = scores[:, :, : len(classes)].argmax(2)
        weights = gates if gates.shape[1] else torch.full_like(scores[:, :, 0], 1 / masks.shape[1])
        mean = (masks * weights[:, :, None, None]).sum(1)
        panels.append(Panel(f"{stage}/mean", f"{stage}\nheads, by gates", array(mean), "share"))
        for head in range(masks.shape[1]):
            gate = [f"gate {value:.2f}, " if gates.shape[1] else "" for value in weights[:, head].tolist()]
            names = [classes[vote] for vote in votes[:, head].tolist()]
            captions = tuple(f"{opened}votes {name}" for opened, name in zip(gate, names, strict=True))
            values = array(masks[:, head])
            title = f"{stage}\nhead {head + 1}"
            panels.append(Panel(f"{stage}/head{head + 1}", title, values, "share", captions, scored=False))
    gates = output.extras["gates"]
    labels = gate_labels(attention, gates.shape[1])
    return [*panels, Panel("gates", "gates of levels", array(gates), "gate", labels=labels, scored=False)]


def gate_labels(attention: Gated, count: int) -> tuple[str, ...]:
    """Return the names of the global gates: levels (and heads, where they have no gates), then the net."""
    stages = list(attention.points)
    if attention.head_gates:
        levels = stages
    else:
        levels = [f"{stage} h{head + 1}" for stage in stages for head in range(attention.width)]
    return tuple([*levels, "net"][:count])


def ggam_panels(attention: GGAM, output: Output, targets: Tensor, classes: Sequence[str]) -> list[Panel]:
    """Return T, the sum of A weighted by S, and S beside the weights that Grad-CAM gives the channels."""
    del classes
    panels, extras = [], output.extras
    if attention.spatial:
        panels.append(Panel("T", "T", array(extras["map"][:, 0]), "share"))
    if not attention.channel:
        return panels
    importance = extras["log_importance"].exp()
    weighted = torch.einsum("bc,bchw->bhw", importance, extras["features"]).clamp(min=0)
    panels.append(Panel("S-weighted", "features\nweighted by S", array(weighted), "share"))
    guide = replace(attention.guide, gradient_class="truth")  # the truth being the class to explain
    beta = guide.log_probabilities(guide.weights(output, targets)).exp()
    order = importance.argsort(dim=1, descending=True, stable=True)
    series = [array(values.gather(1, order) * values.shape[1]) for values in (importance, beta)]
    title = "S: bars; weights of\nGrad-CAM: line"
    panels.append(Panel("S", title, series[0], "value", compared=series[1], scored=False))
    return panels


def block_panels(attention: PerBlockAttention, output: Output, targets: Tensor, classes: Sequence[str]) -> list[Panel]:
    """Return the map of each stage's last module: its gate, or how its attention is divided among positions."""
    del targets, classes
    maps = attention.maps(output)
    last = {point.partition(".")[0]: point for point in maps}.values()
    unit: Unit = "share" if isinstance(attention, GlobalContext | NonLocal) else "gate"
    return [replace(panel, unit=unit) for panel in plain_panels({point: maps[point] for point in last})]


VIEWS: dict[type[Attention], Callable[..., list[Panel]]] = {
    BAM: bam_panels,
    ResidualAttention: residual_panels,
    Gated: gated_panels,
    GGAM: ggam_panels,
    PerBlockAttention: block_panels,
}
"""The functions that show attentions of this package otherwise than by all of their maps."""
