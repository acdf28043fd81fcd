"""The claims of a table's YAML file; every mistake in them is a `TableFileError` that says where it is."""

from collections.abc import Iterable, Mapping
from typing import Any

from attnbench.errors import nearest
from attnbench.tables.spec.table import WORDINGS, Claim, Column, Row
from attnbench.tables.spec.yaml_nodes import TableFileError, finite_number, make, positive_or_none, require_keys

PARTS = ("pairs", "equal", "contrasts")


def parse_claim(node: Any, rows: Mapping[str, Row], columns: Mapping[str, Column], margin: float | None) -> Claim:
    """Make a claim from its node.

    Args:
        node: of the file.
        rows: of the table.
        columns: of the table; the first is the column of a claim that names none.
        margin: of the table, which a claim without one takes.

    Raises:
        TableFileError: the node has a mistake.
    """
    require_keys(node, ("says",), "claims")
    parts = {name: node.pop(name, ()) for name in PARTS}
    if not any(parts.values()):
        raise TableFileError(f"claims: {node['says']}: needs one of {', '.join(PARTS)}")
    known = {
        "column": _column(node.pop("column", next(iter(columns))), columns),
        "pairs": _pairs(parts["pairs"], "pairs", rows),
        "equal": _pairs(parts["equal"], "equal", rows),
        "contrasts": tuple(_contrast(weights, rows, columns) for weights in parts["contrasts"]),
        "margin": positive_or_none(node.pop("margin", margin), "claims: margin"),
        "source": str(node.pop("from", "")),
        "wording": _wording(node.pop("wording", "inferred")),
    }
    if known["equal"] and known["margin"] is None:
        raise TableFileError(
            f"claims: {node['says']}: equal: needs a margin, the largest difference that does not matter"
        )
    claim: Claim = make(Claim, "claims", node, **known)
    return claim


def _column(name: Any, columns: Mapping[str, Column]) -> str:
    if name not in columns:
        raise TableFileError(f"claims: {name}: no such column{nearest(str(name), list(columns))}")
    return str(name)


def _pairs(node: Any, where: str, rows: Mapping[str, Row]) -> tuple[tuple[str, ...], ...]:
    pairs = tuple(tuple(pair) if isinstance(pair, list) else (pair,) for pair in _list(node, where))
    if wrong := [list(pair) for pair in pairs if len(set(map(str, pair))) != 2 or len(pair) != 2]:
        raise TableFileError(f"claims: {where}: {wrong}: must be pairs of different rows")
    _check_rows({str(key) for pair in pairs for key in pair}, rows)
    return pairs


def _contrast(node: Any, rows: Mapping[str, Row], columns: Mapping[str, Column]) -> dict[str, float]:
    if not isinstance(node, dict) or not node:
        raise TableFileError("claims: contrasts: must be a list of mappings from rows to numbers")
    weights = {str(key): finite_number(weight, f"claims: contrasts: {key}") for key, weight in node.items()}
    if 0 in weights.values() or abs(sum(weights.values())) > 1e-9:
        raise TableFileError(f"claims: contrasts: {weights}: the numbers must differ from 0 and sum to 0")
    _check_rows({key.partition("@")[0] for key in weights}, rows)
    for column in {key.partition("@")[2] for key in weights} - {""}:
        _column(column, columns)
    return weights


def _wording(node: Any) -> str:
    if node not in WORDINGS:
        raise TableFileError(f"claims: wording: {node}: must be one of {', '.join(WORDINGS)}")
    return str(node)


def _list(node: Any, where: str) -> list[Any]:
    if not isinstance(node, list | tuple):
        raise TableFileError(f"claims: {where}: must be a list")
    return list(node)


def _check_rows(keys: Iterable[str], rows: Mapping[str, Row]) -> None:
    if unknown := sorted(set(keys) - set(rows)):
        raise TableFileError(f"claims: {', '.join(unknown)}: no such row{nearest(unknown[0], list(rows))}")
