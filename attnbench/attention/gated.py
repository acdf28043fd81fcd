"""Gated attention: Rodríguez, Gonfaus, Cucurull, Roca, Gonzàlez, "Attend and Rectify: a Gated Attention Mechanism for
Fine-Grained Recovery", ECCV 2018, arXiv 1807.07320; journal version IEEE TMM 2019, arXiv 1907.13075.

    H = softmax over positions of (W_H * Z)                    eq. 1, K masks on the map Z of a level
    o_k = sum over positions of H_k (W_Ok * Z)                 eq. 2, class scores of head k
    g = softmax over heads of tanh(sum H_k (W_g * Z))          eq. 3, gates of the heads
    o = sum_k g_k o_k                                          eq. 4, hypothesis of a level
    g_O = softmax(tanh(W_G mean(Z_last)))                      eq. 5, global gates: levels, then the net
    output = g_net output_net + sum_l g_Ol o_l                 eq. 6

The released code (prlz77/attend-and-rectify, 3664c86) differs; `variant=official` follows it in these options:

- kernel: 3x3 (no bias); the paper has 1x1;
- gate_norm: batch normalisation before the global gates' tanh; eq. 5 has none;
- combine: the convex mix is one of log-probabilities, trained by its negative log-likelihood: the gate-weighted mean
  of the hypotheses' cross-entropies, not normalised over labels. The paper speaks of probability vectors;
- regulariser: mean square of different heads' inner products on masks averaged 2x2, weight 0.001, which is nearly
  inert; the published one (printed in the predecessor, "A Painless Attention Mechanism for CNNs", there only) sums
  inner products of full masks, weight 0.1.

Its faults are not followed: it cannot train on a batch of one, regularise a 1x1 map, or take any image but 32x32, and
its WRN has one more BN-ReLU, after the stem, than the net it is compared with. Both variants work here.

Ours: figure 2b draws the global gates' score under an attention mask, on a map that need not have one; as in the
released code they read what the classifier reads: the averaged last map, or hidden units. Sigmoid masks are averaged
over positions, not summed, as a sum grows with the image. The regulariser is averaged over levels. `stop_gradients`
cuts both the modules' and the gates' input.

Early exit (`predict=modules`): the journal version claims up to 10 % less computation for a prediction that reaches no
fully connected layer; its code is not released. Evaluation then ends at the deepest module in use. Where that is the
last map, gates among the modules weigh them; before it there is no map for the gates to read, and the mean is taken. It
is taken too where the gates read hidden units, which are such a layer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import VARIANTS, Attention, Output, Tap, precise
from attnbench.attention.gated_heads import FORMS, MASKS, REGULARISERS, AttentionModule
from attnbench.attention.gated_mixture import GATES, MIXTURES
from attnbench.backbones.base import Backbone, Features
from attnbench.backbones.layers import BatchNorm1d
from attnbench.errors import OptionError, require, require_choice

FINAL = "final"
"""Name, among the tapped points, of the map that the classifier pools."""
WEIGHTS = {"published": 0.1, "official": 0.001, "none": 0.0}


def shared_point(backbone: Backbone, stage: str) -> str:
    """Where a stage's activated map passes: at its end, or, in pre-activation networks, where the next one begins."""
    if stage == backbone.stages[-1]:
        return FINAL
    following = f"{backbone.stages[backbone.stages.index(stage) + 1]}.pre"
    return following if following in backbone.points else f"{stage}.out"


