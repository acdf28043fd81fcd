"""ROAD: whether a network's probability depends on the pixels that a map marks, with pixels replaced unobtrusively.

Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022. A share of the pixels
is removed, the most relevant first (MoRF) or the least relevant first (LeRF), and filled by noisy linear imputation:
each removed pixel is the mean of its neighbours, by weights of 1/6 at its sides and 1/12 at its corners, plus a little
noise. The shape of what is removed then tells the network little, unlike a hole of one colour.

The imputation is grad-cam's copy of the authors' code. Its choice of pixels is not taken: it cuts at a percentile of
the map's values, so that of a map with large areas of equal values, as 0 after the ReLU, it removes too much or all.
The paper follows the accuracy over a set; here it is the probability of the class, of which each image has one.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.classifier import Classifier
from attnbench.explain.faithfulness import probabilities, ranks
from attnbench.explain.panels import Floats

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the pixels that are removed."""
NOISE = 0.01
"""Deviation of the imputation's noise, in units of the normalised image."""


def road(net: Classifier, images: Tensor, targets: NDArray[np.int64], maps: Floats, seed: int = 0) -> dict[str, Floats]:
    """Return the mean probability (N,) over shares, with the most relevant pixels removed and with the least relevant.

    Args:
        net: the classifier.
        images: (N, C, H, W), normalised.
        targets: (N,) classes.
        maps: (N, H, W).
        seed: of the noise.
    """
    places, pixels = ranks(maps), maps[0].size
    curves: dict[str, list[Floats]] = {"road_morf": [], "road_lerf": []}
    for share in SHARES:
        count = round(share * pixels)
        for name, removed in (("road_morf", places < count), ("road_lerf", places >= pixels - count)):
            filled = torch.stack([impute(*pair) for pair in zip(images.cpu(), removed, strict=True)])
            noise = torch.randn(filled.shape, generator=torch.Generator().manual_seed(seed))
            filled += NOISE * noise * torch.from_numpy(removed)[:, None]
            curves[name].append(probabilities(net, filled, targets))
    return {name: np.mean(parts, axis=0, dtype=np.float32) for name, parts in curves.items()}


def impute(image: Tensor, removed: NDArray[np.bool_]) -> Tensor:
    """Return an image (C, H, W) whose removed pixels (H, W) are the weighted means of their neighbours."""
    return _imputer()(image, torch.from_numpy(1 - removed.astype(np.int64)))


def _imputer() -> Any:
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    return NoisyLinearImputer(noise=0.0)  # its noise is drawn from torch's global generator
