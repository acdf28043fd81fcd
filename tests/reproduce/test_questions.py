"""From a table's results to the runs that its claims need."""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pytest

from attnbench.reproduce.prospects import Question, prospect
from attnbench.reproduce.questions import questions
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key
from attnbench.tables.spec.table import Claim
from attnbench.tables.verdicts.anytime import LEVEL
from tests.tables.sample_results import inputs

GENERATOR = np.random.default_rng(4)


def values(mean: float, n: int = 5) -> dict[int, float]:
    return dict(enumerate(GENERATOR.normal(mean, 1, n).tolist()))


GOOD, BAD, SAME = values(10), values(20), values(20.2)
CELLS = {("good", "c"): GOOD, ("bad", "c"): BAD, ("same", "c"): SAME}


def asked(given: ReportInputs, kinds: Mapping[Key, str] | None = None) -> list[Question]:
    """The claims; each cell has runs of its own unless kinds says otherwise."""
    return list(questions(given, kinds if kinds is not None else {key: "/".join(key) for key in given.results}))


def claim(*pairs: tuple[str, str], says: str = "says", column: str = "c", **fields: object) -> Claim:
    return Claim(says, pairs, column, **fields)  # type: ignore[arg-type]


def test_a_pair_needs_the_runs_of_both_rows() -> None:
    (found,) = asked(inputs(CELLS, [claim(("bad", "same"))]))
    (part,) = found.parts
    assert (found.outcome, found.n, part.weights) == ("inconclusive", 5, {"bad/c": 1.0, "same/c": -1.0})
    assert found.kinds == {"bad/c", "same/c"}
    (decided,) = asked(inputs(CELLS, [claim(("good", "bad"))]))
    assert (decided.outcome, decided.kinds) == ("supported", frozenset())


def test_a_claim_of_several_parts_asks_for_those_without_a_verdict() -> None:
    (found,) = asked(inputs(CELLS, [claim(("good", "bad"), ("same", "bad"))]))
    assert [part.outcome for part in found.parts] == ["supported", "inconclusive"]
    assert found.kinds == {"bad/c", "same/c"}


def test_contrasts_weigh_rows() -> None:
    contrast = claim(contrasts=({"good": 1.0, "bad": -2.0, "same": 1.0},))
    assert asked(inputs(CELLS, [contrast]))[0].parts[0].weights == {"good/c": 1.0, "bad/c": -2.0, "same/c": 1.0}


def test_columns_of_the_same_runs_need_the_same_seeds() -> None:
    cells = {**CELLS, ("good", "d"): SAME, ("bad", "d"): values(5)}
    shared = {("good", "d"): "good/c", ("bad", "d"): "bad/c"}
    mixed = claim(contrasts=({"good": 1.0, "good@d": -1.0, "bad": -1.0, "bad@d": 1.0},))
    given = inputs(cells, [mixed], runs=shared, evaluate={key: ["x=1"] for key in shared})
    kinds = {key: shared.get(key, "/".join(key)) for key in cells}
    assert asked(given, kinds)[0].parts[0].weights == {"good/c": 1.0, "bad/c": 1.0}


def test_one_networks_runs_under_two_tests_are_one_kind() -> None:
    cells, kinds = {("alone", "c"): BAD, ("tested", "c"): SAME}, dict.fromkeys([("alone", "c"), ("tested", "c")], "net")
    given = inputs(cells, [claim(("alone", "tested"))], runs=kinds, evaluate={("tested", "c"): ["x=1"]})
    assert asked(given, kinds)[0].parts[0].weights == {"net": 1.0}


def test_values_that_subtract_a_baseline_need_its_runs() -> None:
    given = inputs(CELLS, [claim(("good", "same"))], metric="accuracy_per_million", baseline="bad")
    assert asked(given)[0].parts[0].weights == {"good/c": 1.0, "same/c": 1.0, "bad/c": 1.0}


@pytest.mark.parametrize("missing", [("same", "c"), ("bad", "c")])
def test_a_row_that_cannot_be_run_leaves_nothing_to_ask_for(missing: Key) -> None:
    cells: dict[Key, dict[int, float]] = {**CELLS, missing: {}}
    (found,) = asked(inputs(cells, [claim(("bad", "same"))]), {key: "/".join(key) for key in cells if key != missing})
    assert (found.outcome, found.kinds) == ("not run", frozenset())
    assert prospect(found, {"good/c": GOOD}, 20).state == "hopeless"


def test_a_comparison_of_runs_with_themselves_is_hopeless() -> None:
    runs = dict.fromkeys([("bad", "c"), ("twin", "c")], "net")
    (found,) = asked(inputs({("bad", "c"): BAD, ("twin", "c"): BAD}, [claim(("bad", "twin"))], runs=runs), runs)
    assert found.kinds == frozenset()
    assert prospect(found, {"net": BAD}, 20).reason == "both are the same runs in this profile"


def test_networks_that_have_not_learned_ask_for_nothing_but_are_named() -> None:
    (found,) = asked(inputs(CELLS, [claim(("bad", "same"))], accuracy={("same", "c"): 0.1}))
    assert (found.outcome, found.kinds) == ("not trained", frozenset())
    assert found.parts[0].weights == {"bad/c": 1.0, "same/c": -1.0}


def test_the_level_of_claims_without_runs_is_their_share() -> None:
    cells: dict[Key, dict[int, float]] = {**CELLS, ("new", "c"): {}}
    claims = [claim(("new", row), says=row) for row in ("good", "bad", "same")]
    assert [found.parts[0].level for found in asked(inputs(cells, claims))] == [pytest.approx(LEVEL / 3)] * 3


def test_the_order_of_claims_does_not_matter() -> None:
    claims = [claim(pair, says=" ".join(pair)) for pair in (("good", "bad"), ("bad", "same"), ("same", "good"))]
    expected = by_claim(asked(inputs(CELLS, claims)))
    for shuffle in range(3):
        assert by_claim(asked(inputs(CELLS, Random(shuffle).sample(claims, 3)))) == expected


def by_claim(found: Sequence[Question]) -> dict[str, Question]:
    return {each.claim: each for each in found}
