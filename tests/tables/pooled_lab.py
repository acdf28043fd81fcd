"""Records of runs that were never trained: those of the golden table, with other networks, attentions and results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.config.compose import Composer
from attnbench.tables.pooled.report import pooled_report
from attnbench.tables.pooled.sources import Sources
from attnbench.tables.report import Report
from attnbench.tables.results.records import Record

GOLDEN = Path(__file__).parent / "golden" / "records.jsonl"
COSTS = {
    "none": (10_000, 1_000_000),
    "bam": (10_500, 1_010_000),
    "se": (11_000, 1_001_000),
    "ggam": (12_000, 1_002_000),
}
SPEEDS = {"none": 2000.0, "bam": 1000.0, "se": 1500.0, "ggam": 1200.0}


def golden_records() -> list[Record]:
    """Return the records of real runs: ResNet-20 on digits, without attention and with SE."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    return [record for line in lines if isinstance(record := Record.from_json(json.loads(line), "golden"), Record)]


def make_runs(
    attention: str, accuracies: Sequence[float], width: int = 4, options: Mapping[str, Any] | None = None, **data: Any
) -> list[Record]:
    """Return the records of one configuration.

    Args:
        attention: one of those of `COSTS`.
        accuracies: top-1 in per cent, of the seeds 0, 1, ….
        width: of the backbone, which makes blocks.
        options: of the attention.
        data: what the record says of its data.
    """
    content = json.loads(GOLDEN.read_text(encoding="utf-8").splitlines()[0])
    content["choices"]["attention"] = attention
    content["config"]["attention"] = dict(options or {})
    content["config"]["backbone"]["width"] = width
    content["data"] |= data
    content["parameters"], content["multiply_adds"] = COSTS[attention]
    content["images_per_second"] = SPEEDS[attention]
    content["identity"] = json.dumps([attention, width, options, data], sort_keys=True)
    records = []
    for seed, value in enumerate(accuracies):
        content |= {"seed": seed, "test/top1_accuracy": value / 100}
        record = Record.from_json(content, "made")
        assert isinstance(record, Record)
        records.append(record)
    return records


def three_blocks() -> list[Record]:
    """Return the runs of BAM in three blocks and of SE in one; BAM's differences are +1, +2 and −1."""
    records: list[Record] = []
    for width, plain, bam in ((4, 80.0, 81.0), (8, 84.0, 86.0), (16, 90.0, 89.0)):
        records += make_runs("none", [plain - 1, plain, plain + 1], width)
        records += make_runs("bam", [bam - 1, bam, bam + 1], width)
    return [*records, *make_runs("se", [78.0, 79.0, 80.0], 4)]


def report_of(records: Sequence[Record], rows: str | None = None, metric: str = "top1_accuracy") -> Report:
    """Build the pooled table of records."""
    return pooled_report(Sources(list(records), folders=len(records)), rows, metric, Composer())
