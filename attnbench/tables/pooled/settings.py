"""Records to settings and blocks: a block's runs share everything but the attention, a setting's all but the seed."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from attnbench.config.compose import Composer
from attnbench.config.diff import differences, label, shown_choices
from attnbench.config.recompose import recompose
from attnbench.config.schema import flatten
from attnbench.config.switched_off import SwitchedOff, switched_off
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.formatting import of_all
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_parts import CostRecord, DataRecord
from attnbench.tables.results.records import Record
from attnbench.tables.results.training_state import are_detectors, close_to_chance, mean_reached
from attnbench.tables.results.values import PERCENT, own_result
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import LEAST_OVER_CHANCE, Column, Row

PLAIN = "none"
"""The choice of attention that all others are compared with."""
RULE = "top-1 accuracy below three times chance, or halfway to 100 % where classes are few"
RULE_OF_DETECTORS = "mAP50 below 10 %"


@dataclass
class Setting:
    """The runs of one configuration, and a metric's values in per cent, both by seed.

    Attributes:
        off: how the attention is switched off, where its file declares it.
    """

    config: RunConfig
    off: SwitchedOff | None = None
    records: dict[int, Record] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)

    @property
    def attention(self) -> str:
        """The choice of attention."""
        return self.config.choices["attention"]

    @property
    def options(self) -> dict[str, object]:
        """The values of the attention that make the runs what they are, by dotted key."""
        return {key: value for key, value in self.config.identity.items() if of_attention(key)}

    @property
    def own_options(self) -> dict[str, object]:
        """The values of all options of the attention, by their names."""
        return flatten(self.config["attention"])

    @property
    def switched_off(self) -> bool:
        """Whether the attention is off by its own options."""
        return self.off is not None and self.off.matches(self.own_options)

    @property
    def record(self) -> Record:
        """The record of one of the runs."""
        return next(iter(self.records.values()))

    @property
    def data(self) -> DataRecord:
        """The data set that the runs were trained on."""
        return self.record.data

    @property
    def costs(self) -> CostRecord:
        """The cost of the network."""
        return self.record.costs

    @property
    def reached(self) -> float | None:
        """Mean top-1 accuracy, of detectors mAP50, in per cent; None where it was not measured."""
        share = mean_reached(list(self.records.values()))
        return None if share is None else PERCENT * share

    @property
    def learned(self) -> bool:
        """Whether the networks are not close to chance, by the rule of `training_state`."""
        return not close_to_chance(list(self.records.values()), LEAST_OVER_CHANCE)

    @property
    def rule(self) -> str:
        """From where networks of this kind have not learned, in words."""
        detector = are_detectors(list(self.records.values()))
        return RULE_OF_DETECTORS if detector else RULE


def of_attention(key: str) -> bool:
    """Return whether a key is the choice of attention or one of its options."""
    return key == "attention" or key.startswith("attention.")


def read_settings(records: Iterable[RunRecord], metric: str, composer: Composer) -> tuple[list[Setting], list[str]]:
    """Sort records by configuration, each run once.

    Args:
        records: of runs that finished or diverged; those of one identity and seed are the same run.
        metric: of the test set, or of the maps.
        composer: composes the runs' configurations.

    Returns:
        The settings that have a value and no run that diverged, and why other runs are left out, each reason once.
    """
    settings: list[Setting] = []
    reasons: dict[str, None] = {}
    ordered = sorted(records, key=lambda record: (record.identity, record.seed))
    for _, of_kind in groupby(ordered, lambda record: record.identity):
        runs = list(of_kind)
        try:
            setting, divergence = _read_setting(runs, Column("", "", metric), composer)
        except UserError as error:
            reasons[str(error)] = None
            continue
        if divergence:
            reasons[f"{_describe(setting)} ({divergence})"] = None
        elif setting.values:
            settings.append(setting)
    return settings, list(reasons)


def _read_setting(runs: Sequence[RunRecord], column: Column, composer: Composer) -> tuple[Setting, str]:
    """Return the setting of runs of one configuration, and how many of them diverged, in words.

    Raises:
        UserError: this version cannot read the configuration.
    """
    config, _ = recompose(composer, runs[0].choices, runs[0].config, [])
    finished = {run.seed: run for run in reversed(runs) if isinstance(run, FinishedRecord)}
    diverged = {run.seed: run for run in runs if run.seed not in finished}
    result = own_result(CellConfig(Row("", "", {}), column, config), finished, diverged)
    values = {seed: value for seed, value in result.values["last"].items() if math.isfinite(value)}
    off = switched_off(composer, config.choices["attention"])
    return Setting(config, off, {seed: finished[seed] for seed in values}, values), result.divergence


def _describe(setting: Setting) -> str:
    choices = shown_choices(setting.config)
    return f"{choices['attention']} in {choices['backbone']} on {choices['data']}"


def sort_into_blocks(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Group settings that share everything but the attention, in an order that runs do not change.

    Files of data and of weights count by their content, the latter as far as records say it.
    """
    blocks: dict[str, list[Setting]] = {}
    for setting in settings:
        blocks.setdefault(_block_key(setting), []).append(setting)
    return [sorted(blocks[key], key=lambda setting: repr(setting.options)) for key in sorted(blocks)]


