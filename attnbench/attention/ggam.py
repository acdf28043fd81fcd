"""GGAM: Xu, Chang, Xie, Ma, "Grad-CAM guided channel-spatial attention module for FGVC", MLSP 2021, arXiv 2101.09666.

    S = softmax_c(W1 relu(W0 AvgPool(A) + b0) + b1)                    channel importance of features A, sums to 1
    T_ij = sum_c S_c A_cij / sum_ij sum_c S_c A_cij                    spatial map, sums to 1
    D = A * T, y = F_tc(D)                                             T scales A; S acts through T alone
    beta_c = mean_ij d y^k / d A_cij, w_c = sigmoid(beta_c)            weights that Grad-CAM gives channels, for class k
    L = CE + lambda (KL(S || w) + KL(w || S)) / 2                      the guide; evaluation needs no gradient

As printed, the guide is no divergence: w sums to about C/2, so the first term is negative and the second is weighted
by C/2. `divergence=symmetric`, the paper's meaning, divides w by its sum; `literal` is the printed formula. `lambda`
does not carry over from one to the other.

The paper's text, as far as we could read it, leaves open the class k (ours: the true one), whether the guide's
gradient also flows into w (ours: no; `second_order=true`: yes), the reduction of W0, the pooling and F_tc (ours: 16,
maximum and the mlp, as released), and what is left when a part is off (ours: without T, the features S * A; without
S, T of the plain channel mean). One sentence calls T a 2D softmax while its equation is the quotient; both are here.

The released code (PRIS-CV/CAM-Guided-Attention, 005f0a6) differs; `variant=official` follows it in that

- T is the sigmoid of sum_c S_c A_c;
- the gradient is taken at D, for the predicted class, and w is its softmax;
- the guide is KL(S || w) alone, summed over the batch, with lambda = 1.

It does not follow it where the code is broken: it adds the gradient of the summed class scores to that of the loss,
leaves the attention out of its data parallelism, and drops the batch dimension of a batch of one.

Ours: negative channel sums, which no backbone that ends in ReLU has, count as 0 in the quotient. Maxima that tie share
the gradient. beta is a mean over positions and so small that w is almost uniform: the guide then does little more than
flatten S, which `diagnostics` shows. `weight_norm` makes beta larger: `sum` over positions, or `zscore` over channels.
"""

import math

import torch
from torch import Tensor, nn

from attnbench.attention.base import VARIANTS, Attention, Output, precise
from attnbench.attention.ggam_guide import SMALLEST, WEIGHTS, Function, Guide, full_precision, standardise
from attnbench.backbones.base import Backbone, Features
from attnbench.backbones.layers import BatchNorm1d
from attnbench.errors import OptionError, require, require_choice

CHOICES = {
    "spatial_norm": ("sum", "sigmoid", "softmax"),
    "gradient_at": ("features", "output"),
    "gradient_class": ("truth", "predicted"),
    "squash": ("sigmoid", "softmax"),
    "divergence": ("symmetric", "one_way", "literal"),
    "loss_reduction": ("mean", "sum"),
}
"""What `variant` decides where it is auto: the paper's choice, the released code's, others."""
POOLING: dict[str, Function] = {"max": lambda x: x.amax((2, 3)), "avg": lambda x: x.mean((2, 3))}
HEADS = ("mlp", "linear")
HEAD_WIDTH = 512


def quotient(x: Tensor) -> Tensor:
    """Divide maps (B, 1, H, W) by their sum over positions; a map of zeros stays one."""
    positive = x.clamp_min(0)
    return positive / positive.sum((2, 3), keepdim=True).clamp_min(SMALLEST)


def softmax_2d(x: Tensor) -> Tensor:
    """Softmax of maps (B, 1, H, W) over positions."""
    return x.flatten(2).softmax(-1).view_as(x)


SPATIAL_NORMS: dict[str, Function] = {"sum": quotient, "softmax": softmax_2d, "sigmoid": torch.sigmoid}


def choose(key: str, value: str, variant: str) -> str:
    """The value of an option that may be `auto`. Raises `OptionError` if it is none of its choices."""
    require_choice(key, value, ("auto", *CHOICES[key]))
    return CHOICES[key][VARIANTS.index(variant)] if value == "auto" else value


