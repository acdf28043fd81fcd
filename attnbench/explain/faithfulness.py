"""Whether maps say what the network uses: insertion, deletion, change in confidence, and randomised weights."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from attnbench.classifier import Classifier
from attnbench.explain.cams import cam
from attnbench.explain.panels import Floats
from attnbench.training.attention_maps import undisturbed

STEPS = 20
"""Shares of the pixels at which insertion and deletion are measured, from none to all."""
CHUNK = 64
BLUR = 5 / 224
"""Deviation of the blur that insertion starts from, as a share of the image's height (RISE: 5 pixels of 224)."""


def ranks(maps: Floats, seed: int = 0) -> NDArray[np.int64]:
    """Return each pixel's place (N, H, W) in the order of decreasing values.

    Class activation maps have large areas of equal values, 0 above all; their order is drawn, the same for each map, so
    that it is neither the sort's nor the rows'.
    """
    flat = maps.reshape(len(maps), -1)
    drawn = np.random.default_rng(seed).permutation(flat.shape[1])
    order = np.stack([np.lexsort((drawn, -values)) for values in flat])
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(flat.shape[1])[None], axis=1)
    return places.reshape(maps.shape)


def insertion_deletion(net: Classifier, images: Tensor, targets: NDArray[np.int64], maps: Floats) -> dict[str, Floats]:
    """Return the areas (N,) under the curves of insertion (higher is better) and deletion (lower is better).

    Petsiuk et al., "RISE", BMVC 2018: pixels of an image are replaced, those with the highest values first, and the
    probability of the class is followed. Deletion puts in the data set's mean colour; insertion starts from the blurred
    image and puts in its own pixels.

    Args:
        net: the classifier.
        images: (N, C, H, W), normalised.
        targets: (N,) classes.
        maps: (N, H, W).
    """
    device = next(net.parameters()).device
    areas: dict[str, list[Floats]] = {"insertion": [], "deletion": []}
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        batch, wanted = images[part].to(device), targets[part]
        places = torch.from_numpy(ranks(maps[part])).to(device)[:, None]
        blurred, empty = _blurred(batch), torch.zeros_like(batch)
        areas["deletion"].append(_area(net, empty, batch, wanted, places))
        areas["insertion"].append(_area(net, batch, blurred, wanted, places))
    return {name: np.concatenate(parts) for name, parts in areas.items()}


def confidence_change(net: Classifier, images: Tensor, targets: NDArray[np.int64], maps: Floats) -> dict[str, Floats]:
    """Return how much (N,) the probability of the class falls where only what a map marks is shown, and if it rises.

    Chattopadhay et al., "Grad-CAM++", WACV 2018: the image is multiplied by the map. The drop is a share of the
    probability for the whole image, 0 where it rises; lower is better. The increase is 1 where it rises. Maps are
    divided by their maximum, and what they hide has the data set's mean colour. A map that is high everywhere has no
    drop; reference maps show what that is worth.

    Args:
        net: the classifier.
        images: (N, C, H, W), normalised.
        targets: (N,) classes.
        maps: (N, H, W).
    """
    highest = maps.max((1, 2), keepdims=True)
    shown = np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
    whole = probabilities(net, images, targets)
    marked = probabilities(net, images.cpu() * torch.from_numpy(shown)[:, None], targets)
    drop = np.maximum(whole - marked, 0) / np.maximum(whole, np.finfo(np.float32).tiny)
    return {"average_drop": drop, "increase_in_confidence": (marked > whole).astype(np.float32)}


def probabilities(net: Classifier, images: Tensor, targets: NDArray[np.int64]) -> Floats:
    """Return the probability (N,) of each image's class."""
    device, parts = next(net.parameters()).device, []
    with undisturbed(net), torch.no_grad():
        for start in range(0, len(images), CHUNK):
            wanted = torch.as_tensor(targets[start : start + CHUNK], device=device)[:, None]
            parts.append(net(images[start : start + CHUNK].to(device)).float().softmax(1).gather(1, wanted)[:, 0].cpu())
    result: Floats = torch.cat(parts).numpy()
    return result


def _blurred(images: Tensor) -> Tensor:
    sigma = max(BLUR * images.shape[2], 1.0)
    largest = 2 * ((min(images.shape[2:]) - 1) // 2) + 1  # the window must be odd and fit into the image
    return gaussian_blur(images, [min(2 * round(2 * sigma) + 1, largest)] * 2, [sigma, sigma])


def _area(net: Classifier, first: Tensor, rest: Tensor, targets: NDArray[np.int64], places: Tensor) -> Floats:
    """Return the area (N,) under the probability of the class, as pixels of `rest` become those of `first`."""
    pixels = places[0].numel()
    mixed = (torch.where(places < round(step * pixels / STEPS), first, rest) for step in range(STEPS + 1))
    curve = np.stack([probabilities(net, images, targets) for images in mixed], axis=1)
    return np.asarray(np.trapezoid(curve, axis=1) / STEPS, np.float32)


def randomised(net: Classifier, seed: int = 0) -> Classifier:
    """Return a copy of a network whose weights say nothing: each tensor's values are shuffled.

    Batch normalisation takes the moments of each batch, as its running ones belong to the weights that are gone.
    """
    other, generator = copy.deepcopy(net), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            shuffled = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[shuffled].view_as(parameter))
    for module in other.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = None
    return other


def similarity(first: Floats, second: Floats) -> Floats:
    """Return the rank correlation (N,) of maps (N, h, w) with others; 0 where one of them is uniform."""
    from scipy.stats import rankdata

    pairs = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    centred = [values - values.mean(1, keepdims=True) for values in pairs]
    product = (centred[0] * centred[1]).sum(1)
    scale = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 0).astype(np.float32)


def sanity(
    net: Classifier, images: Tensor, targets: Sequence[int], layer: str, method: str, maps: Floats, seed: int = 0
) -> Floats:
    """Return how much maps (N, h, w) resemble those of the network with randomised weights: rank correlations (N,).

    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: a map that does not change explains the image, not
    the network.
    """
    other, device = randomised(net, seed), next(net.parameters()).device
    parts = []
    for start in range(0, len(images), CHUNK):
        batch = images[start : start + CHUNK].to(device)
        parts.append(cam(other, batch, targets[start : start + CHUNK], layer, method).numpy())
    return similarity(maps, np.concatenate(parts))
