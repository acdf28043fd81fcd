"""The words of `attnbench tune`."""

import pytest

from attnbench.errors import UserError
from attnbench.tune.options import read_request


def test_words_are_sorted_into_methods_space_and_options() -> None:
    request = read_request(["attention=none,bam", "search=lr", "tune.trials=7", "sweep.jobs=2"], None)
    assert request.overrides == ["attention=none,bam", "sweep.jobs=2"]
    assert [dimension.key for dimension in request.space] == ["recipe.lr"]
    assert (request.options.trials, request.options.pruner, request.options.storage) == (7, "median", None)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("tune.trails=3", "did you mean trials?"),
        ("tune.trials=0", "tune.trials=0: must be at least 1"),
        ("tune.trials=many", "tune.trials=many: must be a whole number"),
        ("tune.pruner=hyperband", "tune.pruner=hyperband: must be median, halving or none"),
        ("tune.grace=1", "tune.grace=1.0: must be in [0, 1)"),
        ("tune.parallel=0", "tune.parallel=0: must be at least 1, or auto"),
        ("tune.trials=1,2", "tune.trials=1,2: takes one value here"),
        ("search=lr,lr_wd", "search=lr,lr_wd: takes one value here"),
        ("search=lrwd", "did you mean lr_wd?"),
        ("serch=lr", "serch: no such key; did you mean search?"),
        ("tunes.trials=3", "tunes.trials: no such key; did you mean tune?"),
        ("seed=3", "attnbench tune chooses it"),
        ("test=false", "attnbench tune chooses it"),
        ("run.again=true", "attnbench tune chooses it"),
    ],
)
def test_a_wrong_word_is_one_line(word: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        read_request([word], None)
    assert reason in str(caught.value)
