"""What a tuning found: its table, which says how the methods were tuned, and the same as plain data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from attnbench.runs.files import write_all, write_json
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.metric_names import TOP1
from attnbench.tables.compare_runs import compare_runs
from attnbench.tables.render import in_all_formats
from attnbench.tables.report import Report
from attnbench.tables.run_keys import differing_keys
from attnbench.tune.search import Search
from attnbench.tune.tuning import Tuning

RESULT_FILE = "tuning.json"


def make_report(tuning: Tuning, jobs: Sequence[Job]) -> Report:
    """Build the table of the winners' runs, with remarks on how each method was tuned."""
    configs = [search.method.job.config for search in tuning.searches]
    rows = ",".join(differing_keys(configs, [])) or None
    report = compare_runs([RunFolder(job.folder) for job in jobs], rows, None, TOP1, "t")
    return replace(report, title=f"after equal tuning · {report.title}", remarks=(*remarks(tuning), *report.remarks))


def remarks(tuning: Tuning) -> Iterator[str]:
    """Yield the remarks: budget, space, and the values that were selected for each method."""
    request, searches = tuning.request, tuning.searches
    options, epochs = request.options, max(search.method.epochs for search in searches)
    final = f"{options.seeds} to {options.seeds + options.final_seeds - 1}"
    seeds = "seed 0" if options.seeds == 1 else f"seeds 0 to {options.seeds - 1}"
    yield (
        f"A comparison after equal tuning: {options.trials} trials of each method, of up to {epochs} epochs with"
        f" {seeds} (sampler {options.sampler}, pruner {options.pruner}). The trial with the best validation accuracy"
        f" was trained again with seeds {final}, and the test set was read for these runs alone."
    )
    shared = [dimension for dimension in request.space if all(dimension in search.method.space for search in searches)]
    yield f"Search space of all: {'; '.join(map(str, shared)) or 'nothing'}."
    for search in searches:
        yield _selected(search, [str(dimension) for dimension in search.method.space if dimension not in shared])


def _selected(search: Search, extra: Sequence[str]) -> str:
    counts, best = search.counts(), search.best
    states = ", ".join(f"{counts[state]} {word}" for state, word in (("pruned", "stopped"), ("fail", "diverged")))
    accuracy = f"{best.value:.2%}" if best is not None and best.value is not None else "none"
    own = f" Searched for it alone: {'; '.join(extra)}." if extra else ""
    return (
        f"{search.method.name}: {', '.join(search.winner())}; validation accuracy {accuracy}; of its trials {states};"
        f" {search.epochs_trained()} epochs in all.{own}"
    )


def keep(tuning: Tuning, report: Report) -> None:
    """Write the table in all formats, and what was selected, into the tuning's folder."""
    write_all({tuning.folder / name: text for name, text in in_all_formats(report).items()})
    write_json(tuning.folder / RESULT_FILE, _as_json(tuning))


def _as_json(tuning: Tuning) -> dict[str, Any]:
    request = tuning.request
    options = {key: value for key, value in asdict(request.options).items() if key != "storage"}  # may hold a password
    methods = {search.method.name: _method_as_json(search) for search in tuning.searches}
    return {"search": request.search, "space": list(map(str, request.space)), "options": options, "methods": methods}


def _method_as_json(search: Search) -> dict[str, Any]:
    return {
        "overrides": list(search.method.overrides),
        "selected": search.winner(),
        "validation": search.best.value if search.best is not None else None,
        "trials": dict(search.counts()),
        "epochs": search.epochs_trained(),
    }
