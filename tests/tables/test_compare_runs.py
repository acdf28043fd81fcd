"""Tables of the user's runs: by which keys rows differ, and how they are named."""

from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.runs.folder import RunFolder
from attnbench.runs.record import RunRecord
from attnbench.tables.compare_runs import describe_keys, differing_keys, reading_order, short_names
from tests.runs.samples import COSTS, record_json

GATED = ("attention=gated", "attention.width=")


def composed(*lines: str) -> RunConfig:
    return Composer().compose(["backbone=cluttered_mnist_cnn", "backbone.width=8", *lines])


def test_only_keys_that_differ_name_rows_even_if_another_ends_alike() -> None:
    configs = [composed("attention=none"), *(composed(GATED[0], GATED[1] + str(n)) for n in (2, 4))]
    names = differing_keys(configs, [])
    assert names == ["attention", "attention.width"]
    assert [describe_keys(config, names) for config in configs] == ["none", "gated width=2", "gated width=4"]


def test_keys_with_the_same_end_are_named_in_full() -> None:
    names = ["attention", "backbone.width", "attention.width"]
    found = [describe_keys(composed(GATED[0], GATED[1] + "4", f"backbone.width={n}"), names) for n in (8, 16)]
    assert found == [f"gated backbone.width={n} attention.width=4" for n in (8, 16)]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["recipe.epochs"], ["epochs"]),
        (["attention", "data"], ["attention", "data"]),
        (["a.width", "b.width", "c.lr"], ["a.width", "b.width", "lr"]),
    ],
)
def test_names_are_as_short_as_possible(names: list[str], short: list[str]) -> None:
    assert list(short_names(names).values()) == short


def test_rows_without_attention_come_first_and_numbers_in_their_order() -> None:
    names = ["bam reduction=16", "none", "bam reduction=8", "ggam", "none width=2"]
    ordered = sorted(names, key=lambda name: reading_order((name, "")))
    assert ordered == ["none", "none width=2", "bam reduction=8", "bam reduction=16", "ggam"]


def write_runs(attention: str, states: str) -> None:
    """Write the records of a kind's seeds: finished, diverged or interrupted, by their first letters."""
    config = Composer().compose(["data=digits", "backbone.width=4", f"attention={attention}"])
    for seed, state in enumerate(states):
        status = {"f": "finished", "d": "diverged", "i": "interrupted"}[state]
        own = {"choices": config.choices, "config": {**config.values, "seed": seed}, "identity": attention}
        path = Path("outputs/runs") / f"digits-resnet20-{attention}-{attention}" / f"seed{seed}"
        path.mkdir(parents=True)
        accuracy = {"test/top1_accuracy": 0.9 + seed / 100} if state == "f" else dict(COSTS)
        record = RunRecord.from_json(record_json(status, **{**accuracy, **own, "seed": seed}), path)
        RunFolder(path).write_record(record)


def table(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["table", "outputs/runs/*", *flags]) == 0
    return capsys.readouterr().out


def test_runs_that_diverged_are_shown_instead_of_an_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", "fff")
    write_runs("bam", "fdfdf")
    write_runs("se", "ddi")
    lines = [line.split() for line in table(capsys).splitlines()]
    assert ["none", "91.00", "±", "1.00"] in [line[:4] for line in lines]
    assert ["bam", "diverged:", "2", "of", "5"] in [line[:5] for line in lines]
    assert ["se", "diverged:", "2", "of", "2"] in [line[:5] for line in lines]


def test_programs_get_the_reason_and_no_mean_of_runs_that_diverged(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", "fff")
    write_runs("bam", "ffd")
    assert "diverged: 1 of 3" in table(capsys, "--format", "csv")
    for form in ("markdown", "latex", "html"):
        assert "diverged: 1 of 3" in table(capsys, "--format", form)


def test_a_table_in_which_all_diverged(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("bam", "ddddd")
    assert "diverged: 5 of 5" in table(capsys)
