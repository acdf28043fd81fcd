"""Cells whose networks have not learned: no verdict rests on them, whatever p is.

Two signs, both of the runs' own accuracy (of detectors, their mAP50), whatever metric the cell shows:

- It is close to chance, which is 1 / classes: below the table's `least_over_chance` times chance (3 unless it says
  otherwise), or, with few classes, less than half way from chance to 1. Wrong training labels teach nothing of the
  test's classes: with `data.label_noise` the distance from chance that is asked for is multiplied by the share of right
  labels. A detector has no such chance: it counts as trained from 10 % on.
- It still rises steeply: the last quarter of the epochs brought more than half of all that was learned above chance. A
  learning rate that falls to 0 brings part of the accuracy at the end: up to four tenths in our runs of six epochs that
  ended at 90 %; networks that left chance only just before the end get more than half of it there. Fewer than four
  epochs show no such course.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from attnbench.runs.metric_names import MAP50, TEST, VAL, main_metric
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import PaperTable

LATE_SHARE = 0.25
"""Of a run's epochs, rounded up: its end."""
STEEP = 0.5
"""Of what was learned above chance: more than that, gained at the end, is steep."""
FEWEST_EPOCHS = 4
LEAST_MAP50 = 0.1
"""From which a detector counts as trained."""


def untrained_cells(table: PaperTable, results: Mapping[Key, Result]) -> dict[Key, str]:
    """Return why the networks of cells have not learned; without cells whose networks have, or that have no runs."""
    reasons = {
        key: why_untrained(list(result.records.values()), table.least_over_chance) for key, result in results.items()
    }
    diverged = {key: f"not trained ({result.divergence})" for key, result in results.items() if result.diverged}
    return {key: reason for key, reason in reasons.items() if reason} | diverged


def why_untrained(records: Sequence[Record], least_over_chance: float) -> str:
    """Return why networks of one kind have not learned; empty if they have, or if nothing says so."""
    return next(_signs(records, least_over_chance), "")


def _signs(records: Sequence[Record], least_over_chance: float) -> Iterator[str]:
    if mean_reached(records) is None:
        return
    if close := close_to_chance(records, least_over_chance):
        yield close
    chance = 0.0 if are_detectors(records) else 1 / records[0].data.classes
    share = late_share([record.curve for record in records], chance)
    if share is not None and share > STEEP:
        yield f"not trained: {100 * share:.0f} % of what it learned came in the last quarter of its epochs"


def close_to_chance(records: Sequence[Record], least_over_chance: float) -> str:
    """Say that networks of one kind are close to chance; empty if they are not, or if nothing was measured."""
    accuracy = mean_reached(records)
    if accuracy is None:
        return ""
    if are_detectors(records):
        name, chance, least = "mAP50", 0.0, LEAST_MAP50
    else:
        name, chance = "accuracy", 1 / records[0].data.classes
        least = least_accuracy_of(records[0], least_over_chance)
    if accuracy >= least:
        return ""
    bound = f"{100 * least:.3g} % (chance: {100 * chance:.3g} %)"
    return f"not trained: its {name} of {100 * accuracy:.1f} % is below {bound}"


def mean_reached(records: Sequence[Record]) -> float | None:
    """Return the mean accuracy, of detectors mAP50, after the last epoch; None where it was not measured."""
    accuracies = [accuracy for record in records if (accuracy := _accuracy(record)) is not None]
    return fmean(accuracies) if accuracies else None


def are_detectors(records: Sequence[Record]) -> bool:
    """Return whether networks are detectors, by their main metric."""
    return main_metric(records[0].metrics) == MAP50


def least_accuracy_of(record: Record, least_over_chance: float) -> float:
    """Return the accuracy from which a run's network counts as trained, by its classes and its wrong labels."""
    noise = float(record.config.get("data", {}).get("label_noise", 0.0))
    return least_accuracy(record.data.classes, least_over_chance, 1 - noise)


def least_accuracy(classes: int, least_over_chance: float, right_labels: float = 1.0) -> float:
    """Return the accuracy from which a network counts as trained.

    Args:
        classes: that were learned.
        least_over_chance: how many times chance it must be, with right labels alone.
        right_labels: share of the training labels that are right.
    """
    chance = 1 / classes
    return right_labels * min(least_over_chance / classes, (1 + chance) / 2) + (1 - right_labels) * chance


def late_share(curves: Sequence[Sequence[tuple[int, float]]], chance: float) -> float | None:
    """Return which share of the accuracy above chance the last quarter of the epochs brought, in the mean over runs.

    It is the gain over the best epoch before, as single epochs at high learning rates dip. None if no run has enough
    epochs, or if nothing was learned.
    """
    long = [[accuracy for _, accuracy in curve] for curve in curves if len(curve) >= FEWEST_EPOCHS]
    if not long:
        return None
    end = fmean(accuracies[-1] for accuracies in long)
    before = fmean(max(accuracies[: -math.ceil(LATE_SHARE * len(accuracies))]) for accuracies in long)
    return (end - before) / (end - chance) if end > chance else None


def _accuracy(record: Record) -> float | None:
    """Return a run's accuracy after its last epoch: of the test, otherwise of the validation images."""
    values = (record.main_value(split) for split in (TEST, VAL))
    return next((value for value in values if value is not None), None)
