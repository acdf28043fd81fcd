"""Scores of a row's maps, which `attnbench explain` kept beside the runs, as HTML."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from attnbench.formatting import spread
from attnbench.report.rows import ReportRow
from attnbench.runs.explanation_entry import ExplanationEntry


def map_scores(row: ReportRow) -> str:
    """Return a table of a row's maps and their scores, means over seeds; empty where no map was scored.

    Runs may have been explained several times. The images that most runs share are shown, of those the most images.
    """
    kept = [record.explanations for _, record in sorted(row.result.records.items())]
    count = Counter(key for entries in kept for key, entry in entries.items() if entry.maps)
    if not count:
        return ""
    images = {key: entry.images for entries in kept for key, entry in entries.items()}
    key = max(count, key=lambda name: (count[name], images[name]))
    entries = [entries[key] for entries in kept if key in entries]
    seeds = f"of {len(entries)} seeds" if len(entries) > 1 else "of one seed"
    return f"{_table(entries)}<p>In per cent, means over {images[key]} test images {seeds}.</p>"


def _table(entries: Sequence[ExplanationEntry]) -> str:
    maps = dict.fromkeys(name for entry in entries for name in entry.maps)
    measures = dict.fromkeys(name for entry in entries for scores in entry.maps.values() for name in scores)
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in ("map", *measures))
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{spread(_means(entries, name, measure))}</td>" for measure in measures)
        + "</tr>"
        for name in maps
    )
    return (
        f'<div class="scores"><table class="options"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _means(entries: Sequence[ExplanationEntry], name: str, measure: str) -> list[float | None]:
    return [entry.maps[name][measure].value for entry in entries if measure in entry.maps.get(name, {})]
