"""Speeds that are measured in turns: a ratio is taken within a turn, so a machine whose speed drifts favours none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """The time of something of ours and of its reference.

    Attributes:
        reference: what ours is compared with.
        seconds: of ours, one value a turn.
        reference_seconds: of the reference, likewise.
    """

    reference: str
    seconds: list[float]
    reference_seconds: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast as the reference ours is, in each turn."""
        return [theirs / own for own, theirs in zip(self.seconds, self.reference_seconds, strict=True)]
