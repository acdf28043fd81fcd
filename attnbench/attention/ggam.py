"""GGAM: Xu, Chang, Xie, Ma, "Grad-CAM guided channel-spatial attention module for FGVC", MLSP 2021, arXiv 2101.09666.

    S = softmax_c(W1 relu(W0 AvgPool(A) + b0) + b1)                    channel importance (B, C) of features A; sum 1
    T_ij = sum_c S_c A_cij / sum_ij sum_c S_c A_cij                    spatial map (B, 1, H, W); sum 1
    D = A * T, y = F_tc(D)                                             T scales A; S acts through T alone
    beta_c = mean_ij d y^k / d A_cij, w_c = sigmoid(beta_c)            weights that Grad-CAM gives channels, for class k
    L = CE + lambda (KL(S || w) + KL(w || S)) / 2                      the guide; evaluation needs no gradient

(The equations carry no numbers here: the paper's body was not available to us, only a review that quotes them.)

Defaults: r = 16, lambda = 1, the released head (maximum over positions, then a perceptron of 512 units).

As printed, the guide is no divergence: w sums to about C/2, so the first term is negative and the second is weighted
by C/2. `divergence=symmetric`, the paper's meaning, divides w by its sum; `literal` is the printed formula. A value of
`lambda` does not carry over from one to the other.

The paper's text, as far as we could read it, leaves open

- the class k: ours is the true one;
- whether the guide's gradient also flows into w: ours does not; `second_order=true` lets it;
- the reduction of W0, the pooling and F_tc: ours are 16, the maximum and the perceptron, as released;
- what remains when a part is off: without T, ours is S * A; without S, T is that of the plain channel mean;
- T itself: one sentence calls it a 2D softmax, the equation is the quotient above; both are here (`spatial_norm`).

Paper vs official (PRIS-CV/CAM-Guided-Attention, 005f0a6); `variant=official` follows the released code in that

- T is the sigmoid of sum_c S_c A_c;
- the gradient is taken at D, for the predicted class, and w is its softmax;
- the guide is KL(S || w) alone, summed over the batch, with lambda = 1.

Initial weights, in both variants, are as released but for W0 (below): PyTorch's defaults, uniform with deviation
1 / sqrt(3 F) for F inputs, biases too. The released backbone starts from ImageNet weights (`backbone.weights`). What we
could read of the paper does not mention initial weights.

Ours, in the paper's variant, are two options whose `literal` is the printed formula. `variant=official` is literal.

`scale=unit`: D is multiplied by H W, and, without T, S * A by C. As S sums to 1 over channels and T over positions, D
is otherwise about 1/(H W) or 1/C of A, and its variance, 1e-7 with S alone on ResNet-50, is below the 1e-5 that the
head's batch normalisation adds. What the head normalises has then a deviation of 0.06 with S alone, of 0.54 with T
(2048 channels, 14x14 positions), and of 1 with neither: an ablation would compare scales, not attention. S, T and the
guide's S stay as they are; the gradient at D (`gradient_at=output`) is smaller. A sigmoid T has no factor.

`descriptor=unit`: W0 multiplies d / |d|, with d = AvgPool(A), and is drawn sqrt(C) times as large. A step of W0 at rate
r moves W0 d by r |d|^2 times the gradient, for all images alike, and |d|^2 grows with C (40 at 128 channels). At the
recipes' rates that is unstable: within ten steps the logits of S spread from 3 to 400, S falls onto one channel, where
its gradient is 0, and never recovers (S alone then has 11 % of 10 classes right; no attention has 69 %). A vector of
length 1 makes the step the same for every C, and S keeps its entropy. Where it is literal, a smaller `recipe.lr` or
`recipe.clip_norm` prevents the collapse.

Deviations from the released code, in both variants: it adds the gradient of the summed class scores to the loss's,
leaves the attention out of its data parallelism, and drops the batch dimension of a batch of one.

Deviations from the paper: negative channel sums, which no backbone that ends in ReLU has, count as 0 in the quotient.
Maxima that tie share the gradient. beta is a mean over positions and so small that w is almost uniform: the guide then
does little more than flatten S, which `diagnostics` shows, and once S is flat, nothing is left of it. `weight_norm`
makes beta larger: `sum` over positions, or `zscore` over channels (not in the paper). `diagnostics` records the guide's
shares of loss and gradient, and a collapse: an entropy of S below 0.1 of the largest, also logged as a warning.
"""

import logging
import math
from typing import Literal

import torch
from torch import Tensor, nn

