"""Holm's procedure over the claims of a table: A simple sequentially rejective multiple test procedure, 1979."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate


class Holm:
    """Tests hypotheses in the order of their p values, each at the level divided by how many are still open.

    Args:
        ps: p values of the hypotheses.
        level: chance of any wrong rejection.
    """

    def __init__(self, ps: Iterable[float], level: float) -> None:
        self.ps = sorted(ps)
        count = len(self.ps)
        self.rejected = next((place for place, p in enumerate(self.ps) if p > level / (count - place)), count)
        needed = ((count - place) * p for place, p in enumerate(self.ps))
        self.floors = [0.0, *accumulate(needed, max)]
        """The level that it takes to reject the first 0, 1, 2, … hypotheses."""

    @property
    def open_at_end(self) -> int:
        """How many hypotheses those that are not rejected share the level with; at least 1."""
        return max(1, len(self.ps) - self.rejected)

    def factor(self, p: float) -> int:
        """Return how many hypotheses were open when that with this p value was tested; equal ones share a factor."""
        return max(self.open_at_end, len(self.ps) - bisect_left(self.ps, p))

    def adjusted(self, p: float, of_hypothesis: float) -> float:
        """Return the smallest level at which a comparison that belongs to a hypothesis is decided.

        Args:
            p: of the comparison.
            of_hypothesis: the hypothesis's own p value. If it is `p`, the result is Holm's adjusted p value.
        """
        place = bisect_left(self.ps, of_hypothesis)
        by_open = (max(floor, (len(self.ps) - done) * p) for done, floor in enumerate(self.floors[: place + 1]))
        return min(1.0, *by_open)
