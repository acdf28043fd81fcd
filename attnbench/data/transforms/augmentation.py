"""Options of the random changes to training images and labels. Imports no torch."""

from dataclasses import dataclass

from attnbench.errors import require, require_choice


@dataclass(frozen=True)
class Augmentation:
    """Random crop and flip of training images, drawn per image.

    Attributes:
        padding: pixels added on each side before a crop of the original size.
        padding_mode: `zeros` or `reflect`.
        flip: flip horizontally with probability 1/2.
    """

    padding: int = 0
    padding_mode: str = "zeros"
    flip: bool = False

    def __post_init__(self) -> None:
        require(self.padding >= 0, "padding", self.padding, "must not be negative")
        require_choice("padding_mode", self.padding_mode, ("zeros", "reflect"))


@dataclass(frozen=True)
class LabelNoise:
    """Wrong training labels, as in "Residual Attention Network for Image Classification" (CVPR 2017, section 4.1).

    Attributes:
        share: probability that a label is replaced by one of the others, each equally likely; the paper's noise level,
            1 - r.
        resampled: draw the noise in every epoch instead of once for the whole training; the paper does not say which.
    """

    share: float = 0.0
    resampled: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.share < 1, "label_noise", self.share, "must be in [0, 1)")
        has_noise = self.share > 0 or not self.resampled
        require(has_noise, "resampled", "true", "there is no noise to resample: label_noise is 0")