class Excitation(nn.Sequential):
    """log S: features (B, C, H, W) to log-importances (B, C) through a bottleneck of C/r units."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x.mean((2, 3)))
        return logits.log_softmax(1)


class MLP(nn.Sequential):
    """F_tc as released: pooled features (B, C) to logits (B, L) through one hidden layer."""

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.norm = BatchNorm1d(channels)
        self.hidden = nn.Linear(channels, hidden)
        self.hidden_norm = BatchNorm1d(hidden)
        self.elu = nn.ELU()
        self.classify = nn.Linear(hidden, classes)


class GGAM(Attention):
    """GGAM behind a backbone's last stage, in place of its head.

    variant: `paper` or `official` (the released code): what options left at `auto` mean. channel, spatial: whether
    there are S and T. spatial_norm: `sum`, `softmax` or `sigmoid`. reduction r: of the layers that compute S.
    pooling: `max` or `avg`. head: `mlp` (BN, linear, BN, ELU, linear) or `linear`. head_width: hidden units of the
    mlp. lambda_: weight of the guide, at 0 the loss is plain cross-entropy. gradient_at: `features` (A) or `output`
    (D). gradient_class: `truth` or `predicted`. squash: `sigmoid` or `softmax`. divergence: `symmetric`, `literal` or
    `one_way`. loss_reduction: `mean` or `sum` over the batch. second_order: let the guide change the weights too.
    weight_norm: `none`, `sum` or `zscore`.
    """

    def __init__(
        self,
        variant: str = "paper",
        channel: bool = True,
        spatial: bool = True,
        spatial_norm: str = "auto",
        reduction: int = 16,
        pooling: str = "max",
        head: str = "mlp",
        head_width: int | str = "auto",
        lambda_: float = 1.0,
        gradient_at: str = "auto",
        gradient_class: str = "auto",
        squash: str = "auto",
        divergence: str = "auto",
        loss_reduction: str = "auto",
        second_order: bool = False,
        weight_norm: str = "none",
    ) -> None:
        super().__init__()
        require_choice("variant", variant, VARIANTS)
        require_choice("pooling", pooling, tuple(POOLING))
        require_choice("head", head, HEADS)
        require_choice("weight_norm", weight_norm, tuple(WEIGHTS))
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        whole = isinstance(head_width, int) and head_width >= 1
        require(head_width == "auto" or whole, "head_width", head_width, "must be at least 1, or auto")
        require(0 <= lambda_ < math.inf, "lambda_", lambda_, "must be a number from 0 on")
        if head == "linear" and head_width != "auto":
            raise OptionError("head_width", head_width, "is the mlp's, and head=linear has none: leave it at auto")
        self.spatial_norm = choose("spatial_norm", spatial_norm, variant)
        if not spatial and spatial_norm != "auto":
            raise OptionError("spatial_norm", spatial_norm, "spatial=false leaves it no map: leave it at auto")
        if not channel and lambda_ > 0:
            raise OptionError("channel", channel, "leaves no channel importance to guide: set lambda=0 as well")
        self.channel, self.spatial, self.reduction = channel, spatial, reduction
        self.pooling, self.head_kind = pooling, head
        self.head_width = HEAD_WIDTH if head_width == "auto" else int(head_width)
        self.weight = lambda_
        self.gradient_at = choose("gradient_at", gradient_at, variant)
        self.guide = Guide(
            choose("gradient_class", gradient_class, variant),
            choose("squash", squash, variant),
            choose("divergence", divergence, variant),
            choose("loss_reduction", loss_reduction, variant),
            weight_norm,
            second_order,
        )

    def attach(self, backbone: Backbone) -> None:
        channels, classes = backbone.points[f"{backbone.stages[-1]}.out"].channels, backbone.num_classes
        if self.channel:
            hidden = channels // self.reduction
            require(hidden >= 1, "reduction", self.reduction, f"leaves none of the {channels} channels")
            self.excite = Excitation(channels, hidden)
        mlp = self.head_kind == "mlp"
        self.head = MLP(channels, self.head_width, classes) if mlp else nn.Linear(channels, classes)
        backbone.remove_classifier()

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        del logits
        with full_precision(features.final):
            x = precise(features.final)
            if self.weight > 0 and torch.is_grad_enabled() and not x.requires_grad:
                x = x.detach().requires_grad_()  # of a frozen backbone: the score's gradient still ends here
            attended, extras = self.attend(x)
            extras["site"] = x if self.gradient_at == "features" else attended
            return Output(self.head(POOLING[self.pooling](attended)), features, extras)

    def attend(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """D (B, C, H, W), and log S (B, C) as `log_importance` and T (B, 1, H, W) as `map` where there are any."""
        extras: dict[str, Tensor] = {}
        importance = None
        if self.channel:
            extras["log_importance"] = self.excite(x)
            importance = extras["log_importance"].exp()
        if self.spatial:
            total = x.mean(1) if importance is None else torch.einsum("bc,bchw->bhw", importance, x)
            extras["map"] = SPATIAL_NORMS[self.spatial_norm](total[:, None])
            return x * extras["map"], extras
        return (x if importance is None else x * importance[:, :, None, None]), extras

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Cross-entropy, and the guide where it has a weight and the batch a graph to take the gradient from."""
        terms = super().losses(output, target)
        if self.weight > 0 and output.logits.requires_grad:
            weights = self.guide.weights(output, target, create_graph=self.guide.second_order)
            terms["guide"] = self.weight * self.guide.distance(output.extras["log_importance"], weights)
        return terms

    def diagnostics(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Whether the guide does anything, in detached scalars, means over the batch; call it before the backward pass.

        entropy: of S, 1 if uniform. target_kl: KL of the normalised weights to uniform; near 0 the guide flattens S.
        correlation: of S and the weights over channels. weight: mean |beta|, normalised by `weight_norm`. Those of the
        weights are there if the score has a gradient, also at lambda = 0: what the guide is to be compared with.
        """
        if not self.channel:
            return {}
        log_s = output.extras["log_importance"].detach()
        uniform = math.log(log_s.shape[1])
        found = {"entropy": -(log_s.exp() * log_s).sum(1).mean() / uniform}
        if output.logits.requires_grad and output.extras["site"].requires_grad:
            weights = self.guide.weights(output, target).detach()
            log_w = self.guide.log_probabilities(weights)
            found["target_kl"] = (log_w.exp() * log_w).sum(1).mean() + uniform
            found["correlation"] = (standardise(log_s.exp()) * standardise(weights)).mean()
            found["weight"] = weights.abs().mean()
        return found

    def maps(self, output: Output) -> dict[str, Tensor]:
        """S (B, C, 1, 1) as `channel` and T (B, 1, H, W) as `spatial`, where there are any."""
        found = {}
        if self.channel:
            found["channel"] = output.extras["log_importance"].exp()[:, :, None, None]
        if self.spatial:
            found["spatial"] = output.extras["map"]
        return found
