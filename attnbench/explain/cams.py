"""Class activation maps by the library grad-cam (Gildenblat et al.), at the layers of a classifier.

The library computes; two of its habits are left out, because they hide what a map says:

- it scales each map to [0, 1], which gives a map without evidence the same range as any other, and changes the share of
  a map that is in a box. Maps here are as the method defines them, after the ReLU, at the layer's resolution;
- it leaves gradients in the parameters and the network in evaluation mode (`undisturbed` restores both).

The score that is differentiated is the class's logit; of gated attention, whose prediction is a mixture, the logarithm
of its probability. Eigen-CAM does not depend on the class, and the sign of its first component is arbitrary.
"""

import contextlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attnbench.classifier import Classifier
from attnbench.errors import NotInstalledError, UserError, nearest
from attnbench.explain.probes import probed
from attnbench.training.attention_maps import undisturbed

METHODS = {
    "gradcam": ("GradCAM", "Grad-CAM"),
    "gradcam++": ("GradCAMPlusPlus", "Grad-CAM++"),
    "hirescam": ("HiResCAM", "HiResCAM"),
    "layercam": ("LayerCAM", "LayerCAM"),
    "eigencam": ("EigenCAM", "Eigen-CAM"),
    "scorecam": ("ScoreCAM", "Score-CAM"),
}
"""The library's class and the usual name of each method."""


def check_method(method: str) -> None:
    """Raise `UserError` unless the method exists, and `NotInstalledError` without the library."""
    if method not in METHODS:
        raise UserError(f"method {method}: no such method{nearest(method, list(METHODS))} ({', '.join(METHODS)})")
    _library()


def cam(net: Classifier, images: Tensor, targets: Sequence[int], layer: str, method: str = "gradcam") -> Tensor:
    """Return class activation maps (B, h, w), not below 0, at the layer's resolution, on the CPU.

    Args:
        net: the classifier; it is left as it was.
        images: (B, C, H, W), normalised, on the network's device.
        targets: class of each image.
        layer: a point of the backbone, `final`, or `attention` (see `probes`).
        method: one of `METHODS`.

    Raises:
        UserError: no such method, or the class score does not depend on the layer.
        NotInstalledError: grad-cam is not installed.
    """
    check_method(method)
    with undisturbed(net), probed(net, layer) as (network, probe):
        return cam_at(network, probe, images, targets, method)


def cam_at(network: nn.Module, probe: nn.Module, images: Tensor, targets: Sequence[int], method: str) -> Tensor:
    """Return class activation maps (B, h, w) of any network that returns scores (B, L), at a probe in it.

    The network must be in evaluation mode; other arguments, result and errors as of `cam`.
    """
    wanted = [_library().utils.model_targets.ClassifierOutputTarget(target) for target in targets]
    computation = _unscaled(method)(model=network, target_layers=[probe], reshape_transform=torch.clone)
    if computation.uses_gradients:
        network.register_forward_hook(_require_gradient)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Score-CAM's progress bars
            raw: NDArray[np.float32] = computation(images, wanted)
    finally:
        computation.activations_and_grads.release()
    return torch.from_numpy(np.ascontiguousarray(raw, np.float32))


def _require_gradient(network: nn.Module, inputs: object, logits: Tensor) -> None:
    del network, inputs
    if not logits.requires_grad:
        raise _independent()


def _independent() -> UserError:
    return UserError("the class score does not depend on this layer's map; name another layer")


@cache
def _unscaled(method: str) -> type[Any]:
    """Return the library's class of a method, with one layer's map as its result instead of a scaled mean."""
    base: type[Any] = getattr(_library(), METHODS[method][0])

    def compute_cam_per_layer(self: Any, images: Tensor, targets: Any, eigen_smooth: bool) -> NDArray[np.float32]:
        taken = self.activations_and_grads
        if self.uses_gradients and not taken.gradients:
            raise _independent()
        (activations,), gradients = taken.activations[:1], taken.gradients[:1] or [None]
        arrays = (None if tensor is None else tensor.float().numpy() for tensor in (activations, gradients[0]))
        taken.release()  # or Score-CAM, which calls the network for each channel, would keep every map
        result = self.get_cam_image(images, self.target_layers[0], targets, *arrays, eigen_smooth)
        return np.maximum(result, 0)

    def aggregate_multi_layers(self: Any, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        return maps

    own = {"compute_cam_per_layer": compute_cam_per_layer, "aggregate_multi_layers": aggregate_multi_layers}
    return type(f"Unscaled{base.__name__}", (base,), own)


def _library() -> Any:
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise NotInstalledError(
            "class activation maps are grad-cam's, which is not installed: pip install 'attnbench[explain]'"
        ) from error
    return pytorch_grad_cam
