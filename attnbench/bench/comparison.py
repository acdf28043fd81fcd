"""Speeds that are measured in turns: a ratio is taken within a turn, so a machine whose speed drifts favours none."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Comparison:
    """The time of something of ours and of its reference.

    Attributes:
        reference: what ours is compared with.
        seconds: of ours, one value a turn.
        reference_seconds: of the reference, likewise.
        steps: what these seconds are divided by to see what ours adds to each step; 0 where that says nothing.
    """

    reference: str
    seconds: list[float]
    reference_seconds: list[float]
    steps: int = field(default=0, kw_only=True)

    @property
    def ratios(self) -> list[float]:
        """How many times as fast as the reference ours is, in each turn."""
        return [theirs / own for own, theirs in zip(self.seconds, self.reference_seconds, strict=True)]

    @property
    def added_milliseconds(self) -> list[float]:
        """What ours adds to the reference's time of a step, in each turn."""
        pairs = zip(self.seconds, self.reference_seconds, strict=True)
        return [1000 * (own - theirs) / self.steps for own, theirs in pairs]
