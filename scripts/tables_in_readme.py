"""Bring the table of tables in docs/reproducing.md up to date: printed costs, kept results, their range, claims.

    python scripts/tables_in_readme.py          # counts every network of every table: minutes

Results are those kept in `outputs/reproduced`; run `attnbench reproduce` before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean

from attnbench.reproduce.campaign import TableReproduction
from attnbench.runs.files import write_atomically
from attnbench.tables.format_cells import unit_of
from attnbench.tables.load import load_profiles, load_table, table_files
from attnbench.tables.values import Result

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reproducing.md"
START, END = "<!-- tables: scripts/tables_in_readme.py -->", "<!-- /tables -->"
COLUMNS = ("table", "printed costs that ours match", "kept results", "measured there", "claims there")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def costs(campaign: TableReproduction) -> str:
    """How many printed costs are ours to the last digit, and how many are off by one of it."""
    pairs = [cost for row in campaign.costs.values() for cost in row.values() if cost.agrees is not None]
    if not pairs:
        return "none printed"
    equal, close = sum(bool(cost.agrees) for cost in pairs), sum(cost.close and not cost.agrees for cost in pairs)
    return f"{equal} of {len(pairs)}" + (f", {close} off by one digit" if close else "")


def measured(results: Iterable[Result]) -> str:
    """Between which means the cells of a table lie at the last epoch, by metric: `top1 error 5.21 to 7.90 %`."""
    means: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if values := result.values["last"].values():
            means[result.cell.column.metric].append(fmean(values))
    return ", ".join(
        f"{metric.replace('_', ' ')} {min(of):.2f} to {max(of):.2f} {unit_of(metric)}" for metric, of in means.items()
    )


def kept(name: str) -> Iterator[tuple[str, str, str]]:
    """Each profile whose results are kept: with seeds, what was measured, and what became of the claims."""
    for profile in load_profiles(load_table(name)):
        campaign = TableReproduction.open(name, profile)
        if not (campaign.folder / "records.jsonl").is_file():
            continue
        results = campaign.results()
        seeds = Counter(len(result.values["last"]) for result in results.values() if result.values["last"])
        outcomes = Counter(verdict.outcome for verdict in campaign.sheet(results).verdicts)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        count = " to ".join(str(number) for number in sorted({min(seeds), max(seeds)}))
        link = f"[{profile}](../{campaign.folder.as_posix()}/table.md), {count} seed{'s' * (count != '1')}"
        yield link, measured(results.values()), told


def lines() -> Iterator[str]:
    """A line a table."""
    for name in sorted(table_files()):
        found = list(kept(name))
        nothing = "cannot be run" if load_table(name).not_runnable else "–"
        told = [
            costs(TableReproduction.open(name, "paper")),
            *("; ".join(column) for column in zip(*found, strict=True)),
        ]
        yield f"| `{name}` | {' | '.join(told if found else [*told, nothing, '–', '–'])} |\n"


def main() -> None:
    """Replace what stands between the marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    write_atomically(PAGE, f"{before}{START}\n{HEAD}{''.join(lines())}{END}{after}")


if __name__ == "__main__":
    main()
