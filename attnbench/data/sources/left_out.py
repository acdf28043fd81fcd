"""Files of a data folder that are not used: named once, with counts, so that no sample vanishes in silence."""

import logging
from collections.abc import Collection, Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("attnbench.data")


class LeftOut:
    """Counts, by reason, what is not used, and keeps one name for each reason: the first in alphabetical order.

    Args:
        ignored: names that are not counted.
    """

    def __init__(self, ignored: Collection[str] = ()) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, str] = {}
        self.ignored = ignored

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        reasons = sorted(self.counts, key=lambda reason: -self.counts[reason])
        return ", ".join(f"{reason} {self.counts[reason]:,} ({self._example(reason)})" for reason in reasons)

    def _example(self, reason: str) -> str:
        name = "".join(character if character.isprintable() else "?" for character in self.first[reason])
        return name + (", …" if self.counts[reason] > 1 else "")

    def add(self, reason: str, names: Iterable[str]) -> None:
        """Count names under a reason, such as "broken links"."""
        for name in names:
            if name not in self.ignored:
                self.counts[reason] = self.counts.get(reason, 0) + 1
                self.first[reason] = min(name, self.first.get(reason, name))

    def rows(self, prefix: str = "") -> NDArray[np.str_]:
        """Return the counts as an array (R, 3) of reason, count and name, the latter after `prefix`."""
        rows = [(reason, str(count), prefix + self.first[reason]) for reason, count in self.counts.items()]
        return np.array(rows, np.str_).reshape(-1, 3)

    def include(self, rows: NDArray[np.str_]) -> None:
        """Add counts that `rows` returned."""
        for reason, count, name in rows.tolist():
            self.counts[reason] = self.counts.get(reason, 0) + int(count)
            self.first[reason] = min(name, self.first.get(reason, name))


@cache
def warn_once(text: str) -> None:
    """Log a warning, once in a process: each configuration of a sweep looks at the same files."""
    log.warning(text)
