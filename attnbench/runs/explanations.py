"""Explanations of a finished run: what to explain, and the file beside the record that keeps the scores."""

from dataclasses import dataclass, replace
from pathlib import Path

from attnbench.runs.explanation_entry import ExplanationEntry
from attnbench.runs.files import read_json, shown, write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.json_objects import read_object
from attnbench.runs.lock import Lock
from attnbench.runs.predictions import Pick

PREDICTED, TRUE = "predicted", "true"
JOBS = "explanations/jobs"
"""The folder of an output folder where jobs of `attnbench explain` keep what they found."""


@dataclass(frozen=True)
class Request:
    """What is to be explained.

    Attributes:
        images: number of test images.
        files: image files, in place of test images.
        pick: which test images.
        seed: of the choice.
        target: the class to explain: `true`, `predicted`, or a name; None for `true` where classes are known.
        layers: where class activation maps are taken; empty for the default.
        methods: of class activation maps.
        faithfulness: whether the measures of `FAITHFULNESS` and randomised weights are measured too.
        checkpoint: `last` or `best`.
    """

    images: int
    files: tuple[Path, ...] = ()
    pick: Pick = "random"
    seed: int = 0
    target: str | None = None
    layers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("gradcam",)
    faithfulness: bool = False
    checkpoint: str = "last"

    @property
    def explained_class(self) -> str:
        """The class to explain, resolved."""
        return self.target or (PREDICTED if self.files else TRUE)

    @property
    def key(self) -> str:
        """The entry's name in `explanations.json`."""
        images = f"{self.checkpoint} {self.images} {self.pick} images seed{self.seed}"
        layers = ",".join(self.layers) or "default"
        return f"{images} class={self.explained_class} method={','.join(self.methods)} layers={layers}"


OF_TABLES = Request(images=500)
"""The explanation whose scores tables show."""


def read_explanations(run: RunFolder) -> dict[str, ExplanationEntry]:
    """Return the scores kept beside a run, by `Request.key`. Raises `UserError` if their file is damaged."""
    content, where = read_json(run.explanations_file) or {}, shown(run.explanations_file)
    return {key: read_object(ExplanationEntry, entry, where, f"{key}.") for key, entry in content.items()}


def keep_explanation(run: RunFolder, key: str, entry: ExplanationEntry) -> None:
    """Keep an entry in the run's `explanations.json`, in place of an earlier one of the same key.

    Measures that only the earlier one has stay, if it is of the same version and of as many images.

    Raises:
        UserError: the file is damaged, or the folder cannot be locked.
        WriteError: the file cannot be written.
    """
    with Lock(run.path).guard:  # one process at a time adds its entry
        entries = read_explanations(run)
        entries[key] = _completed(entry, entries.get(key))
        write_json(run.explanations_file, {name: kept.to_json() for name, kept in entries.items()})


def _completed(entry: ExplanationEntry, earlier: ExplanationEntry | None) -> ExplanationEntry:
    """Return an entry with the measures that only the earlier one of the same key has."""
    if earlier is None or (earlier.version, earlier.images) != (entry.version, entry.images):
        return entry
    names = dict.fromkeys([*entry.maps, *earlier.maps])
    maps = {name: {**earlier.maps.get(name, {}), **entry.maps.get(name, {})} for name in names}
    return replace(entry, maps=maps)