class Gated(Attention):
    """Attention modules that predict at several levels, and gates that weigh them against the net's prediction.

    variant: `paper` or `official`; it decides whatever is left at `auto`. depth, AD: levels with a module, counted
    from the deepest backwards. width, AW: heads of a module. kernel: 1 or 3. mask: `softmax` or `sigmoid`.
    head_gates: without them each head is a hypothesis of its own (authors' development code). global_gates:
    `softmax`, `sigmoid` or `none` (plain average). gate_norm: see above. combine: `log_probabilities`,
    `probabilities`, `logits`. net_output: the net's prediction is `gated` like the others, weighs `half`, or is left
    out (`none`). regulariser: `published`, `official`, `none`, times regulariser_weight. stop_gradients: modules and
    gates do not train the backbone. tap: the backbone's activated map (`shared`; of pre-activation networks the
    pre-activation of the next stage), or its sum through a BN-ReLU of the module's own (`own`). deepest: the level of
    the deepest module, `last`, `before_last`, or `auto`: before the last of four, else the last (as released).
    predict: `all`, or in evaluation `modules` alone: the shallowest `exit_modules` of them (`auto`: all), and nothing
    that they do not need is computed. form: `pooled` or `direct`, the same values.
    """

    def __init__(
        self,
        variant: str = "paper",
        depth: int = 3,
        width: int = 4,
        kernel: int | str = "auto",
        mask: str = "softmax",
        head_gates: bool = True,
        global_gates: str = "softmax",
        gate_norm: bool | str = "auto",
        combine: str = "auto",
        net_output: str = "gated",
        regulariser: str = "auto",
        regulariser_weight: float | str = "auto",
        stop_gradients: bool = False,
        tap: str = "shared",
        deepest: str = "auto",
        predict: str = "all",
        exit_modules: int | str = "auto",
        form: str = "pooled",
    ) -> None:
        super().__init__()
        require_choice("variant", variant, VARIANTS)
        require(depth >= 1, "depth", depth, "must be at least 1")
        require(width >= 1, "width", width, "must be at least 1")
        require_choice("kernel", kernel, ("auto", 1, 3))
        require_choice("mask", mask, tuple(MASKS))
        require_choice("global_gates", global_gates, (*GATES, "none"))
        require_choice("gate_norm", gate_norm, ("auto", True, False))
        require_choice("combine", combine, ("auto", *MIXTURES))
        require_choice("net_output", net_output, ("gated", "half", "none"))
        require_choice("regulariser", regulariser, ("auto", *WEIGHTS))
        require_choice("tap", tap, ("shared", "own"))
        require_choice("deepest", deepest, ("auto", "last", "before_last"))
        require_choice("predict", predict, ("all", "modules"))
        require_choice("form", form, tuple(FORMS))
        official = variant == "official"
        if global_gates == "none" and gate_norm is True:
            raise OptionError("gate_norm", gate_norm, "normalises global gates, and there are none")
        if stop_gradients and net_output == "none":
            raise OptionError("stop_gradients", stop_gradients, "nothing would train the backbone with net_output=none")
        if width == 1 and regulariser in REGULARISERS:
            raise OptionError("regulariser", regulariser, "compares heads, and width=1 is one: leave it at auto")
        if regulariser == "auto":
            regulariser = "none" if width == 1 else "official" if official else "published"
        if regulariser == "none" and regulariser_weight != "auto" and width > 1:
            raise OptionError("regulariser_weight", regulariser_weight, "weighs nothing with regulariser=none")
        weight = WEIGHTS[regulariser] if regulariser_weight == "auto" else regulariser_weight
        require(not isinstance(weight, str) and weight >= 0, "regulariser_weight", weight, "must be auto or at least 0")
        self.regulariser, self.regulariser_weight = regulariser, float(weight)
        self.depth, self.width, self.mask, self.form, self.head_gates = depth, width, mask, form, head_gates
        self.kernel = (3 if official else 1) if kernel == "auto" else int(kernel)
        self.global_gates, self.net_output, self.stop_gradients = global_gates, net_output, stop_gradients
        self.gate_norm = official if gate_norm == "auto" else bool(gate_norm)
        self.combine = combine if combine != "auto" else "log_probabilities" if official else "probabilities"
        self.tap, self.deepest = tap, deepest
        self.exits = predict == "modules"
        if exit_modules != "auto" and not self.exits:
            raise OptionError("exit_modules", exit_modules, "is for predict=modules: leave it at auto")
        self.used = depth if exit_modules == "auto" else int(exit_modules)
        require(1 <= self.used <= depth, "exit_modules", exit_modules, f"must lie in 1 to depth ({depth}), or be auto")
        self.points: dict[str, str] = {}
        self.heads = nn.ModuleDict()
        self.gate: nn.Module | None = None

    def attach(self, backbone: Backbone) -> None:
        stages = backbone.stages
        self.at_end = self.deepest == "last" or (self.deepest == "auto" and len(stages) != 4)
        levels = stages if self.at_end else stages[:-1]
        require(self.depth <= len(levels), "depth", self.depth, f"this backbone has {len(levels)} levels for modules")
        if self.net_output == "none" and self.global_gates == "none" and not self.at_end:
            raise OptionError("net_output", "none", "without global gates nothing would train the last stage")
        for stage in levels[-self.depth :]:
            self._add_level(backbone, stage)
        if self.exits:
            backbone.exit_after = levels[-self.depth :][self.used - 1]
        self.sees_final = self.at_end and self.used == self.depth
        if self.net_output == "none":
            backbone.remove_classifier(keep_pooled=self.global_gates != "none")
        if self.global_gates != "none":
            self.gate = self._make_gate(backbone.pooled_channels)

    def _add_level(self, backbone: Backbone, stage: str) -> None:
        point = f"{stage}.out"
        channels = backbone.points[point].channels
        if self.tap == "shared":
            point = shared_point(backbone, stage)
        if point != FINAL:
            backbone.insert(point, Tap(), "gated")
        self.points[stage] = point
        options = (self.width, self.kernel, self.mask, self.head_gates, self.tap == "own", self.form)
        self.heads[stage] = AttentionModule(channels, backbone.num_classes, *options)

    def _make_gate(self, features: int) -> nn.Module:
        """Scores of the global gates: (B, F) to (B, N)."""
        count = self._hypotheses(self.depth) + (self.net_output == "gated")
        require(count > 1, "global_gates", self.global_gates, "weigh a single hypothesis here: set them to none")
        linear = nn.Linear(features, count, bias=False)
        nn.init.kaiming_normal_(linear.weight)
        return nn.Sequential(linear, BatchNorm1d(count)) if self.gate_norm else linear

    def _hypotheses(self, modules: int) -> int:
        """How many hypotheses that many modules have."""
        return modules * (1 if self.head_gates else self.width)

    @property
    def needs_logits(self) -> bool:
        """False in an evaluation that leaves early."""
        return self.training or not self.exits

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        hypotheses, extras = [], {}
        used = self.depth if self.needs_logits else self.used
        for stage, point in list(self.points.items())[:used]:
            x = features.final if point == FINAL else features.taps[f"{point}/gated/map"]
            opinion = self.heads[stage](x.detach() if self.stop_gradients else x)
            hypotheses.append(opinion.hypotheses)
            extras[f"masks/{point}"] = opinion.masks
            extras[f"head_gates/{point}"] = opinion.gates
        if logits is not None:
            hypotheses.append(precise(logits)[:, None])
        gates = self.gates(features, logits is None)
        extras["gates"] = gates
        return Output(MIXTURES[self.combine](torch.cat(hypotheses, 1), gates), features, extras)

    def gates(self, features: Features, alone: bool) -> Tensor:
        """Global gates (B, N) of the modules' hypotheses, shallow to deep, and then the net's unless `alone` (eq. 5).

        A prediction that leaves before the last map has nothing to read them from: its hypotheses weigh the same.
        """
        final, pooled, early = features.final, features.pooled, not (self.needs_logits or self.sees_final)
        modules = self._hypotheses(self.used if early else self.depth)
        if self.gate is None or pooled is None or early:
            count = modules + (self.net_output == "gated" and not alone)
            gates = precise(final).new_full((len(final), count), 1 / count)
        else:
            scores = precise(torch.tanh(self.gate(pooled.detach() if self.stop_gradients else pooled)))
            gates = GATES[self.global_gates](scores[:, :modules] if alone else scores)
        if self.net_output == "half" and not alone:
            gates = 0.5 * torch.cat([gates, torch.ones_like(gates[:, :1])], 1)
        return gates

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        logs = output.logits.log_softmax(1) if self.combine == "logits" else output.logits
        likelihood = F.nll_loss(logs, target) if target.ndim == 1 else -(target * logs).sum(1).mean()
        terms = {"cross_entropy": likelihood}
        if self.regulariser_weight > 0:
            found = [REGULARISERS[self.regulariser](output.extras[f"masks/{p}"]) for p in self.points.values()]
            terms["regulariser"] = self.regulariser_weight * torch.stack(found).mean()
        return terms

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """Class maps are drawn, then pooled (eq. 2)."""
        heads = [head for head in self.heads.values() if isinstance(head, AttentionModule)]
        forms = [head.form for head in heads]
        for head in heads:
            head.form = "direct"
        try:
            yield
        finally:
            for head, form in zip(heads, forms, strict=True):
                head.form = form

    def maps(self, output: Output) -> dict[str, Tensor]:
        """The masks (B, K, H, W) by tapped point: they sum to 1 (softmax), or lie in (0, 1) (sigmoid)."""
        masks = {key.removeprefix("masks/"): value for key, value in output.extras.items() if key.startswith("masks/")}
        if self.mask == "softmax":
            return masks
        return {point: values * values[0, 0].numel() for point, values in masks.items()}
