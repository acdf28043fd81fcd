"""Whole wide residual networks with gated attention against the reference, in both variants."""

from functools import partial
from typing import Any

import torch

from attnbench.attention.gated import Gated
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier
from tests.attention.gated.network_reference import DEPTH, Case, Reference
from tests.attention.parity.compare import Differences, Row, compare, randomise
from tests.attention.parity.layers import values_of

CLASSES, WIDTH = 5, 2
RELEASED: dict[str, Any] = {"shortcut_input": "raw", "stem_norm": True, "dropout_kind": "channel", "init": "fan_in"}
CASES = {
    "official, released WRN": Case({"variant": "official"}, RELEASED),
    "official, released WRN, dropout 0.3": Case({"variant": "official"}, {**RELEASED, "dropout": 0.3}),
    "official, released WRN, sigmoid gates": Case({"variant": "official", "global_gates": "sigmoid"}, RELEASED),
    "official, released WRN, no gates": Case({"variant": "official", "global_gates": "none"}, RELEASED),
    "official, released WRN, AD = 1, AW = 2": Case({"variant": "official", "depth": 1, "width": 2}, RELEASED),
    "official, default WRN, own BN-ReLU": Case({"variant": "official", "tap": "own"}, {}),
    "paper": Case({}, {}),
    "paper, gates under a mask": Case({"gate_input": "masked"}, {}),
    "paper, gates under a mask, 3×3, BN": Case({"gate_input": "masked", "kernel": 3, "gate_norm": True}, {}),
    "paper, heads averaged as probabilities": Case({"head_combine": "probabilities"}, {}),
    "paper, gates under a mask, heads averaged as probabilities, sigmoid masks": Case(
        {"gate_input": "masked", "head_combine": "probabilities", "mask": "sigmoid"}, {}
    ),
}
IMAGES = (4, 3, 16, 16)
TARGET = (0, 3, 1, 4)


def network(case: Case, training: bool) -> Classifier:
    torch.manual_seed(0)
    net = Classifier(WideResNet(DEPTH, WIDTH, CLASSES, stem_width=8, **case.backbone), Gated(**case.attention))
    randomise(net, torch.randn(IMAGES, dtype=torch.float64))
    return net.train(training)


def measure(case: Case, training: bool) -> Differences:
    net = network(case, training)
    images = torch.randn(IMAGES, dtype=torch.float64)
    return compare(net, images, torch.tensor(TARGET), Reference(values_of(net), case, training).output)


def source(case: Case) -> str:
    if case.attention.get("variant") == "official":
        return "released code's facts"
    return "equations 1 to 6, figure 2b" if case.attention else "equations 1 to 6"


ROWS = [Row("gated", title, source(case), partial(measure, case)) for title, case in CASES.items()]
