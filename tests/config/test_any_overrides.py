"""Whatever is typed as overrides: a composed configuration, or one line that says what is wrong."""

from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnbench.cli.main import main
from attnbench.config import schema, search_path
from attnbench.config.compose import Composer
from attnbench.config.sweep import expand, is_sweep
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError

GROUPS = ("attention", "backbone", "data", "recipe", "trainer", "logger", "callbacks", "experiment")
ODD = ["", "~", "???", "${seed}", "${x}", "${oc.env:NOTHING}", "${hydra:runtime.cwd}", "[", "[1,", "{a: 1}", "{}",
       "[]", "null", "'", '"', "a=b", "a#b", "1,2", "range(3)", "choice(1,2)", "interval(0,1)", "glob(*)", "sort(1)",
       "int(x)", "\\", "a\\", "-", "_target_", ".", "..", "x" * 300, "1e999", "nan", "-inf", "0x1F", "true", "é",
       "\u202e", "\x00", "a\nb", "${", "$", "%s", "9" * 400, "[[[[1]]]]", "{a: {b: [1]}}", "extend_list(1)", "1_000",
       "@x", "a@b", "../train", "train", "default", "/etc/passwd"]  # fmt: skip
PREFIXES = ["", "", "", "", "+", "++", "~"]


@lru_cache(maxsize=1)
def composer() -> Composer:
    return Composer()


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Every key and group of the default configuration, some parts of them, and some that do not exist."""
    keys = list(schema.flatten(composer().compose([]).values))
    more = [
        "hydra.searchpath",
        "hydra.run.dir",
        "hydra.mode",
        "hydra.sweeper.params",
        "hydra/launcher",
        "hydra",
        "",
        ".",
        "a..b",
    ]
    return (
        *keys,
        *GROUPS,
        *more,
        *(key.rpartition(".")[2] for key in keys),
        "data@x",
        "seed.x",
        "recipe.lr.x",
        "paper",
    )


@lru_cache(maxsize=1)
def choices() -> tuple[str, ...]:
    return tuple(choice for group in GROUPS for choice in search_path.choices(group, composer().folders))


def values() -> st.SearchStrategy[str]:
    """Choices of groups, values of every type as they are typed, and odd text."""
    return st.one_of(
        st.sampled_from(choices()),
        st.sampled_from(ODD),
        st.integers().map(str),
        st.floats().map(str),
        st.booleans().map(lambda value: str(value).lower()),
        st.lists(st.integers() | st.text(max_size=3), max_size=3).map(str),
        st.text(max_size=8),
    )


def overrides() -> st.SearchStrategy[list[str]]:
    """Lists of overrides; a few are words without an equals sign."""
    typed = st.builds(
        lambda prefix, key, value: f"{prefix}{key}={value}",
        st.sampled_from(PREFIXES),
        st.sampled_from(names()),
        values(),
    )
    return st.lists(typed | values(), max_size=4)


def check_answer(given_overrides: list[str]) -> None:
    """Compose, as one configuration and as a sweep; any error but a `UserError` with a message fails."""
    for compose in (composer().compose, is_sweep):
        try:
            answer = compose(given_overrides)
        except UserError as error:
            assert str(error).strip()
        else:
            assert isinstance(answer, RunConfig | bool)


QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@QUIET
@given(st.data())
def test_any_overrides_are_a_configuration_or_a_message(data: st.DataObject) -> None:
    check_answer(data.draw(overrides()))


@pytest.mark.slow
@settings(QUIET, max_examples=1000, derandomize=False)
@given(st.data())
def test_many_overrides_are_a_configuration_or_a_message(data: st.DataObject) -> None:
    check_answer(data.draw(overrides()))


@pytest.mark.slow
@settings(QUIET, max_examples=150, derandomize=False)
@given(st.data())
def test_any_sweep_is_configurations_or_a_message(data: st.DataObject) -> None:
    try:
        assert expand(data.draw(overrides())).configs
    except UserError as error:
        assert str(error).strip()


@settings(QUIET, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_command_line_answers_in_one_line_and_status_2(
    data: st.DataObject, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in data.draw(overrides()) if not word.startswith("-")]
    capsys.readouterr()
    status = main(["train", "--cfg", "job", "-p", "seed", *words])
    captured = capsys.readouterr()
    assert status in (0, 2), captured.err
    assert (captured.err.count("\n"), bool(captured.out)) == ((0, True) if status == 0 else (1, False))
