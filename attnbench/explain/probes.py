"""Places in a classifier where class activation maps are taken, and a network that passes through them.

A layer is named by a point of the backbone (`stage2.out`, or a pattern such as `stage?.out`), or it is

- `final`: the backbone's last map, which the classifier pools;
- `attention`: the output of the last module that the attention inserted, or GGAM's D.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnbench.attention.base import Tap
from attnbench.attention.ggam import GGAM
from attnbench.backbones.base import Features, Slot
from attnbench.classifier import Classifier, Network
from attnbench.errors import UserError, nearest
from attnbench.training.attention_maps import undisturbed

FINAL, ATTENTION = "final", "attention"
NAME = "explained"
"""Name of a probe among the modules of a slot."""


class Probe(nn.Module):
    """Pass a map on unchanged, as a tensor of its own that gradients can be taken at.

    Gradients end here unless something before the probe needs them, so that only the layers behind it are
    differentiated. The result is a copy: a later operation may work in place.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not x.requires_grad:
            x = x.detach().requires_grad_()
        return x.clone()


class ProbedClassifier(nn.Module):
    """A classifier whose final map passes through a probe; returns logits (B, L) of images (B, C, H, W)."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net
        self.final = Probe()

    def forward(self, x: Tensor) -> Tensor:
        net, backbone = self.net, self.net.backbone
        taken = backbone.features(x)
        final = self.final(taken.final)
        features = Features(final, taken.taps, None if taken.pooled is None else backbone.pool(final))
        needed = backbone.has_classifier and net.attention.needs_logits
        return net.attention.classify(features, backbone.classify(features) if needed else None).logits


@contextmanager
def probed(net: Classifier, layer: str) -> Iterator[tuple[ProbedClassifier, Probe]]:
    """Put a probe at a layer; yield the network to call, and the probe.

    Args:
        net: the classifier.
        layer: a point of the backbone, `final`, or `attention`.
    """
    network = ProbedClassifier(net)
    if layer == FINAL:
        yield network, network.final
        return
    attention = net.attention
    if layer == ATTENTION and isinstance(attention, GGAM):
        kept, at_output = attention.attended, Probe()
        attention.attended = at_output
        try:
            yield network, at_output
        finally:
            attention.attended = kept
        return
    slot = slot_at(net, attention_point(net) or layer if layer == ATTENTION else layer)
    with inserted_probe(slot) as probe:
        yield network, probe


@contextmanager
def inserted_probe(slot: Slot) -> Iterator[Probe]:
    """Put a probe into a slot: behind the last module that changes features, before the taps that read its output.

    A tap before the probe would hand on a map that is not the probe's, and gradients along that path would be missed.
    """
    modules, probe = list(slot.items()), Probe()
    changing = [number for number, (_, module) in enumerate(modules, 1) if not isinstance(module, Tap)]
    place = max(changing, default=0)
    slot.clear()
    slot.update(dict([*modules[:place], (NAME, probe), *modules[place:]]))
    try:
        yield probe
    finally:
        slot.clear()
        slot.update(dict(modules))


def slot_at(net: Network, point: str) -> Slot:
    """Return the slot of a point."""
    return next(slot for slot in net.backbone.modules() if isinstance(slot, Slot) and slot.point == point)


def attention_point(net: Network) -> str | None:
    """Return the last point at which the attention changes features; None if it changes none."""
    changed = {
        slot.point
        for slot in net.backbone.modules()
        if isinstance(slot, Slot) and slot.point and any(not isinstance(module, Tap) for module in slot.values())
    }
    found = [point for point in net.backbone.points if point in changed]
    return found[-1] if found else None


def has_attention_output(net: Network) -> bool:
    """Return whether the attention puts out features: GGAM, or modules that are inserted into the backbone."""
    return isinstance(net.attention, GGAM) or attention_point(net) is not None


def resolve_layers(net: Classifier, layers: Sequence[str], images: Tensor) -> list[str]:
    """Return the layers that names stand for, each once.

    Args:
        net: the classifier.
        layers: names; empty for `final` and, where it exists and is another map, `attention`; the one that the
            classifier pools is first. That is the attention's for GGAM: its T is divided by its sum, so that a larger
            A everywhere changes nothing, and Grad-CAM at A is often empty.
        images: (B, C, H, W), with which the default finds out whether the two maps differ.

    Raises:
        UserError: a name stands for no layer.
    """
    if not layers:
        if isinstance(net.attention, GGAM):
            return [ATTENTION, FINAL]
        return [FINAL, ATTENTION] if _attention_differs(net, images) else [FINAL]
    return named_layers(net, layers)


def named_layers(net: Network, layers: Sequence[str]) -> list[str]:
    """Return the layers that names stand for, each once. Raises `UserError` if one stands for none."""
    found: list[str] = []
    for name in layers:
        if name == ATTENTION and not has_attention_output(net):
            kind = type(net.attention).__name__
            raise UserError(f"layer {name}: the attention ({kind}) changes no features; name a point, or {FINAL}")
        points = [name] if name in (FINAL, ATTENTION) else net.backbone.match(name)
        if not points:
            known = [FINAL, ATTENTION, *net.backbone.points]
            raise UserError(
                f"layer {name}: no such place{nearest(name, known)} (places: {', '.join(known[:2])}, "
                f"{', '.join(f'{stage}.out' for stage in net.backbone.stages)}, and those within stages)"
            )
        found += points
    return list(dict.fromkeys(found))


def _attention_differs(net: Classifier, images: Tensor) -> bool:
    if not has_attention_output(net):
        return False
    seen: list[Tensor] = []
    for layer in (FINAL, ATTENTION):
        with undisturbed(net), torch.no_grad(), probed(net, layer) as (network, probe):
            handle = probe.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
            network(images[:1])
            handle.remove()
    return len(seen) == 2 and (seen[0].shape != seen[1].shape or not torch.equal(*seen))
