"""What `attnbench tune` is asked for: methods, search space and budget, from the words of its command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from attnbench.config import schema
from attnbench.config.compose import apply, compose
from attnbench.config.overrides import parse_one, parse_single
from attnbench.config.search_path import search_path, shipped
from attnbench.config.validate import check
from attnbench.construct import guarded
from attnbench.errors import UserError, nearest, require, require_choice
from attnbench.tune.space import Dimension, load_space

FILE = "tune.yaml"
SEARCH = "lr_wd"
"""The search space unless another one is chosen."""
CHOSEN_HERE = ("seed", "test", "run.again", "debug")
"""Keys of a run that tuning sets itself."""
ADDED = ("search", "tune")
"""Keys that tuning has beside those of a run."""


@dataclass(frozen=True)
class TuneOptions:
    """Options of the group `tune`, with their ranges checked; `configs/tune.yaml` explains each one."""

    trials: int
    seeds: int
    final_seeds: int
    sampler: str
    startup: int
    pruner: str
    grace: float
    parallel: int | str
    storage: str | None

    def __post_init__(self) -> None:
        require_choice("sampler", self.sampler, ("tpe", "random"))
        require_choice("pruner", self.pruner, ("median", "halving", "none"))
        for key in ("trials", "seeds", "final_seeds"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "must be at least 1")
        require(self.startup >= 0, "startup", self.startup, "must not be negative")
        require(0 <= self.grace < 1, "grace", self.grace, "must be in [0, 1)")
        fits = self.parallel == "auto" or int(self.parallel) >= 1
        require(fits, "parallel", self.parallel, "must be at least 1, or auto")


@dataclass(frozen=True)
class Request:
    """What is to be tuned. overrides: of the methods, some with several values. search: the space's name."""

    overrides: list[str]
    search: str
    space: list[Dimension]
    options: TuneOptions


def read_request(words: Sequence[str], config_dir: str | None) -> Request:
    """Sort the words of the command line into methods, search space and options. Raises `UserError`."""
    folders = search_path(config_dir)
    keys = [parse_one(word, folders).key_or_group for word in words]
    for key in keys:
        if key in CHOSEN_HERE:
            raise UserError(f"{key}: attnbench tune chooses it; tune.seeds and tune.final_seeds say how many seeds")
        _check_spelling(key, config_dir)
    named = [word for word, key in zip(words, keys, strict=True) if key == "search"]
    search = str(parse_single(named[-1]).value()) if named else SEARCH
    own = [word for word, key in zip(words, keys, strict=True) if key.partition(".")[0] == "tune"]
    overrides = [word for word in words if word not in (*named, *own)]
    return Request(overrides, search, load_space(search, folders), _options(own, folders))


def _check_spelling(key: str, config_dir: str | None) -> None:
    """Raise `UserError` for a key that no run has and that is like one of those that tuning adds."""
    top = key.partition(".")[0]
    hint = "" if top in ADDED else nearest(top, ADDED)
    if hint and not {top} & {*(run := compose(config_dir=config_dir)).values, *run.choices}:
        raise UserError(f"{key}: no such key{hint}")


def _options(words: Sequence[str], folders: Sequence[Path]) -> TuneOptions:
    defaults: dict[str, Any] = {"tune": OmegaConf.to_container(OmegaConf.load(shipped() / FILE))}
    values = apply(defaults, [parse_single(word) for word in words])
    checked = check(values, defaults, schema.declarations(defaults), {}, folders)
    options: TuneOptions = guarded("tune", lambda: TuneOptions(**checked["tune"]))
    return options
