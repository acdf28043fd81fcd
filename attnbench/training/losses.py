"""The terms of a recipe's loss: those of the attention, whose cross-entropy `recipe.loss=bce` replaces.

Binary cross-entropy for each class: Wightman, Touvron, Jégou, "ResNet strikes back", NeurIPS 2021 workshop, arXiv
2110.00476. A class is predicted independently of the others, so both labels of a mixed image may be right.
"""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from attnbench.attention.base import Output, at_least_float32
from attnbench.classifier import Classifier, Network
from attnbench.errors import UserError, require
from attnbench.training.recipe import Recipe, probabilities

REPLACED = "cross_entropy"


def check_loss(net: Network, recipe: Recipe) -> None:
    """Raise `OptionError` if the network does not predict what the loss takes."""
    if recipe.loss == REPLACED:
        return
    require(isinstance(net, Classifier), "loss", recipe.loss, "is for classification")
    scores = net.attention.predicts_logits
    require(scores, "loss", recipe.loss, "needs scores of classes, and this attention predicts a mixture of softmaxes")


def training_losses(net: Classifier, output: Output, targets: Tensor, recipe: Recipe) -> dict[str, Tensor]:
    """Return the terms of the training loss by name.

    Args:
        net: the network.
        output: its output for a batch.
        targets: (B,) class indices, or (B, L) probabilities.
        recipe: chooses the loss.

    Raises:
        UserError: there is no term, or none that `recipe.loss` could replace.
    """
    terms = net.losses(output, targets)
    if not terms:
        raise UserError("attention: its losses(…) names no term, so nothing can be trained")
    if recipe.loss == REPLACED:
        return terms
    if REPLACED not in terms:
        raise UserError(f"recipe.loss={recipe.loss}: replaces the term {REPLACED}, and this attention's loss has none")
    bce = binary_cross_entropy(output.logits, targets, recipe.bce_threshold)
    return {"bce": bce} | {name: value for name, value in terms.items() if name != REPLACED}


def binary_cross_entropy(logits: Tensor, targets: Tensor, threshold: float) -> Tensor:
    """Return the mean over images and classes, as timm's `BinaryCrossEntropy` does.

    Args:
        logits: (B, L).
        targets: (B,) class indices, or (B, L) probabilities.
        threshold: probabilities above it count as 1, and all others as 0; 0: they count as they are.
    """
    logits = at_least_float32(logits)
    soft = probabilities(targets, logits.shape[1], 0.0) if targets.ndim == 1 else targets
    wanted = soft > threshold if threshold else soft
    return binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype))
