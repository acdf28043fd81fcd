"""What a row opens: command, verdict, differences of the configuration, seeds, classes and explanations, as HTML."""

from collections.abc import Iterator, Sequence
from html import escape

from attnbench.config.command import training_command
from attnbench.config.compose import Composer
from attnbench.config.diff import differences
from attnbench.errors import UserError
from attnbench.formatting import p_in_words
from attnbench.report.graphics import Seeds, seeds_svg
from attnbench.report.map_scores import map_scores
from attnbench.report.rows import ReportRow, bounds
from attnbench.tables.forest import Forest
from attnbench.tables.render.per_class import panels
from attnbench.tables.report import NOTHING

VERDICTS = {
    "better": ("supported", "✓ better"),
    "worse": ("contradicted", "✗ worse"),
    "unclear": ("inconclusive", "? not decided"),
}
"""Class of the style sheet, and words, for each side of zero on which a whole interval lies."""


class DetailsWriter:
    """Writes the details of rows.

    Args:
        composer: composes the commands' configurations.
        config_dir: the folder of the user's own choices.
        rows: all rows of the table.
        baseline: the row that others are compared with; None for none.
        forest: judges the differences; None without any.
    """

    def __init__(
        self,
        composer: Composer,
        config_dir: str | None,
        rows: Sequence[ReportRow],
        baseline: ReportRow | None,
        forest: Forest | None,
    ) -> None:
        self.composer, self.config_dir = composer, config_dir
        self.baseline, self.forest = baseline, forest
        configs = {row.key: row.config for row in rows if row.config is not None}
        self.options = dict(zip(configs, differences(list(configs.values())), strict=True))

    def write(self, row: ReportRow, explanations: str) -> str:
        """Return a row's details; explanations are HTML, or empty."""
        parts = [
            ("How to train it", self._command(row)),
            *self._compared(row),
            ("Seeds, %", self._seeds(row)),
            ("Scores of its maps", map_scores(row)),
            ("What it sees", explanations),
        ]
        written = [f"<section><h3>{escape(title)}</h3>{part}</section>" for title, part in parts if part]
        written += [f'<section class="per-class">{panels(row.classes)}</section>'] if row.classes else []
        return f'<div class="inside">{"".join(written)}</div>'

    def _command(self, row: ReportRow) -> str:
        """Return the command with its button, and the hash that names the runs."""
        if not row.result.records:
            return ""
        record = next(iter(row.result.records.values()))
        try:
            seeds = sorted(row.result.records)
            command = training_command(self.composer, record.choices, record.config, seeds, self.config_dir)
        except UserError as error:
            return f"<p>There is no command: {escape(str(error))}</p>"
        line = f'<div class="command"><code>{escape(command)}</code><button type="button">copy</button></div>'
        version = escape(record.environment.attnbench)
        return f"{line}<p>Hash {escape(record.identity)}, trained with attnbench {version}.</p>"

    def _compared(self, row: ReportRow) -> Iterator[tuple[str, str]]:
        """Yield the verdict on the row and its options beside the baseline's."""
        if self.baseline is None or row is self.baseline:
            return
        title = f"Against {self.baseline.label}"
        yield title, f"{self._verdict(row)}{self._options(row, self.baseline)}"

    def _verdict(self, row: ReportRow) -> str:
        if row.effect is None or row.difference is None or self.forest is None:
            return ""
        kind, words = VERDICTS[self.forest.judge(row.effect)]
        p = row.difference.fields.get("p")
        facts = f"{row.difference.text} points" + (f", {p_in_words(p)}" if isinstance(p, float) else "")
        return f'<p><span class="badge {kind}">{words}</span> {escape(facts)}</p>'

    def _options(self, row: ReportRow, baseline: ReportRow) -> str:
        """Return the options in which a row differs from the baseline, among those in which rows of the table do."""
        own, other = (self.options.get(one.key, {}) for one in (row, baseline))
        keys = [key for key in dict.fromkeys([*other, *own]) if own.get(key) != other.get(key)]
        if not keys:
            return ""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("option", baseline.label, row.label))
        values = ((key, *(escape(one.get(key, NOTHING)) for one in (other, own))) for key in keys)
        lines = "".join(
            f'<tr><th scope="row">{escape(key)}</th><td>{theirs}</td><td>{ours}</td></tr>'
            for key, theirs, ours in values
        )
        return f'<table class="options"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'

    def _seeds(self, row: ReportRow) -> str:
        if not row.values:
            return ""
        beside = [] if self.baseline in (None, row) else [self.baseline]
        rows = [row, *(other for other in beside if other is not None)]
        lanes = [Seeds(one.label, one.values, one.mean.sort, bounds(one.mean)) for one in rows]
        labels = "".join(f"<li>{escape(lane.label)}</li>" for lane in lanes)
        return f'<div class="lanes"><ul>{labels}</ul>{seeds_svg(lanes)}</div>'
