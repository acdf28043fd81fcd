"""Gated attention: Rodríguez, Gonfaus, Cucurull, Roca, Gonzàlez, "Attend and Rectify: a Gated Attention Mechanism for
Fine-Grained Recovery", ECCV 2018, arXiv 1807.07320; journal version IEEE TMM 2019, arXiv 1907.13075.

    H = softmax over positions of (W_H * Z)                    eq. 1, K masks on the map Z of a level
    o_k = sum over positions of H_k (W_Ok * Z)                 eq. 2, class scores of head k
    g = softmax over heads of tanh(sum H_k (W_g * Z))          eq. 3, gates of the heads
    o = sum_k g_k o_k                                          eq. 4, hypothesis of a level
    g_O = softmax(tanh(W_G mean(Z_last)))                      eq. 5, global gates: levels, then the net
    output = g_net output_net + sum_l g_Ol o_l                 eq. 6

Defaults: AD = 3 levels with AW = 4 heads each, counted from the deepest level backwards.

Paper vs official (prlz77/attend-and-rectify, 3664c86); `variant=official` follows the released code in these options:

- kernel: 3x3 (no bias); the paper has 1x1;
- gate_norm: batch normalisation before the global gates' tanh; eq. 5 has none;
- combine: the convex mix is one of log-probabilities, trained by its negative log-likelihood: the gate-weighted mean
  of the hypotheses' cross-entropies, not normalised over labels. The paper speaks of probability vectors;
- regulariser: mean square of different heads' inner products on masks averaged 2x2, weight 0.001, which has almost no
  effect; the published one (printed only in the predecessor, "A Painless Attention Mechanism for CNNs") sums inner
  products of full masks, weight 0.1.

Weights of modules and gates are drawn after He et al. (2015) by fan-in, in both variants, as released; the paper does
not say more than that. The released WRN also differs from ours, whichever attention it has: its projections read the
raw sum, its dropout drops channels, its weights are drawn by fan-in, and with attention it has one more BN-ReLU, after
the stem, than the net it is compared with. These are options of `backbone=wrn`, which
`experiment=gated_wrn28_10_cifar10` sets.

Deviations from the released code, in both variants: it cannot train on a batch of one, regularise a 1x1 map, or take
images other than 32x32.

Ambiguities of the paper:

- figure 2b draws the global gates' score under an attention mask on the last map (`gate_input=masked`, which takes one
  head like those of a module); its text, and the released code, average that map, and so do ours by default. In a
  network with hidden layers they read the hidden units;
- the hypotheses of a module's heads are called probability vectors, but eq. 4 has no softmax over labels before it
  averages (`head_combine=probabilities`);

Deviations from the paper, where it is silent:

- sigmoid masks are averaged over positions, not summed, as a sum grows with the image;
- the regulariser is averaged over levels;
- `stop_gradients` cuts the input of both the modules and the gates.

Early exit (`predict=modules`): the journal version claims up to 10 % less computation for a prediction that reaches no
fully connected layer; its code is not released. Evaluation then ends at the deepest module in use. If that module is on
the last map, gates among the modules weight them; otherwise there is no map for the gates to read, and the plain mean
is taken. The mean is also taken where the gates read hidden units, which are a fully connected layer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import Attention, Output, Tap, Variant, at_least_float32
from attnbench.attention.gated_gates import GateInput, MaskedGate, pooled_gate
from attnbench.attention.gated_heads import Form, GatedAttentionModule, Kernel, Mask
from attnbench.attention.gated_mixture import GATES, MIXTURES, Mixture
from attnbench.attention.gated_options import (
    Deepest,
    GateNorm,
    GlobalGates,
    KernelOption,
    MixtureOption,
    NetOutput,
    Predict,
    TapKind,
    check_gates,
    check_values,
)
from attnbench.attention.gated_regularisers import REGULARISERS, RegulariserOption, choose_regulariser
from attnbench.backbones.base import Backbone, Features, Taps
from attnbench.errors import OptionError, require

FINAL = "final"
"""Name, among the tapped points, of the map that the classifier pools."""


def shared_point(backbone: Backbone, stage: str) -> str:
    """Return the point of a stage's activated map: its end or, in pre-activation networks, the next stage's start."""
    if stage == backbone.stages[-1]:
        return FINAL
    following = f"{backbone.stages[backbone.stages.index(stage) + 1]}.pre"
    return following if following in backbone.points else f"{stage}.out"


class Gated(Attention):
    """Attention modules that predict at several levels, and gates that weight them against the net's prediction.

    Args:
        variant: `paper` or `official`, the released code; it decides every option left at `auto`.
        depth: AD, the number of levels with a module, counted from the deepest backwards.
        width: AW, the heads of a module.
        kernel: 1 (paper) or 3 (official).
        mask: `softmax` or `sigmoid`.
        head_gates: Join a module's heads by gates; without, each head is a hypothesis (authors' development code).
        global_gates: `softmax`, `sigmoid`, or `none`, the plain average.
        gate_norm: Batch normalisation before the global gates' tanh: false (paper) or true (official).
        gate_input: The global gates read the classifier's input (`pooled`), or the last map under an attention mask
            of their own (`masked`, figure 2b).
        head_combine: What the heads' gates weigh in a module: class scores (`logits`), `probabilities`, or
            `log_probabilities`.
        combine: Mixture of `probabilities` (paper), `log_probabilities` (official) or `logits`.
        net_output: The net's prediction is `gated` like the others, has the weight `half`, or is left out (`none`).
        regulariser: `published` (paper), `official` or `none`; `auto` is `none` for a single head.
        regulariser_weight: Its weight in the loss; `auto`: 0.1 (published) or 0.001 (official).
        stop_gradients: Modules and gates do not train the backbone.
        tap: Modules read the backbone's activated map (`shared`; in pre-activation networks the pre-activation of the
            next stage), or the stage's sum through their own BN-ReLU (`own`).
        deepest: Level of the deepest module: `last`, `before_last`, or `auto`: before the last of four stages, else
            the last (as released).
        predict: `all`, or `modules`: in evaluation, predict from the modules alone and compute nothing else.
        exit_modules: With `predict=modules`, how many modules predict, from the shallowest; `auto`: all.
        form: `pooled` or `direct`, which draws every class map: the same values, slower.

    Raises:
        OptionError: An option has an invalid value, or two options contradict each other.
    """

    def __init__(
        self,
        variant: Variant = "paper",
        depth: int = 3,
        width: int = 4,
        kernel: KernelOption = "auto",
        mask: Mask = "softmax",
        head_gates: bool = True,
        global_gates: GlobalGates = "softmax",
        gate_norm: GateNorm = "auto",
        combine: MixtureOption = "auto",
        net_output: NetOutput = "gated",
        regulariser: RegulariserOption = "auto",
        regulariser_weight: float | Literal["auto"] = "auto",
        stop_gradients: bool = False,
        tap: TapKind = "shared",
        deepest: Deepest = "auto",
        predict: Predict = "all",
        exit_modules: int | Literal["auto"] = "auto",
        form: Form = "pooled",
        gate_input: GateInput = "pooled",
        head_combine: Mixture = "logits",
    ) -> None:
        super().__init__()
        check_values(
            depth, width, variant=variant, kernel=kernel, mask=mask, global_gates=global_gates, gate_norm=gate_norm,
            gate_input=gate_input, head_combine=head_combine, combine=combine, net_output=net_output,
            regulariser=regulariser, tap=tap, deepest=deepest, predict=predict, form=form,
        )  # fmt: skip
        check_gates(global_gates, gate_norm, gate_input, head_gates, head_combine)
        if stop_gradients and net_output == "none":
            raise OptionError("stop_gradients", stop_gradients, "nothing would train the backbone with net_output=none")
        chosen = choose_regulariser(regulariser, regulariser_weight, width, variant)
        self.regulariser, self.regulariser_weight = chosen
        official = variant == "official"
        self.depth, self.width, self.mask, self.form, self.head_gates = depth, width, mask, form, head_gates
        by_variant: Kernel = 3 if official else 1
        self.kernel = by_variant if kernel == "auto" else kernel
        self.global_gates, self.net_output, self.stop_gradients = global_gates, net_output, stop_gradients
        self.gate_norm = official if gate_norm == "auto" else bool(gate_norm)
        self.combine = combine if combine != "auto" else "log_probabilities" if official else "probabilities"
        self.tap, self.deepest = tap, deepest
        self.gate_input, self.head_combine = gate_input, head_combine
        self.exits = predict == "modules"
        if exit_modules != "auto" and not self.exits:
            raise OptionError("exit_modules", exit_modules, "is for predict=modules: leave it at auto")
        self.used = depth if exit_modules == "auto" else int(exit_modules)
        require(1 <= self.used <= depth, "exit_modules", exit_modules, f"must be from 1 to depth ({depth}), or auto")
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
            backbone.remove_classifier(keep_pooled=self.global_gates != "none" and self.gate_input == "pooled")
        if self.global_gates != "none":
            self.gate = self._make_gate(backbone)

    def _add_level(self, backbone: Backbone, stage: str) -> None:
        point = f"{stage}.out"
        channels = backbone.points[point].channels
        if self.tap == "shared":
            point = shared_point(backbone, stage)
        if point != FINAL:
            backbone.insert(point, Tap(), "gated")
        self.points[stage] = point
        options = (self.width, self.kernel, self.mask, self.head_gates, self.tap == "own", self.form, self.head_combine)
        self.heads[stage] = GatedAttentionModule(channels, backbone.num_classes, *options)

    def _make_gate(self, backbone: Backbone) -> nn.Module:
        """Build the scores (B, N) of the global gates, for pooled features or the last map."""
        count = self._hypotheses(self.depth) + (self.net_output == "gated")
        require(count > 1, "global_gates", self.global_gates, "weight a single hypothesis here: set them to none")
        if self.gate_input == "pooled":
            return pooled_gate(backbone.pooled_channels, count, self.gate_norm)
        channels = backbone.points[f"{backbone.stages[-1]}.out"].channels
        return MaskedGate(channels, count, self.kernel, self.mask, self.gate_norm, self.form)

    def _hypotheses(self, modules: int) -> int:
        """Return the number of hypotheses of that many modules."""
        return modules * (1 if self.head_gates else self.width)

    @property
    def needs_logits(self) -> bool:
        """False in an evaluation that exits early."""
        return self.training or not self.exits

    @property
    def predicts_logits(self) -> bool:
        """False for a mixture of probabilities."""
        return self.combine == "logits"

    @property
    def prediction_paths(self) -> tuple[str, ...]:
        """The class scores of every module's heads."""
        return tuple(f"heads.{stage}.scores" for stage in self.heads)

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        hypotheses: list[Tensor] = []
        extras: Taps = {}
        used = self.depth if self.needs_logits else self.used
        for stage, point in list(self.points.items())[:used]:
            x = features.final if point == FINAL else features.taps[f"{point}/gated/map"]
            level = self.heads[stage](x.detach() if self.stop_gradients else x)
            hypotheses.append(level.hypotheses)
            extras[f"masks/{point}"] = level.masks
            extras[f"head_gates/{point}"] = level.gates
        if logits is not None:
            hypotheses.append(at_least_float32(logits)[:, None])
        gates = self.gates(features, logits is None, extras)
        extras["gates"] = gates
        return Output(MIXTURES[self.combine](torch.cat(hypotheses, 1), gates), features, extras)

    def gates(self, features: Features, modules_only: bool, extras: Taps) -> Tensor:
        """Return the global gates (B, N) of all hypotheses: modules, shallow to deep, then the net's (eq. 5).

        A prediction that exits before the last map has nothing to read gates from: all hypotheses weigh the same.

        Args:
            features: The backbone's; gates read `features.pooled` or `features.final`.
            modules_only: Leave out the net's hypothesis.
            extras: To which the gates' own mask is added, if they have one.
        """
        early = not (self.needs_logits or self.sees_final)
        read = features.final if self.gate_input == "masked" else features.pooled
        modules = self._hypotheses(self.used if early else self.depth)
        if self.gate is None or self.global_gates == "none" or read is None or early:
            count, final = modules + (self.net_output == "gated" and not modules_only), features.final
            batch = final.shape[0]  # len() would fix the batch of an exported graph
            gates = at_least_float32(final).new_full((batch, count), 1 / count)
        else:
            scores = self.gate(read.detach() if self.stop_gradients else read)
            if self.gate_input == "masked":
                scores, extras["masks/global_gates"] = scores
            scores = at_least_float32(torch.tanh(scores))
            gates = GATES[self.global_gates](scores[:, :modules] if modules_only else scores)
        if self.net_output == "half" and not modules_only:
            gates = 0.5 * torch.cat([gates, torch.ones_like(gates[:, :1])], 1)
        return gates

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return the mixture's negative log-likelihood as `cross_entropy`, and the `regulariser` if it has a weight."""
        terms = {"cross_entropy": self.evaluation_loss(output, target)}
        if self.regulariser_weight > 0:
            masks = [output.extras[f"masks/{point}"] for point in self.points.values()]
            overlaps = torch.stack([REGULARISERS[self.regulariser](mask) for mask in masks])
            terms["regulariser"] = self.regulariser_weight * overlaps.mean()
        return terms

    def evaluation_loss(self, output: Output, target: Tensor) -> Tensor:
        """Return the mixture's negative log-likelihood, the first term of the training loss.

        A mixture of log-probabilities is not normalised over labels, so its cross-entropy would be another number.
        """
        logs = output.logits.log_softmax(1) if self.combine == "logits" else output.logits
        return F.nll_loss(logs, target) if target.ndim == 1 else -(target * logs).sum(1).mean()

    @contextmanager
    def count_as_in_paper(self) -> Iterator[None]:
        """Draw class maps first and pool them then, as eq. 2 is written."""
        modules = [module for module in self.modules() if isinstance(module, GatedAttentionModule)]
        forms = [module.form for module in modules]
        for module in modules:
            module.form = "direct"
        try:
            yield
        finally:
            for module, form in zip(modules, forms, strict=True):
                module.form = form

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return the masks (B, K, H, W) by tapped point, and those of `global_gates`, if they have one.

        They sum to 1 (softmax), or are in (0, 1) (sigmoid).
        """
        masks = {key.removeprefix("masks/"): value for key, value in output.extras.items() if key.startswith("masks/")}
        if self.mask == "softmax":
            return masks
        return {point: values * values[0, 0].numel() for point, values in masks.items()}
