"""A page for looking at explanations: images are filtered and stepped through, maps are blended with them.

The page contains its script, its images and its maps, so it needs no other file and no network. Images are PNG or JPEG;
maps are numbers that the script colours on a canvas, as these are smaller than pictures of most maps, and their values
can be read under the pointer.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.explain.cams import METHODS
from attnbench.explain.cells import COLOURS, MEANING, Scale, highest_bar
from attnbench.explain.draw import prediction, truth
from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Floats, Mark, Panel, Unit
from attnbench.plain_text import plain
from attnbench.runs.files import to_text, write_all
from attnbench.tables.render.page import image_address, make_page

HERE = Path(__file__).parent
VIEWER_STYLES, VIEWER_SCRIPT = HERE / "viewer.css", HERE / "viewer.js"
MOST_IMAGES = 100
"""Images on a page."""
LARGE = 64
"""Pixels of a side from which on JPEG is smaller than PNG and no worse to look at."""
STEPS = 2**16 - 1
"""A map's values are whole numbers from 0 to this one, between the panel's lowest and highest value."""
LONGEST = 200
"""Characters of a class's name in a caption."""
FEW = 3
"""Runs that a page's title names."""
ATTENTION = "attention"


def write_gallery(path: Path, several: Sequence[Explanation], scales: Mapping[Unit, Scale]) -> None:
    """Write the page of explanations of the same images. Raises `WriteError` if the file cannot be written.

    Args:
        path: of the page.
        several: the explanations; their first `MOST_IMAGES` images are shown.
        scales: of the colours, the same for all.
    """
    names = ", ".join(found.name for found in several) if len(several) <= FEW else f"{len(several)} runs"
    page = make_page(f"{names} · {_count(several[0])}", viewer(several, scales), [VIEWER_STYLES], [VIEWER_SCRIPT])
    write_all({path: plain(page)})


def _count(found: Explanation) -> str:
    total = f"{len(found)} image{'s' * (len(found) > 1)}"
    return total if len(found) <= MOST_IMAGES else f"the first {MOST_IMAGES} of {total}"


def viewer(several: Sequence[Explanation], scales: Mapping[Unit, Scale]) -> str:
    """Return the HTML of a viewer, which `VIEWER_SCRIPT` fills as soon as it is visible."""
    content = to_text(harmless(content_of(several, scales))).replace("<", "\\u003c")
    return f'<div class="viewer"><script type="application/json">{content}</script></div>'


def harmless(content: Any) -> Any:
    """Return JSON's kinds of values with every text as `plain` writes it: names are from strangers' files."""
    if isinstance(content, Mapping):
        return {key: harmless(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [harmless(value) for value in content]
    return plain(content) if isinstance(content, str) else content


def content_of(several: Sequence[Explanation], scales: Mapping[Unit, Scale]) -> dict[str, Any]:
    """Return what a viewer shows: the images, the runs with their panels, and the scales of colours."""
    first = several[0]
    height, width = first.pictures.shape[2:]
    units = {panel.unit for found in several for panel in found.panels if panel.is_map}
    return {
        "width": width,
        "height": height,
        "images": [_image(first, index) for index in range(min(len(first), MOST_IMAGES))],
        "runs": [_run(found) for found in several],
        "scales": {unit: _scale(unit, scale) for unit, scale in scales.items() if unit in units},
    }


def _image(found: Explanation, index: int) -> dict[str, Any]:
    """Return an image, with the boxes that all networks share."""
    from PIL import Image

    pixels = np.round(255 * found.pictures[index].transpose(1, 2, 0)).astype(np.uint8)
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    label = int(found.labels[index])
    return {
        "name": found.names[index],
        "label": label,
        "class": found.classes[label] if label >= 0 else "",
        "caption": truth(found, index, LONGEST),
        "source": image_address(picture, "JPEG" if max(picture.size) > LARGE else "PNG"),
        "boxes": _boxes(found, found.objects(index)),
    }


def _boxes(found: Explanation, marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Return boxes with their edges in fractions of the sides: left, top, right, bottom."""
    height, width = found.pictures.shape[2:]
    sides = np.array(2 * [width, height], np.float32)
    return [{"edges": (mark.box / sides).tolist(), "colour": mark.colour} for mark in marks]


def _run(found: Explanation) -> dict[str, Any]:
    shown = range(min(len(found), MOST_IMAGES))
    return {
        "name": found.name,
        "predicted": found.predicted[: len(shown)].tolist(),
        "captions": [prediction(found, index, with_truth=False, most=LONGEST) for index in shown],
        "boxes": [_boxes(found, found.findings(index)) for index in shown],
        "panels": [_panel(panel, len(shown)) for panel in found.panels],
    }


def _panel(panel: Panel, count: int) -> dict[str, Any]:
    """Return a panel of the first images; its values are numbers of two bytes, those of one image after another."""
    kind, _, place = panel.name.partition("/")
    method, _, layer = place.partition("/")
    is_cam = kind == "cam"
    values = panel.shown[:count]
    compared = None if panel.compared is None else panel.compared[:count]
    low = min(float(part.min()) for part in (values, compared) if part is not None)
    high = max(float(part.max()) for part in (values, compared) if part is not None)
    return {
        "title": panel.title,
        "method": METHODS[method][1] if is_cam else ATTENTION,
        "place": layer if is_cam else kind,
        "unit": panel.unit,
        "shape": list(values.shape[1:]),
        "low": low,
        "high": high,
        "highest": None if panel.is_map else highest_bar([panel], count),
        "values": _packed(values, low, high),
        "compared": None if compared is None else _packed(compared, low, high),
        "captions": list(panel.captions[:count]),
        "labels": list(panel.labels),
    }


def _packed(values: Floats, low: float, high: float) -> str:
    share = (np.nan_to_num(values) - low) / max(high - low, 1e-12)
    return base64.b64encode(np.round(share.clip(0, 1) * STEPS).astype("<u2").tobytes()).decode()


def _scale(unit: Unit, scale: Scale) -> dict[str, Any]:
    """Return a scale with its 256 colours, three bytes each."""
    from matplotlib import colormaps

    colours = colormaps[COLOURS[unit]](np.arange(256), bytes=True)[:, :3]
    return {
        "low": scale.low,
        "high": scale.high,
        "meaning": MEANING[unit],
        "colours": base64.b64encode(np.ascontiguousarray(colours).tobytes()).decode(),
    }
