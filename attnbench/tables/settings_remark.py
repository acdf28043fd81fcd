"""One remark on how a table's runs were trained, from their records: data, recipe, starting weights."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from attnbench.tables.results.records import Record

PAPER = "paper"
"""The profile whose settings are the paper's own, as far as they are known; the table's notes describe these."""
STEM_BY_SIZE = "auto"
"""The default of a backbone's stem: by the images' size."""
DIFFERS = "differs by row"


def settings_remark(records: Sequence[Record]) -> str:
    """Return the settings of runs in a sentence; what differs between rows is a range, or is said to differ."""
    if not records:
        return ""
    return f"{_images(records)}; {', '.join([*_recipe(records), *_network(records)])}."


def _images(records: Sequence[Record]) -> str:
    """Write the data sets with how many images there were, as far as records say it, and their size."""
    data = " and ".join(sorted({record.choices["data"] for record in records}))
    trained, tested = ([count for record in records if (count := getattr(record.data, part)) is not None]
                       for part in ("train_images", "test_images"))  # fmt: skip
    number, test = f"{_span(trained)} images of " if trained else "", f", tested on {_span(tested)}" if tested else ""
    size = _span([record.data.image_size for record in records])
    return f"Runs were trained on {number}{data}, {size} pixels wide{test}"


def _recipe(records: Sequence[Record]) -> Iterator[str]:
    recipes = {record.choices["recipe"] for record in records}
    yield f"recipe {recipes.pop()}" if len(recipes) == 1 else f"the recipe {DIFFERS}"
    yield f"{_span([record.epochs for record in records])} epochs"
    for group, key, title in (("recipe", "lr", "learning rate {}"), ("data", "batch_size", "batch size {}")):
        values = [value for value in _values(records, group, key) if isinstance(value, int | float)]
        if values:
            yield title.format(_span(values))


def _network(records: Sequence[Record]) -> Iterator[str]:
    """Yield the starting weights, and the stem where it is not the one by the images' size."""
    weights = _values(records, "backbone", "weights")
    yield _one("starting weights", ["random" if path is None else path for path in weights])
    stems = ["" if stem in (None, STEM_BY_SIZE) else stem for stem in _values(records, "backbone", "stem")]
    if any(stems):
        yield _one("stem", stems)


def _values(records: Sequence[Record], group: str, key: str) -> list[Any]:
    return [(record.config.get(group) or {}).get(key) for record in records]


def _one(title: str, values: Sequence[Hashable]) -> str:
    """Name the value that all have: `stem imagenet`; or say that it differs."""
    kinds = set(values)
    return f"{title} {kinds.pop()}" if len(kinds) == 1 else f"{title}: {DIFFERS}"


def _span(numbers: Sequence[float]) -> str:
    """Write a number, or the range of several: `1,500 to 10,000`."""
    low, high = min(numbers), max(numbers)
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
