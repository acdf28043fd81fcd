"""attnbench cost: count parameters and multiply-adds, without data, weights or training."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from attnbench.cli.arguments import override_parser, wants_help
from attnbench.cli.help import COST
from attnbench.cli.wrap import print_help
from attnbench.config.compose import compose
from attnbench.config.diff import Difference, differences
from attnbench.config.parametric_names import short_name
from attnbench.config.sweep import expand, is_sweep
from attnbench.config.validate import RunConfig
from attnbench.exit_codes import DONE

COUNTS = ("parameters", "attention_parameters", "multiply_adds", "attention_multiply_adds")


def main(words: Sequence[str]) -> int:
    """Print the cost of one network or several, and return the exit status."""
    if wants_help(words):
        print_help(COST)
        return DONE
    arguments = _parse(words)
    given = (arguments.overrides, arguments.config_dir, arguments.config_name)
    several = arguments.multirun or is_sweep(*given)
    configs = expand(*given).configs if several else [compose(*given)]
    rows = [cost_row(config) for config in configs]
    if arguments.json:
        print(json.dumps(rows if several else rows[0], indent=2))
    else:
        show_costs(rows, differences(configs))
    return DONE


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = override_parser("cost")
    parser.add_argument("--json", action="store_true")
    return parser.parse_intermixed_args(words)


def cost_row(config: RunConfig) -> dict[str, Any]:
    """Return what a configuration's network is and costs. Raises `UserError` if it cannot be built."""
    from attnbench.build import stem_note
    from attnbench.training.experiment import Experiment

    experiment = Experiment(config)
    data, cost = experiment.data, experiment.cost
    names = {group: short_name(config.choices[group], config[group]) for group in ("backbone", "attention", "data")}
    image = f"{data.channels}x{data.image_size}x{data.image_size}"
    classes = {"classes": data.num_classes, "all_classes": data.all_classes}
    stem = stem_note(config, data.image_size)
    return {**names, "image": image, "stem": stem, **classes, **asdict(cost), "config": config.values}


def show_costs(rows: Sequence[dict[str, Any]], row_names: Sequence[Difference]) -> None:
    """Print the cost of one network in a few lines, or of several as a table.

    Args:
        rows: the networks, as `cost_row` returns them.
        row_names: how each network's configuration differs from the others.
    """
    from attnbench.console import make_console, make_table

    console = make_console()
    if len(rows) == 1:
        console.print("\n".join(_lines(rows[0])), soft_wrap=True)
        return
    keys = list(dict.fromkeys(key for row_name in row_names for key in row_name))
    table = make_table(caption="parameters and multiply-adds of one image's forward pass")
    for key in keys:
        table.add_column(key)
    for heading in ("parameters", "by attention", "multiply-adds", "by attention"):
        table.add_column(heading, justify="right")
    for row, row_name in zip(rows, row_names, strict=True):
        table.add_row(*(row_name.get(key, "") for key in keys), *(f"{row[count]:,}" for count in COUNTS))
    console.print(table)


def _lines(row: dict[str, Any]) -> Iterator[str]:
    from attnbench.formatting import of_all

    network = f"{row['backbone']} with attention {row['attention']}"
    classes = of_all(row["classes"], row["all_classes"])
    yield f"{network}, on {row['data']}: images of {row['image']}, {classes} classes"
    if row["stem"]:
        yield f"  {row['stem']}"
    for label, total, share in zip(("parameters", "multiply-adds"), COUNTS[::2], COUNTS[1::2], strict=True):
        part = f"  ({row[share]:,} by attention)" if row[share] else ""
        if total == "multiply_adds" and row["executed_multiply_adds"] != row[total]:
            part += f"; executed here: {row['executed_multiply_adds']:,}"
        yield f"  {label:<14} {row[total]:>15,}{part}"
