"""Costs in the terminal: of one network in lines, of several as a table; measured ones, and layer by layer."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from attnbench.config.diff import Difference, label
from attnbench.console import make_console, make_table
from attnbench.formatting import middle_half, of_all

COUNTS = ("parameters", "attention_parameters", "multiply_adds", "attention_multiply_adds")
MIB = 2**20
Row = dict[str, Any]


def show_costs(rows: Sequence[Row], names: Sequence[Difference]) -> None:
    """Print what one network costs in a few lines, or what several cost as a table.

    Args:
        rows: the networks, as `cost_row` returns them.
        names: how each network's configuration differs from the others.
    """
    console = make_console()
    if len(rows) == 1:
        console.print("\n".join(_lines(rows[0])), soft_wrap=True)
        return
    keys = list(dict.fromkeys(key for name in names for key in name))
    table = make_table(caption="parameters and multiply-adds of one image's forward pass")
    for key in keys:
        table.add_column(key)
    for heading in ("parameters", "by attention", "multiply-adds", "by attention"):
        table.add_column(heading, justify="right")
    for row, name in zip(rows, names, strict=True):
        table.add_row(*(name.get(key, "") for key in keys), *(f"{row[count]:,}" for count in COUNTS))
    console.print(table)


def _lines(row: Row) -> Iterator[str]:
    classes = of_all(row["classes"], row["all_classes"])
    yield f"{_network(row)}, on {row['data']}: images of {row['image']}, {classes} classes"
    if row["stem"]:
        yield f"  {row['stem']}"
    for heading, total, share in zip(("parameters", "multiply-adds"), COUNTS[::2], COUNTS[1::2], strict=True):
        part = f"  ({row[share]:,} by attention)" if row[share] else ""
        if total == "multiply_adds" and row["executed_multiply_adds"] != row[total]:
            part += f"; executed here: {row['executed_multiply_adds']:,}"
        yield f"  {heading:<14} {row[total]:>15,}{part}"


def _network(row: Row) -> str:
    return f"{row['backbone']} with attention {row['attention']}"


def show_measurements(rows: Sequence[Row], names: Sequence[Difference]) -> None:
    """Print how fast networks are and how much memory they take; arguments as for `show_costs`."""
    first = rows[0]["measured"]
    hardware, turns = first["hardware"], len(first["training_seconds"])
    title = f"{hardware['device_name']}, {hardware['precision']}, {hardware['threads']} threads"
    table = make_table(title, caption=f"median of {turns} turns (the middle half of them); plain: attention=none")
    table.add_column("network")
    for heading in ("batch", "forward ms", "training ms", "of the plain one", "img/s", "peak MiB"):
        table.add_column(heading, justify="right")
    for row, name in zip(rows, names, strict=True):
        table.add_row(label(name) or _network(row), *_measured_cells(row["measured"]))
    make_console().print(table)


def _measured_cells(measured: Row) -> Iterator[str]:
    yield str(measured["batch"])
    for key in ("forward_seconds", "training_seconds"):
        yield middle_half([1000 * seconds for seconds in measured[key]], 1)
    yield middle_half(measured["of_plain"], 2) if "of_plain" in measured else "–"
    yield f"{median(measured['images_per_second']):,.0f}"
    peak = measured["peak_memory_bytes"]
    yield "–" if peak is None else f"{peak / MIB:,.0f}"


def show_layers(layers: Sequence[Row]) -> None:
    """Print the layers of a network, in the order in which they run."""
    measured = "forward_seconds" in layers[0]
    note = "one image's forward pass" + ("; ms of the batch, with a pause after each layer" if measured else "")
    table = make_table(caption=f"* belongs to the attention; {note}")
    table.add_column("layer")
    table.add_column("kind")
    for heading in ("output", "parameters", "multiply-adds", *(["ms"] if measured else [])):
        table.add_column(heading, justify="right")
    for layer in layers:
        shape = "x".join(map(str, layer["output_shape"])) or "–"
        cells = [shape, f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}"]
        if measured:
            cells.append(f"{1000 * median(layer['forward_seconds']):.2f}" if layer["forward_seconds"] else "–")
        table.add_row(f"{'*' if layer['of_attention'] else ''}{layer['path']}", layer["kind"], *cells)
    make_console().print(table)
