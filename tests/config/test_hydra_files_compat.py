"""Config files as people write them: what can be read is read, for anything else one line says what to do."""

import re
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config import search_path
from attnbench.config.compose import compose
from attnbench.errors import UserError

BOM = b"\xef\xbb\xbf"


@pytest.fixture
def recipes(own_folder: Path) -> Path:
    (own_folder / "mine" / "recipe").mkdir(parents=True)
    return own_folder / "mine" / "recipe"


def composed(recipes: Path, content: bytes, *overrides: str) -> dict[str, object]:
    (recipes / "own.yaml").write_bytes(content)
    recipe: dict[str, object] = compose(["recipe=own", *overrides], str(recipes.parent))["recipe"]
    return recipe


def rejected(recipes: Path, content: bytes, *overrides: str) -> str:
    with pytest.raises(UserError) as raised:
        composed(recipes, content, *overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("overrides", [(), ("hydra.job.name=x",)], ids=["plain", "by Hydra"])
def test_a_byte_order_mark_is_no_part_of_a_file(recipes: Path, overrides: tuple[str, ...]) -> None:
    content = BOM + b"# @package recipe\ndefaults: [one_cycle, _self_]\nlr: 0.25\n"
    assert composed(recipes, content, *overrides)["lr"] == 0.25
    assert search_path.describe(recipes / "own.yaml") == ""


@pytest.mark.parametrize("overrides", [(), ("hydra.job.name=x",)], ids=["plain", "by Hydra"])
def test_a_file_that_is_no_text_is_named(recipes: Path, overrides: tuple[str, ...]) -> None:
    assert rejected(recipes, b"lr: \xff\n", *overrides) == f"{recipes}/own.yaml: it is not text in UTF-8"


def test_a_damaged_file_stops_only_those_who_choose_it(recipes: Path) -> None:
    (recipes / "own.yaml").write_bytes(b"lr: \xff\n")
    (recipes / "folder.yaml").mkdir()
    (recipes / "nowhere.yaml").symlink_to("nothing")
    assert compose(["recipe=adamw", "backbone=wrn10_1"], str(recipes.parent)).choices["recipe"] == "adamw"
    assert {"folder", "nowhere"}.isdisjoint(search_path.choices("recipe", [recipes.parent]))


def test_another_ending_is_named(recipes: Path) -> None:
    (recipes / "other.yml").write_text("lr: 1\n")
    with pytest.raises(UserError, match=r"recipe=other: Hydra reads files that end in .yaml only; rename .*other.yml"):
        compose(["recipe=other"], str(recipes.parent))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"3\n", "own.yaml: must be a mapping of keys to values; it is the value 3"),
        (b"# A recipe\nepochs\n", "own.yaml: must be a mapping of keys to values; it is the value epochs"),
        (b"- 1\n", "own.yaml: must be a mapping of keys to values; it is a list"),
        (b"!!set {a}\n", "own.yaml: must be a mapping of keys to values"),
        (b"", "recipe.epochs: recipe=own does not set it; such a file begins with `defaults: [one_cycle, _self_]`"),
        (b"a: [1\n", 'YAML: while parsing a flow sequence in "'),
        (b"[" * 3000, "own.yaml: must be a mapping of keys to values; it is a list"),
        (b"a: " + b"[" * 3000, "own.yaml: must be a mapping of keys to values"),
    ],
)
def test_content_that_is_no_mapping_of_keys(recipes: Path, content: bytes, message: str) -> None:
    assert message in rejected(recipes, content)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"defaults: [one_cycle, _self_]\n1: a\n", "recipe.1"),
        (b"defaults: [one_cycle, _self_]\non: a\n", "recipe.true"),
        (b"defaults: [one_cycle, _self_]\nlr: {2: a}\n", "recipe.lr.2"),
    ],
)
def test_a_key_that_is_no_text(recipes: Path, content: bytes, key: str) -> None:
    assert rejected(recipes, content) == f"{key}: a key must be a text; write it in quotes"


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--cfg", "job", "attention=own"),
        ("train", "-m", "attention=none,own"),
        ("cost", "attention=own"),
        ("tune-lr", "attention=own"),
        ("tune", "attention=none,own"),
        ("table", "bam/1b", "attention=own"),
        ("reproduce", "bam/1b", "--profile", "quick", "attention=own"),
        ("cost", "-cn", "primary"),
        ("cost", "experiment=own"),
        ("list", "data"),
    ],
    ids=" ".join,
)
def test_every_command_names_a_file_that_is_a_list(
    own_folder: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("attention/own", "experiment/own", "data/own", "primary"):
        path = own_folder / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("- a\n")
    assert main([*words, "--config-dir", "mine"]) == 2
    message = capsys.readouterr().err
    assert re.fullmatch(r"attnbench: \S+\.yaml: must be a mapping of keys to values; it is a list\n", message)
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("recipe: 3\n", "recipe=3: recipe holds keys, so it must be a mapping; in a config file, a choice is made"),
        ("output: ${hydra:runtime.cwd}/x\n", "output: ${hydra:…} has no value, as attnbench does not run under Hydra"),
        ("output: ${nothing.here}\n", "output: Interpolation key 'nothing.here' not found"),
    ],
)
@pytest.mark.parametrize("causes", ["0", "1"])
def test_an_experiment_that_means_something_else(
    own_folder: Path, body: str, message: str, causes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not OmegaConf keeps the causes of its errors, as it does in a debugger."""
    monkeypatch.setenv("OC_CAUSE", causes)
    (own_folder / "mine" / "experiment").mkdir(parents=True)
    (own_folder / "mine" / "experiment" / "own.yaml").write_text(f"# @package _global_\n{body}")
    with pytest.raises(UserError) as raised:
        compose(["experiment=own"], str(own_folder / "mine"))
    assert str(raised.value).startswith(message)
