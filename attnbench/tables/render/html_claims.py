"""The claims of an HTML page: an outcome as a badge, the claim with its reason and source, and a table of its parts."""

from collections.abc import Iterator
from html import escape

from attnbench.tables.render.claims import difference_text, p_text, printed_text, reasons, remark_text
from attnbench.tables.render.layout import number_and_rest
from attnbench.tables.report import ClaimResult, Outcome, PartResult, Report

SIGNS: dict[Outcome, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not trained": "○",
    "not run": "–",
}
TITLES = ("comparison", "difference", "p", "n", "paper")


def claims(report: Report) -> Iterator[str]:
    """Yield the lines of the claims with their outcomes and parts."""
    if report.claims:
        yield '<section><h2>Claims</h2>\n<ul class="claims">'
        for result in report.claims:
            yield f"<li>{_badge(result.outcome)}<div>{escape(result.claim)}{_reasons(report, result)}"
            yield from _parts(result)
            yield "</div></li>"
        yield "</ul></section>"


def _badge(outcome: Outcome) -> str:
    name = outcome.replace(" ", "-")
    return f'<span class="badge {name}"><span aria-hidden="true">{SIGNS[outcome]}</span> {outcome}</span>'


def _reasons(report: Report, result: ClaimResult) -> str:
    return "".join(f'<span class="reason">{escape(text)}</span>' for text in reasons(report, result))


def _parts(result: ClaimResult) -> Iterator[str]:
    """Yield a table of the parts, without columns that are empty in all of them."""
    rows = [_facts(part) for part in result.parts]
    used = [place for place in range(len(TITLES)) if any(row[place] for row in rows)]
    if len(used) < 2:
        return
    heads = "".join(f'<th scope="col">{TITLES[place]}</th>' for place in used)
    yield f'<table class="parts"><thead><tr>{heads}</tr></thead><tbody>'
    for part, row in zip(result.parts, rows, strict=True):
        remark = f'<span class="reason">{escape(text)}</span>' if (text := remark_text(result, part)) else ""
        cells = "".join(f"<td>{_cell(row[place])}</td>" for place in used if place)
        yield f'<tr><th scope="row">{escape(part.label)}{remark}</th>{cells}</tr>'
    yield "</tbody></table>"


def _facts(part: PartResult) -> tuple[str, ...]:
    """Return the texts of a part by `TITLES`, empty where a number is not known."""
    return (
        part.label,
        difference_text(part) if part.difference is not None else "",
        p_text(part.p) if part.p is not None else "",
        str(part.n or ""),
        printed_text(part) if part.printed is not None else "",
    )


def _cell(text: str) -> str:
    """Return a fact; an interval may go below its difference."""
    parts = number_and_rest(text)
    if parts is None or not parts[1].startswith(" ["):
        return escape(text)
    return f'{escape(parts[0])} <span class="interval">{escape(parts[1].strip())}</span>'
