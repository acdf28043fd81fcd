"""attnbench cost: count parameters and multiply-adds, and measure speed and memory, without data or weights."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import override_parser, wants_help, wants_sweep
from attnbench.cli.help import COST
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.config.compose import compose
from attnbench.config.diff import differences
from attnbench.config.parametric_names import short_name
from attnbench.config.sweep import expand
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.exit_codes import DONE

if TYPE_CHECKING:
    from attnbench.training.experiment import Experiment
    from attnbench.training.measure import Measurement

ATTENTION, NONE = "attention", "none"
TURNS = 7
Row = dict[str, Any]


def main(words: Sequence[str]) -> int:
    """Print the cost of one network or several, and return the exit status."""
    if wants_help(words):
        print_help(COST)
        return DONE
    arguments = parse(words)
    configs = configurations(arguments)
    rows, names = _rows(configs, arguments)
    if arguments.json:
        print(json.dumps(rows if len(rows) > 1 or wants_sweep(arguments) else rows[0], indent=2))
        return DONE
    from attnbench.cli.views import cost as view

    view.show_costs(rows, names)
    if arguments.measure:
        view.show_measurements(rows, names)
    if arguments.layers:
        view.show_layers(rows[0]["layers"])
    return DONE


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Raises `UserError`."""
    parser = override_parser("cost")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--batch", type=_count)
    parser.add_argument("--turns", type=_count)
    parser.add_argument("--pixels", type=_counts, default=[None])
    arguments = parser.parse_intermixed_args(words)
    if not arguments.measure:
        refuse(arguments, ("batch", "turns"), "needs --measure")
    return arguments


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def configurations(arguments: argparse.Namespace) -> list[RunConfig]:
    """Compose the configurations that the arguments name; to be measured, those with attention have a plain network."""
    given = (arguments.config_dir, arguments.config_name)
    if wants_sweep(arguments):
        configs = expand(arguments.overrides, *given).configs
    else:
        configs = [compose(arguments.overrides, *given)]
    return _with_plain(configs, arguments) if arguments.measure and not arguments.layers else configs


def _with_plain(configs: Sequence[RunConfig], arguments: argparse.Namespace) -> list[RunConfig]:
    """Put the network without attention before those that differ in their attention alone, unless it is among them."""
    plain = {_beside_attention(config) for config in configs if config.choices[ATTENTION] == NONE}
    none = compose([f"{ATTENTION}={NONE}"], arguments.config_dir)
    found = []
    for config in configs:
        if (rest := _beside_attention(config)) not in plain:
            plain.add(rest)
            found.append(plain_of(config, none))
        found.append(config)
    return found


def plain_of(config: RunConfig, none: RunConfig) -> RunConfig:
    """Return a configuration with the attention of another one, `none`, whatever its files set of its own attention."""
    values = {**config.values, ATTENTION: none.values[ATTENTION]}
    kept = {key: value for key, value in config.identity.items() if not _is_of_attention(key)}
    added = {key: value for key, value in none.identity.items() if _is_of_attention(key)}
    return RunConfig(values, {**config.choices, ATTENTION: NONE}, kept | added)


def _is_of_attention(key: str) -> bool:
    return key.partition(".")[0] == ATTENTION


def _beside_attention(config: RunConfig) -> str:
    """Return what tells apart configurations, without their attention."""
    return str({key: value for key, value in config.identity.items() if not _is_of_attention(key)})


def _rows(configs: Sequence[RunConfig], arguments: argparse.Namespace) -> tuple[list[Row], list[dict[str, str]]]:
    """Return the costs of each network at each size, and how each differs from the others."""
    from attnbench.training.experiment import Experiment

    sizes = arguments.pixels
    if arguments.layers and len(configs) * len(sizes) > 1:
        raise UserError("--layers lists the layers of one network: give each key, and --pixels, one value")
    experiments = [Experiment(config, size) for config in configs for size in sizes]
    rows = [cost_row(experiment) for experiment in experiments]
    if arguments.measure:
        _add_measurements(rows, experiments, arguments)
    if arguments.layers:
        rows[0]["layers"] = _layers(experiments[0], rows[0])
    names = [difference for difference in differences(configs) for _ in sizes]
    pixels = [{"pixels": str(experiment.image_size)} if len(sizes) > 1 else {} for experiment in experiments]
    return rows, [{**name, **size} for name, size in zip(names, pixels, strict=True)]


def cost_row(experiment: "Experiment") -> Row:
    """Return what an experiment's network is and costs. Raises `UserError` if it cannot be built."""
    from attnbench.build import stem_note

    config, data, cost = experiment.config, experiment.data, experiment.cost
    names = {group: short_name(config.choices[group], config[group]) for group in ("backbone", ATTENTION, "data")}
    image = f"{data.channels}x{experiment.image_size}x{experiment.image_size}"
    classes = {"classes": data.num_classes, "all_classes": data.all_classes}
    stem = stem_note(config, experiment.image_size)
    return {**names, "image": image, "stem": stem, **classes, **asdict(cost), "config": config.values}


def _add_measurements(rows: Sequence[Row], experiments: Sequence["Experiment"], arguments: argparse.Namespace) -> None:
    """Add what was measured to each row. Networks that differ in their attention alone are measured in turns."""
    from attnbench.training.measure import measure
    from attnbench.training.speed_probe import probe_batch

    groups: dict[str, list[int]] = {}
    for place, experiment in enumerate(experiments):
        groups.setdefault(f"{_beside_attention(experiment.config)} {experiment.image_size}", []).append(place)
    for places in groups.values():
        members = [experiments[place] for place in places]
        measured = measure(
            members, arguments.batch or probe_batch(members[0].data.batch_size), arguments.turns or TURNS
        )
        plain = next((row for row, place in zip(measured, places, strict=True) if rows[place][ATTENTION] == NONE), None)
        for place, found in zip(places, measured, strict=True):
            rows[place]["measured"] = _measured_row(found, plain)


def _measured_row(found: "Measurement", plain: "Measurement | None") -> Row:
    """Return a measurement as plain data: one value a turn; `of_plain` is the ratio of training times in a turn."""
    row = asdict(found) | {"images_per_second": found.images_per_second}
    if plain is not None:
        pairs = zip(found.training_seconds, plain.training_seconds, strict=True)
        row["of_plain"] = [own / other for own, other in pairs]
    return row


def _layers(experiment: "Experiment", row: Row) -> list[Row]:
    """Return the layers of a network as plain data, with the seconds of each if the network was measured."""
    from attnbench.cost import count_layers
    from attnbench.training.measure import layer_seconds
    from attnbench.training.speed_probe import Probe

    layers = [
        asdict(layer) for layer in count_layers(experiment.blueprint, experiment.data.channels, experiment.image_size)
    ]
    if "measured" not in row:
        return layers
    measured = row["measured"]
    seconds = layer_seconds(Probe(experiment, measured["batch"]), len(measured["forward_seconds"]))
    return [layer | {"forward_seconds": seconds.get(layer["path"])} for layer in layers]
