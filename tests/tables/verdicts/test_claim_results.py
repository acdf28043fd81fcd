"""Claims of a table and what its runs say: identical runs, contrasts, and independence of order and unit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.tables.report import ClaimResult
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.spec.table import Claim
from attnbench.tables.verdicts.claim_results import claim_results, margin_of
from attnbench.tables.verdicts.comparisons import Comparisons
from tests.tables.sample_results import inputs

Numbers = Mapping[int, float]
GENERATOR = np.random.default_rng(8)


def seeds(mean: float, n: int = 8, std: float = 1.0) -> dict[int, float]:
    """Values of n seeds around a mean."""
    return dict(enumerate(GENERATOR.normal(mean, std, n).tolist()))


def judged(given_inputs: ReportInputs) -> list[ClaimResult]:
    return list(claim_results(given_inputs, Comparisons(given_inputs)))


def claim(*pairs: tuple[str, str], column: str = "c", **fields: object) -> Claim:
    return Claim("says", pairs, column, **fields)  # type: ignore[arg-type]


GOOD, BAD, SAME = seeds(10), seeds(15), seeds(15.1)
CELLS = {("good", "c"): GOOD, ("bad", "c"): BAD, ("same", "c"): SAME}


@pytest.mark.smoke
def test_a_result_holds_the_numbers_behind_the_outcome() -> None:
    (found,) = judged(
        inputs(
            CELLS, [claim(("good", "bad"), source="section 4", wording="seen")], printed={"good": "9.5", "bad": "12.5"}
        )
    )
    (part,) = found.parts
    assert (found.outcome, found.source, found.column) == ("supported", "section 4, wording seen", "c")
    assert (part.label, part.keys, part.n, part.printed) == ("good − bad", ("good", "bad"), 8, -3)
    assert part.difference == pytest.approx(np.mean(list(GOOD.values())) - np.mean(list(BAD.values())))
    assert part.low is not None
    assert part.high is not None
    assert part.difference is not None
    assert part.low < part.difference < part.high < 0
    assert part.p is not None
    assert part.p < 0.05
    assert found.details == "p < 0.001"
    assert part.spread == "pooled"


@pytest.mark.parametrize(
    ("values", "spread"), [({0: 0.0, 1: 90.0, 2: 50.0}, "separate"), ({0: 10.0}, "")], ids=["wide", "one seed"]
)
def test_a_part_says_where_its_spread_is_from(values: dict[int, float], spread: str) -> None:
    narrow = {(name, "c"): seeds(10) for name in "abcdef"}
    (found,) = judged(inputs({("x", "c"): values, **narrow}, [claim(("x", "a"))]))
    assert found.parts[0].spread == spread


@pytest.mark.parametrize(
    ("source", "words"),
    [("", "inferred from the table's numbers"), ("ours", "ours"), ("table 2", "table 2, wording not seen")],
)
def test_the_source_of_a_claim_says_whether_its_wording_was_read(source: str, words: str) -> None:
    assert judged(inputs(CELLS, [claim(("good", "bad"), source=source)]))[0].source == words


def test_signs_are_those_of_the_printed_numbers_also_where_higher_is_better() -> None:
    (found,) = judged(inputs(CELLS, [claim(("bad", "good"))], metric="top1_accuracy"))
    assert found.outcome == "supported"
    assert found.parts[0].difference == pytest.approx(np.mean(list(BAD.values())) - np.mean(list(GOOD.values())))


def test_an_undecided_part_says_what_these_seeds_would_have_shown() -> None:
    (found,) = judged(inputs(CELLS, [claim(("bad", "same"))], printed={"bad": "9.0", "same": "12.0"}))
    assert found.outcome == "inconclusive"
    assert found.details.startswith("these seeds would have shown a difference of ")
    assert "; the paper's 3.00 points would need about " in found.details
    assert "would need" not in judged(inputs(CELLS, [claim(("bad", "same"))]))[0].details


def test_the_margin_is_half_of_the_printed_difference_unless_it_is_given() -> None:
    printed = {"bad": "0.0", "same": "100.0"}
    assert judged(inputs(CELLS, [claim(("bad", "same"))], printed=printed))[0].outcome == "equivalent"
    assert judged(inputs(CELLS, [claim(("bad", "same"), margin=0.1)], printed=printed))[0].outcome == "inconclusive"
    par = claim(equal=(("bad", "same"),), margin=20.0)
    (found,) = judged(inputs(CELLS, [par]))
    assert (found.outcome, found.parts[0].details) == ("supported", "margin 20.00 points")
    assert judged(inputs(CELLS, [claim(equal=(("good", "bad"),), margin=0.5)]))[0].outcome == "contradicted"


def test_the_margin_of_a_part() -> None:
    table = inputs(CELLS, printed={"good": "9.5", "bad": "12.5"}).table
    printed, silent = claim(("good", "bad"), ("good", "same")).parts
    assert margin_of(table, claim(("good", "bad")), printed) == 1.5
    assert margin_of(table, claim(("good", "bad"), margin=0.1), printed) == 0.1
    assert margin_of(table, claim(("good", "same")), silent) is None


def test_parts_about_rows_that_the_profile_leaves_out_are_not_judged() -> None:
    given = inputs(CELLS, [claim(("good", "bad"), ("good", "same")), claim(("bad", "same"))])
    absent = given.results["same", "c"]
    results = {**given.results, ("same", "c"): replace(absent, cell=replace(absent.cell, reason="too large"))}
    profile = replace(given.profile, left_out={"same": "too large"})
    first, second = judged(replace(given, results=results, profile=profile))
    assert [part.label for part in first.parts] == ["good − bad"]
    assert first.details.endswith("; 1 of 2 parts left out by the profile")
    assert [part.label for part in second.parts] == ["bad − same"]
    assert "left out" not in second.details


def test_a_contrast_is_an_interaction() -> None:
    cells = {("a", "c"): seeds(10), ("b", "c"): seeds(12), ("p", "c"): seeds(10), ("q", "c"): seeds(20)}
    more = claim(contrasts=({"b": 1, "a": -1, "q": -1, "p": 1},))  # b - a grows less than q - p
    (found,) = judged(inputs(cells, [more]))
    assert found.outcome == "supported"
    assert found.parts[0].label == "b − a − q + p"
    assert found.parts[0].difference == pytest.approx(-8, abs=2)


def test_a_contrast_of_two_columns_pairs_the_values_of_one_run() -> None:
    shift = seeds(0, std=5.0)  # what a run does to both columns
    rise = {seed: value + 3 for seed, value in shift.items()}
    cells = {("a", "c"): {s: v + 0.1 * s for s, v in shift.items()}, ("a", "d"): rise}
    rises = claim(contrasts=({"a@d": -1, "a": 1},))
    runs = dict.fromkeys(cells, "one")
    tests = {("a", "d"): ("data.distractors=64",)}
    (found,) = judged(inputs(cells, [rises], runs=runs, evaluate=tests))
    assert found.outcome == "supported"
    assert judged(inputs(cells, [rises], evaluate=tests))[0].outcome == "inconclusive"


def test_identical_comparisons_are_one_test() -> None:
    columns = {(row, column): values for (row, _), values in CELLS.items() for column in ("c", "d", "e")}
    same_runs = {key: key[0] for key in columns}
    claims = [claim(("good", "bad"), column=column) for column in ("c", "d", "e")]
    alone = judged(inputs(columns, claims[:1], runs=same_runs))[0].parts[0]
    together = [found.parts[0] for found in judged(inputs(columns, claims, runs=same_runs))]
    assert [part.p for part in together] == [alone.p] * 3
    different = judged(inputs(columns, claims))[0].parts[0]
    assert alone.p is not None
    assert different.p == pytest.approx(3 * alone.p)


def test_rows_with_the_same_runs_are_not_compared_and_count_once_in_the_pool() -> None:
    cells = {**CELLS, ("again", "c"): GOOD}
    runs = {("good", "c"): "one", ("again", "c"): "one"}
    found = judged(inputs(cells, [claim(("again", "good")), claim(("good", "bad"))], runs=runs))
    assert found[0].outcome == "inconclusive"
    assert "the same runs" in found[0].details
    assert found[1].parts == judged(inputs(CELLS, [claim(("good", "bad"))], runs=runs))[0].parts


def test_claims_about_networks_that_have_not_learned_are_not_judged() -> None:
    claims = [claim(("good", "bad"), ("same", "bad")), claim(("bad", "same"))]
    first, second = judged(inputs(CELLS, claims, accuracy={("good", "c"): 0.11}))
    assert (first.outcome, [part.outcome for part in first.parts]) == ("not trained", ["not trained", "inconclusive"])
    assert "good is not trained: its accuracy of 11.0 %" in first.details
    assert first.parts[0].p is None
    assert second.outcome == "inconclusive"


@given(st.randoms(), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=3)
def test_results_do_not_depend_on_order_or_unit(random: Random, scale: float, shift: float) -> None:
    def shuffled(items: Sequence[object]) -> list[object]:
        return random.sample(list(items), len(items))

    cells = {
        **CELLS,
        ("other", "d"): seeds(3),
        ("good", "d"): seeds(4),
        ("bad", "d"): BAD,
        ("same", "d"): SAME,
        ("other", "c"): SAME,
    }
    claims = [claim(("good", "bad"), ("good", "same")), claim(("same", "bad")), claim(("other", "good"), column="d")]
    expected = judged(inputs(cells, claims))
    moved = {
        key: {seed: scale * cells[key][seed] + shift for seed in shuffled(list(cells[key]))}  # type: ignore[index]
        for key in shuffled(list(cells))
    }
    found = judged(inputs(moved, claims))  # type: ignore[arg-type]
    for here, there in zip(expected, found, strict=True):
        assert here.outcome == there.outcome
        for one, other in zip(here.parts, there.parts, strict=True):
            assert (one.outcome, one.n) == (other.outcome, other.n)
            assert other.p == pytest.approx(one.p, rel=1e-6)
            assert other.difference == pytest.approx(scale * (one.difference or 0), rel=1e-6, abs=1e-9)
