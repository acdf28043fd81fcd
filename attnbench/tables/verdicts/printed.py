"""Differences of the numbers that a paper prints."""

from attnbench.tables.spec.table import ClaimPart, PaperTable, Term, parse_number


def printed_difference(table: PaperTable, part: ClaimPart) -> float | None:
    """Return what a part of a claim is by the paper's numbers, in the column's unit; None if it prints too few."""
    numbers = [_printed(table, term) for term in part.terms]
    if any(number is None for number in numbers):
        return None
    return sum(term.weight * number for term, number in zip(part.terms, numbers, strict=True) if number is not None)


def _printed(table: PaperTable, term: Term) -> float | None:
    text = table.rows[term.row].printed.get(term.column)
    return None if text is None else parse_number(text)
