"""Update the table of tables in docs/reproducing.md: printed costs that match, and results in `outputs/reproduced`.

python scripts/tables_in_docs.py          # counts every network of every table: takes minutes
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from marked_text import replace_between

from attnbench.reproduce.campaign import TableReproduction
from attnbench.tables.format_cells import unit_of
from attnbench.tables.results.records import RECORDS_FILE
from attnbench.tables.results.values import Result
from attnbench.tables.spec.load import load_profiles, load_table, table_files

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reproducing.md"
START, END = "<!-- tables: scripts/tables_in_docs.py -->", "<!-- /tables -->"
COLUMNS = ("table", "printed costs that ours match", "kept results", "measured there", "claims there")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


@dataclass(frozen=True)
class KeptResults:
    """The kept results of a table under one profile, in words."""

    link: str
    measured: str
    claims: str


def compare_costs(reproduction: TableReproduction) -> str:
    """Return how many printed costs ours equal to the last digit, and how many differ by one of it."""
    costs = [cost for row in reproduction.costs.values() for cost in row.values() if cost.agrees is not None]
    if not costs:
        return "none printed"
    equal, close = sum(bool(cost.agrees) for cost in costs), sum(cost.close and not cost.agrees for cost in costs)
    return f"{equal} of {len(costs)}" + (f", {close} off by one digit" if close else "")


def ranges(results: Iterable[Result]) -> str:
    """Return the range of the cells' means after the last epoch, by metric: `top1 error 5.21 to 7.90 %`."""
    means: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if values := result.values["last"].values():
            means[result.cell.column.metric].append(fmean(values))
    return ", ".join(
        f"{metric.replace('_', ' ')} {min(values):.2f} to {max(values):.2f} {unit_of(metric)}"
        for metric, values in means.items()
    )


def kept_results(name: str) -> Iterator[KeptResults]:
    """Yield the kept results of a table, one for each profile that has some."""
    for profile in load_profiles(load_table(name)):
        reproduction = TableReproduction.open(name, profile)
        if not (reproduction.folder / RECORDS_FILE).is_file():
            continue
        results = reproduction.results()
        seeds = {len(result.values["last"]) for result in results.values() if result.values["last"]}
        count = " to ".join(str(number) for number in sorted({min(seeds), max(seeds)}))
        outcomes = Counter(result.outcome for result in reproduction.report(results).claims)
        yield KeptResults(
            link=f"[{profile}](../{reproduction.folder.as_posix()}/table.md), {count} seed{'s' * (count != '1')}",
            measured=ranges(results.values()),
            claims=", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())),
        )


def lines() -> Iterator[str]:
    """Yield a line for each table."""
    for name in sorted(table_files()):
        costs = compare_costs(TableReproduction.open(name, "paper"))
        kept = list(kept_results(name))
        nothing = "cannot be run" if load_table(name).not_runnable else "–"
        cells = [
            "; ".join(results.link for results in kept) or nothing,
            "; ".join(results.measured for results in kept) or "–",
            "; ".join(results.claims for results in kept) or "–",
        ]
        yield f"| `{name}` | {' | '.join([costs, *cells])} |\n"


def main() -> None:
    """Replace the text between the marks."""
    replace_between(PAGE, START, END, f"\n{HEAD}{''.join(lines())}")


if __name__ == "__main__":
    main()
