"""Draw which rooms of the package import which, from the code itself.

    python scripts/import_graph.py FILE.svg

Rooms are in the layers of the contract in `pyproject.toml`; imports may only go down. An arrow that goes up is drawn in
red. Imports that follow from others are left out: where cli imports training and training imports runs, there is no
arrow from cli to runs. The documentation draws this picture while it is built.
"""

import re
import sys
import tomllib
from pathlib import Path

import grimp
from drawing import BLUE, GREEN, GREY, ORANGE, PLAIN, VIOLET, Box, canvas, draw_arrow, draw_box, save
from matplotlib.figure import Figure

PACKAGE = "attnbench"
PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def contract() -> tuple[tuple[str, ...], ...]:
    """Return the package's layers from top to bottom, as the contract `spine` of import-linter names them."""
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (spine,) = (item for item in contracts if item["id"] == "spine")
    return tuple(tuple(re.findall(r"\w+", layer)) for layer in spine["layers"])


CONTRACT = contract()
LOWEST = CONTRACT.index(("config",)) + 1
GROUND = tuple(room for layer in CONTRACT[LOWEST:] for room in layer)
"""What everything may import, drawn as one box."""
LAYERS = (*CONTRACT[:LOWEST], ("ground",))
"""The rooms from top to bottom; a room may import from lower layers only."""
COLUMNS = {
    **{"cli": 5.0, "reproduce": 4.6, "report": 2.6, "explain": 2.4, "detection": 0.9, "launch": 6.8},
    **{"training": 2.6, "tables": 4.9, "runs": 6.8, "weights": 1.8, "build": 2.4, "cost": 4.2, "construct": 4.8},
    **{"classifier": 3.0, "attention": 3.0, "backbones": 3.0, "data": 4.8, "config": 6.2},
}
"""Where a room stands from left to right, in inches; the middle if it is not named."""
COLORS = {
    "cli": ORANGE,
    "reproduce": ORANGE,
    "report": ORANGE,
    "launch": ORANGE,
    "training": GREEN,
    "tables": GREEN,
    "runs": GREEN,
}
COLORS |= dict.fromkeys(("build", "cost", "construct", "classifier", "attention", "backbones", "weights"), BLUE)
COLORS |= {"data": VIOLET}
RED = "#d32f2f"
WIDTH, ROW = 8.0, 0.78
Edges = set[tuple[str, str]]


def room_of(module: str) -> str | None:
    """Return the room of a module: `attnbench.data.splits` is in `data`; None for the package itself."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return None
    return "ground" if parts[1] in GROUND else parts[1]


def imports() -> Edges:
    """Return all pairs of different rooms of which the first imports the second."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    pairs = {
        (room_of(module), room_of(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(above, below) for above, below in pairs if above and below and above != below}


def reduced(edges: Edges) -> Edges:
    """Return the edges that do not follow from others, and all that break the layers."""

    def reaches(start: str, end: str, seen: frozenset[str]) -> bool:
        following = {below for above, below in edges if above == start} - seen
        return end in following or any(reaches(room, end, seen | {room}) for room in following)

    def follows(above: str, below: str) -> bool:
        others = {room for start, room in edges if start == above} - {below}
        return any(reaches(room, below, frozenset({above, room})) for room in others)

    return {edge for edge in edges if goes_up(*edge) or not follows(*edge)}


def goes_up(above: str, below: str) -> bool:
    """Return whether an import breaks the layers."""
    return rank(above) >= rank(below)


def rank(room: str) -> int:
    """Return a room's layer, from 0 at the top. Raises `KeyError` for a room that no layer names."""
    for index, rooms in enumerate(LAYERS):
        if room in rooms:
            return index
    raise KeyError(f"{room}: name its layer in the contract `spine` in pyproject.toml")


def draw(edges: Edges) -> Figure:
    """Return the picture of the rooms that take part in any import."""
    rooms = {room for edge in edges for room in edge}
    layers = sorted({rank(room) for room in rooms}, reverse=True)  # from bottom to top
    heights = {layer: ROW * (place + 0.5) + 0.05 for place, layer in enumerate(layers)}
    figure, axes = canvas(WIDTH, ROW * len(heights) + 0.1)
    boxes = {}
    for name in sorted(rooms):
        text, width = (f"ground: {', '.join(GROUND)}", 5.2) if name == "ground" else (name, 1.3)
        box = Box(COLUMNS.get(name, WIDTH / 2), heights[rank(name)], width, 0.4)
        boxes[name] = draw_box(axes, box, text, COLORS.get(name, PLAIN))
    for above, below in sorted(reduced(edges)):
        start, end = boxes[above].bottom, boxes[below].top
        end = (min(max(start[0], end[0] - 2.4), end[0] + 2.4), end[1]) if below == "ground" else end
        draw_arrow(axes, start, end, color=RED if goes_up(above, below) else GREY)
    return figure


def main() -> None:
    """Draw the picture into the file on the command line."""
    save(draw(imports()), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
