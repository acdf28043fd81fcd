"""The claims of an HTML page: an outcome as a badge, the claim with its reason and source, and a table of its parts."""

from collections.abc import Iterator
from html import escape

from attnbench.tables.render.claims import TITLES, facts, known_facts, reasons, remark_text
from attnbench.tables.render.layout import number_and_rest
from attnbench.tables.report import ClaimResult, Outcome, Report

SIGNS: dict[Outcome, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not trained": "○",
    "not run": "–",
}


def claims(report: Report) -> Iterator[str]:
    """Yield the lines of the claims with their outcomes and parts."""
    if report.claims:
        yield '<section><h2>Claims</h2>\n<ul class="claims">'
        for result in report.claims:
            yield f"<li>{_badge(result.outcome)}<div>{escape(result.claim)}{_reasons(report, result)}"
            yield from _parts(report, result)
            yield "</div></li>"
        yield "</ul></section>"


def _badge(outcome: Outcome) -> str:
    name = outcome.replace(" ", "-")
    return f'<span class="badge {name}"><span aria-hidden="true">{SIGNS[outcome]}</span> {outcome}</span>'


def _reasons(report: Report, result: ClaimResult) -> str:
    return "".join(f'<span class="reason">{escape(text)}</span>' for text in reasons(report, result))


def _parts(report: Report, result: ClaimResult) -> Iterator[str]:
    """Yield a table of the parts, without columns that are empty in all claims."""
    places = known_facts(report)
    if len(places) < 2:
        return
    heads = "".join(f'<th scope="col">{TITLES[place]}</th>' for place in places)
    yield f'<table class="parts"><thead><tr>{heads}</tr></thead><tbody>'
    for part in result.parts:
        remark = f'<span class="reason">{escape(text)}</span>' if (text := remark_text(result, part)) else ""
        cells = "".join(f"<td>{_cell(facts(part)[place])}</td>" for place in places[1:])
        yield f'<tr><th scope="row">{escape(part.label)}{remark}</th>{cells}</tr>'
    yield "</tbody></table>"


def _cell(text: str) -> str:
    """Return a fact, which is not broken; only an interval may go below its difference."""
    parts = number_and_rest(text)
    if parts is None or not parts[1].startswith(" ["):
        return escape(text).replace(" ", "&nbsp;")
    return f'{escape(parts[0])} <span class="interval">{escape(parts[1].strip())}</span>'