def _block_key(setting: Setting) -> str:
    shared = {key: value for key, value in setting.config.identity.items() if not of_attention(key)}
    return json.dumps([shared, setting.data.fingerprint, setting.record.weights], sort_keys=True)


def name_blocks(blocks: Sequence[Sequence[Setting]]) -> tuple[list[str], str]:
    """Name blocks by backbone, by data where it differs, and by further keys as far as these tell blocks apart.

    Returns:
        The names, and the data that all blocks share; the latter is empty if they do not.
    """
    data = [_data_name(block[0]) for block in blocks]
    shared = data[0] if len(set(data)) == 1 else ""
    networks = [_backbone_name(block[0]) for block in blocks]
    alike: dict[tuple[str, str], list[int]] = {}
    for place, pair in enumerate(zip(networks, data, strict=True)):
        alike.setdefault(pair, []).append(place)
    for places in (places for places in alike.values() if len(places) > 1):
        extra = _tell_apart([blocks[place][0].config for place in places])
        for place, text in zip(places, extra, strict=True):
            networks[place] = f"{networks[place]} {text}".strip()
    names = networks if shared else [" · ".join(pair) for pair in zip(networks, data, strict=True)]
    return names, shared


def _backbone_name(setting: Setting) -> str:
    return shown_choices(setting.config)["backbone"]


def _data_name(setting: Setting) -> str:
    data, name = setting.data, shown_choices(setting.config)["data"]
    return f"{name} ({of_all(data.classes, data.all_classes)} classes)" if data.all_classes else name


def _tell_apart(configs: Sequence[RunConfig]) -> list[str]:
    """Write what tells configurations apart, attention aside, with no more keys than that takes.

    Blocks that share all keys, and differ in their data's files, get the same words.
    """
    found = [{key: value for key, value in values.items() if key not in ("attention", "backbone", "data")}
             for values in differences([_without_attention(config) for config in configs])]  # fmt: skip
    chosen: list[str] = []
    for key in dict.fromkeys(key for values in found for key in values):
        kinds, more = (len({tuple(values.get(name) for name in names) for values in found})
                       for names in (chosen, [*chosen, key]))  # fmt: skip
        if more > kinds:
            chosen.append(key)
    return [label({key: values[key] for key in chosen if key in values}) for values in found]


def _without_attention(config: RunConfig) -> RunConfig:
    values = {group: node for group, node in config.values.items() if group != "attention"}
    choices = {group: choice for group, choice in config.choices.items() if group != "attention"}
    return RunConfig(values, choices, {key: node for key, node in config.identity.items() if not of_attention(key)})