from attnbench.attention.base import Attention, Output, Variant, at_least_float32, reduced_channels
from attnbench.attention.ggam_defaults import (
    DescriptorOption,
    DivergenceOption,
    GradientAtOption,
    GradientClassOption,
    Head,
    LossReductionOption,
    ScaleOption,
    SpatialNormOption,
    SquashOption,
    resolve,
)
from attnbench.attention.ggam_diagnostics import COLLAPSED, compare_with_guide, entropy_of, guide_shares
from attnbench.attention.ggam_guide import Guide, WeightNorm, full_precision
from attnbench.attention.ggam_modules import MLP, POOLING, SPATIAL_NORMS, Excitation, Pooling
from attnbench.backbones.base import Backbone, Features
from attnbench.errors import OptionError, require, require_literal

HEAD_WIDTH = 512
"""Hidden units of the released head."""
LOG = logging.getLogger("attnbench.attention")


class GGAM(Attention):
    """GGAM behind a backbone's last stage, in place of its classifier.

    Args:
        variant: `paper` or `official`, the released code; it decides every option left at `auto`.
        channel: Whether there is a channel importance S; without, lambda must be 0.
        spatial: Whether there is a spatial map T.
        spatial_norm: How T is normalised: `sum` (paper), `softmax` or `sigmoid` (official).
        reduction: r of the layers that compute S.
        pooling: Of D over positions: `max` or `avg`.
        head: `mlp` (BN, linear, BN, ELU, linear) or `linear`.
        head_width: Hidden units of the mlp; `auto`: 512.
        lambda_: Weight of the guide (`attention.lambda`); at 0 the loss is plain cross-entropy.
        gradient_at: Where the class score's gradient is taken: `features`, A (paper), or `output`, D (official).
        gradient_class: Its class: `truth` (paper, assumed) or `predicted` (official).
        squash: Of the gradient weights: `sigmoid` (paper) or `softmax` (official).
        divergence: `symmetric` (paper, of normalised weights), `one_way` (official) or `literal`, as printed.
        loss_reduction: Of the guide over the batch: `mean` (paper) or `sum` (official).
        second_order: Let the guide's gradient flow into the weights too.
        weight_norm: `none`, or `sum` or `zscore`, which make the gradient weights larger (not in the paper).
        scale: Of D: `unit`, as large as A (ours), or `literal`, as printed, about 1/(H W) or 1/C of it; `auto`: unit
            for the paper's variant, literal for the official one.
        descriptor: Pooled features that S is computed from: `unit`, divided by their norm (ours), or `literal`; `auto`
            as for `scale`.

    Raises:
        OptionError: An option has an invalid value, or two options contradict each other.
    """

    def __init__(
        self,
        variant: Variant = "paper",
        channel: bool = True,
        spatial: bool = True,
        spatial_norm: SpatialNormOption = "auto",
        reduction: int = 16,
        pooling: Pooling = "max",
        head: Head = "mlp",
        head_width: int | Literal["auto"] = "auto",
        lambda_: float = 1.0,
        gradient_at: GradientAtOption = "auto",
        gradient_class: GradientClassOption = "auto",
        squash: SquashOption = "auto",
        divergence: DivergenceOption = "auto",
        loss_reduction: LossReductionOption = "auto",
        second_order: bool = False,
        weight_norm: WeightNorm = "none",
        scale: ScaleOption = "auto",
        descriptor: DescriptorOption = "auto",
    ) -> None:
        super().__init__()
        chosen = resolve(
            variant,
            spatial_norm=spatial_norm,
            gradient_at=gradient_at,
            gradient_class=gradient_class,
            squash=squash,
            divergence=divergence,
            loss_reduction=loss_reduction,
            scale=scale,
            descriptor=descriptor,
        )
        require_literal("pooling", pooling, Pooling)
        require_literal("head", head, Head)
        require_literal("weight_norm", weight_norm, WeightNorm)
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        valid = isinstance(head_width, int) and head_width >= 1
        require(head_width == "auto" or valid, "head_width", head_width, "must be at least 1, or auto")
        require(0 <= lambda_ < math.inf, "lambda_", lambda_, "must be a number of at least 0")
        if head == "linear" and head_width != "auto":
            raise OptionError("head_width", head_width, "is the mlp's, and head=linear has none: leave it at auto")
        if not spatial and spatial_norm != "auto":
            raise OptionError("spatial_norm", spatial_norm, "spatial=false leaves it no map: leave it at auto")
        if not channel and lambda_ > 0:
            raise OptionError("channel", channel, "leaves no channel importance to guide: set lambda=0 as well")
        self.channel, self.spatial, self.reduction = channel, spatial, reduction
        self.pooling, self.head_kind = pooling, head
        self.head_width = HEAD_WIDTH if head_width == "auto" else int(head_width)
        self.attended: nn.Module = nn.Identity()  # D passes it, so that maps can be taken there
        self.weight = lambda_
        self.spatial_norm, self.gradient_at = chosen.spatial_norm, chosen.gradient_at
        self.scale, self.descriptor = chosen.scale, chosen.descriptor
        self.guide = Guide(
            chosen.gradient_class, chosen.squash, chosen.divergence, chosen.loss_reduction, weight_norm, second_order
        )
        self._collapse_reported = False

    def attach(self, backbone: Backbone) -> None:
        channels, classes = backbone.points[f"{backbone.stages[-1]}.out"].channels, backbone.num_classes
        if self.channel:
            hidden = reduced_channels(channels, self.reduction)
            self.excite = Excitation(channels, hidden, unit=self.descriptor == "unit")
        mlp = self.head_kind == "mlp"
        self.head = MLP(channels, self.head_width, classes) if mlp else nn.Linear(channels, classes)
        backbone.remove_classifier()

    @property
    def prediction_paths(self) -> tuple[str, ...]:
        """The head's last layer."""
        return ("head.classify" if self.head_kind == "mlp" else "head",)

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        del logits
        with full_precision(features.final):
            x = at_least_float32(features.final)
            if self.weight > 0 and torch.is_grad_enabled() and not x.requires_grad:
                x = x.detach().requires_grad_()  # of a frozen backbone: the score's gradient still ends here
            attended, extras = self.attend(x)
            attended = self.attended(attended)
            extras["features"] = x
            extras["site"] = x if self.gradient_at == "features" else attended
            return Output(self.head(POOLING[self.pooling](attended)), features, extras)

    def attend(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D (B, C, H, W), scaled, and, where they exist, log S (B, C) as `log_importance` and T as `map`.

        T (B, 1, H, W) is not scaled.

        Args:
            x: The features A (B, C, H, W).
        """
        extras: dict[str, Tensor] = {}
        importance = None
        if self.channel:
            extras["log_importance"] = self.excite(x)
            importance = extras["log_importance"].exp()
        if self.spatial:
            total = x.mean(1) if importance is None else torch.einsum("bc,bchw->bhw", importance, x)
            extras["map"] = SPATIAL_NORMS[self.spatial_norm](total[:, None])
            return x * (self.factor(x) * extras["map"]), extras
        return (x if importance is None else x * (self.factor(x) * importance)[:, :, None, None]), extras

    def factor(self, x: Tensor) -> int:
        """Return the factor of D: the number of values over which T, or S without T, sums to 1; else 1."""
        if self.scale == "literal" or (self.spatial and self.spatial_norm == "sigmoid"):
            return 1
        return x.shape[2] * x.shape[3] if self.spatial else x.shape[1]

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return `cross_entropy`, and `guide` if it has a weight and the batch a graph to take the gradient from."""
        terms = super().losses(output, target)
        if self.weight > 0 and output.logits.requires_grad:
            weights = self.guide.weights(output, target, create_graph=self.guide.second_order)
            terms["guide"] = self.weight * self.guide.distance(output.extras["log_importance"], weights)
        return terms

    def diagnostics(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return scalars, means over the batch, that show what S does and whether the guide has an effect.

        `entropy`: of S, 1 if uniform. `collapsed`: 1 where that is below 0.1, else 0; a warning is logged once. Where
        there is a graph, also those of `compare_with_guide`, at lambda = 0 too, and of `guide_shares`.
        """
        if not self.channel:
            return {}
        entropy = entropy_of(output.extras["log_importance"].detach())
        self.report_collapse(entropy.item())
        scalars = {"entropy": entropy, "collapsed": (entropy < COLLAPSED).to(entropy.dtype)}
        if output.logits.requires_grad and output.extras["site"].requires_grad:
            scalars |= compare_with_guide(self.guide, output, target)
            if self.weight > 0:
                features, log_s = output.extras["features"], output.extras["log_importance"]
                scalars |= guide_shares(self.losses(output, target), features, log_s)
        return scalars

    def report_collapse(self, entropy: float) -> None:
        """Log a warning the first time that S is on so few channels that it is unlikely to recover."""
        if entropy < COLLAPSED and not self._collapse_reported:
            self._collapse_reported = True
            LOG.warning(
                "ggam: the channel importance has collapsed (entropy %.3f of 1): a smaller recipe.lr may help",
                abs(entropy),  # it may be -0.0
            )

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return S (B, C, 1, 1) as `channel` and T (B, 1, H, W) as `spatial`, where they exist."""
        maps = {}
        if self.channel:
            maps["channel"] = output.extras["log_importance"].exp()[:, :, None, None]
        if self.spatial:
            maps["spatial"] = output.extras["map"]
        return maps
