"""Names and types: every mistake is found where it was made, and reported in one line with what would be right."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.config import search_path
from attnbench.config.compose import compose
from attnbench.config.search_path import shipped
from attnbench.errors import UserError

Refusal = Callable[..., str]

OFFERED = [
    "timm/<name>" if name == "timm" else name for name in search_path.choices("attention", search_path.search_path())
]
MISTAKES = {
    ("attention=bamm",): [
        "attention=bamm: no such choice; did you mean bam?",
        f"(choices: {', '.join(OFFERED)})",
    ],
    ("atention=bam",): ["atention: no such key; did you mean attention?", "top level: attention, backbone"],
    ("attention=bam", "attention.reductoin=8"): ["attention=bam has no such key; did you mean reduction?", "dilation"],
    ("attention.reduction=8",): [
        "attention=none has no such key",
        "(it has no options; bam, cbam, ",
        ", timm/<name> have reduction)",
    ],
    ("recipe.lrr=1",): ["recipe=one_cycle has no such key; did you mean lr?"],
    ("sed=1",): ["sed: no such key; did you mean seed?"],
    ("recipe.lr=fast",): ["recipe.lr=fast: must be a number"],
    ("recipe.epochs=1.5",): ["recipe.epochs=1.5: must be a whole number"],
    ("seed=true",): ["seed=true: must be a whole number"],
    ("seed=null",): ["seed=null: must be a whole number"],
    ("seed='5'",): ["seed='5': must be a whole number"],
    ("data.mean=[null,true]",): ["data.mean=[null, true]: must be a list of numbers"],
    ("trainer=[default]",): ["trainer=[default]: takes one choice"],
    ("trainer.compile=1",): ["must be auto, graphs, true or false"],
    ("trainer.progress=1",): ["must be true or false"],
    ("trainer.precision=fp16",): ["must be auto, bf16 or fp32"],
    ("trainer.threads=many",): ["must be auto or a whole number"],
    ("attention=bam", "attention.variant=papper"): ["must be paper or official; did you mean paper?"],
    ("data.mean=3",): ["must be a list of numbers"],
    ("recipe.milestones=[a]",): ["must be a list of numbers"],
    ("+foo=1",): ["foo: no such key"],
    ("~seed",): ["~seed: keys cannot be removed"],
    ("~attention.reduction",): ["keys cannot be removed"],
    ("seed=[1,",): ["seed=[1,: not an override of the form key=value"],
    ("seed",): ["seed: not an override of the form key=value: the equals sign is missing"],
    ("seed = 1",): ["without spaces around the equals sign, it is seed=1"],
    ("=3",): ["=3: the key is missing"],
    ("seed=0,1",): ["seed=0,1: takes one value here; a list is written seed=[…]"],
    ("data@x=cifar10",): ["a group cannot be moved"],
    ("attention={a: 1}",): ["attention.a: attention=none has no such key"],
    ("attention=tim",): ["attention=tim: no such choice (choices: bam"],
    ("attention=null",): ["attention=null: no such choice"],
    ("backbone=wrn28-10",): ["backbone=wrn28-10: no such choice", "wrn<depth>_<width>"],
    ("backbone=wrn28_ten",): ["backbone.width=ten: must be a whole number"],
    ("recipe.lr=${nothing}",): ["Interpolation key 'nothing' not found"],
    ("experiment=nothing",): ["experiment=nothing: no such choice", "resnet20_cifar10"],
    ("lr=1",): ["lr: no such key; did you mean recipe.lr?"],
    ("epoch=1",): ["did you mean recipe.epochs?"],
    ("lambda=1",): ["did you mean attention.lambda of attention=ggam?"],
    ("dataset=cifar10",): ["did you mean data?"],
    ("atention.lambda=1",): ["did you mean attention.lambda?"],
    ("bam",): ["bam: not an override of the form key=value: the equals sign is missing; did you mean attention=bam?"],
    ("output=a,b",): ["output=a,b: takes one value here", "a text with a comma \"output='a,b'\""],
    ("hydra=1",): ["hydra=1: name a key of Hydra's"],
    ("hydra.run=3",): ["hydra.run: Invalid type assigned"],
    ("hydra.sweeper.params.seed=1",): ["Hydra cannot compose hydra.sweeper.params.seed=1"],
    (f"attention={'x' * 300}",): ["xxx: no such choice"],
    ("hydra/launcher=nothing",): ["hydra/launcher=nothing: no such choice"],
    ("hydra.nothing=1",): ["nothing"],
}


@pytest.mark.smoke
@pytest.mark.parametrize(("overrides", "parts"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_a_mistake_is_one_line_that_says_what_would_be_right(
    overrides: tuple[str, ...], parts: list[str], refusal: Refusal
) -> None:
    message = refusal(*overrides)
    for part in parts:
        assert part in message


RECIPES_FOR_FILES = ("recipe=gated_fine_grained", "recipe=ggam_fine_grained")
"""Recipes that set the size of images, which only sets of image files have."""


def test_every_choice_of_every_group_composes() -> None:
    folders = search_path.search_path()
    for group in search_path.groups(folders):
        for choice in search_path.choices(group, folders):
            override = f"{group}={choice}"
            config = compose([override, "data=cub200"] if override in RECIPES_FOR_FILES else [override])
            assert config.choices[group] == choice


@pytest.mark.smoke
def test_1_and_1_0_are_the_same_number() -> None:
    written = [
        compose([f"recipe.lr={text}", f"recipe.epochs={epochs}"]) for text, epochs in (("1", "3"), ("1.0", "3.0"))
    ]
    assert written[0].values == written[1].values
    assert isinstance(written[0]["recipe"]["lr"], float)
    assert isinstance(written[1]["recipe"]["epochs"], int)


def test_zero_is_a_valid_seed() -> None:
    assert compose(["seed=0"])["seed"] == 0


@pytest.mark.smoke
def test_a_name_that_holds_values_means_its_choice_with_these_values() -> None:
    short, long = compose(["backbone=wrn16_4"]), compose(["backbone=wrn", "backbone.depth=16", "backbone.width=4"])
    assert short.values == long.values
    assert short.identity == long.identity
    assert compose(["backbone.depth=40", "backbone=wrn16_4"])["backbone"]["depth"] == 40
    for library, name in (("torchvision", "resnet50"), ("timm", "resnet50.a1_in1k")):
        short, long = compose([f"backbone={library}/{name}"]), compose([f"backbone={library}", f"backbone.name={name}"])
        assert short.values == long.values


def test_the_last_of_two_choices_counts() -> None:
    assert compose(["attention=bam", "attention=none"]).choices["attention"] == "none"


def test_declarations_are_not_in_the_configuration() -> None:
    assert "_keys_" not in repr(compose(["attention=bam", "data=cifar10"]).values)


def test_keys_that_do_not_change_results_are_not_in_the_identity() -> None:
    plain = compose(["data=cifar10"])
    locations = ["seed=3", "output=x", "data.root=y", "logger=none", "run.again=true", "sweep.jobs=2"]
    speed = ["trainer.threads=1", "trainer.block_length=4", "trainer.compile=true", "trainer.progress=false"]
    other = compose(["data=cifar10", *locations, *speed])
    assert plain.identity == other.identity
    assert plain.identity != compose(["data=cifar10", "trainer.precision=fp32"]).identity


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


OWN_MISTAKES = {
    "experiment": ("experiment=own", "# @package _global_\nrecipe: {epoch: 3}\n", "did you mean epochs?"),
    "type": (
        "experiment=own",
        "# @package _global_\nrecipe: {epochs: ten}\n",
        "recipe.epochs=ten: must be a whole number",
    ),
    "choice": ("experiment=own", "# @package _global_\ndefaults: [{override /attention: bamm}]\n", "did you mean bam?"),
    "offer": (
        "experiment=own",
        "# @package _global_\ndefaults: [{override /attention: x}]\n",
        "simam, sk, timm/<name>, ",
    ),
    "recipe": ("recipe=own", "defaults: [one_cycle@_here_]\nwarmpu: 0.1\n", "did you mean warmup?"),
    "recipe type": ("recipe=own", "defaults: [one_cycle@_here_]\nlr: x\n", "recipe.lr=x: must be a number"),
    "partial recipe": (
        "recipe=own",
        "lr: 0.1\n",
        "recipe.epochs: recipe=own does not set it; such a file begins with `defaults: [one_cycle, _self_]`",
    ),
    "null": ("attention=own", "_target_: x.Y\ndepth: null\n", "attention.depth: its default null has no type"),
    "auto": ("attention=own", "_target_: x.Y\ndepth: auto\n", "declare it under _keys_"),
    "declaration": ("attention=own", "_target_: x.Y\ndepth: 1\n_keys_: {depth: {typ: int}}\n", "typ: not one of type"),
    "syntax": ("attention=own", "_target_: [x\n", "own.yaml"),
    "interpolation": ("attention=own", "_target_: x.Y\ndepth: ${nothing}\n", "nothing"),
    "missing base": ("attention=own", "defaults: [absent]\n", "absent"),
}


@pytest.mark.parametrize(("override", "text", "message"), OWN_MISTAKES.values(), ids=OWN_MISTAKES.keys())
def test_a_users_own_file_is_checked_like_the_command_line(
    override: str, text: str, message: str, own_folder: Path, refusal: Refusal
) -> None:
    write(own_folder / "mine", f"{override.partition('=')[0]}/own.yaml", text)
    assert message in refusal(override, config_dir="mine")


def test_a_config_dir_that_does_not_exist_is_named(refusal: Refusal) -> None:
    assert "--config-dir nowhere: no such folder" in refusal(config_dir="nowhere")


def test_a_users_own_file_does_not_have_the_name_of_another(own_folder: Path, refusal: Refusal) -> None:
    """The other one would be taken. A copy that was not changed does no harm."""
    text = (shipped() / "attention" / "bam.yaml").read_text()
    write(own_folder / "mine", "attention/bam.yaml", text)
    assert compose(["attention=bam"], "mine")["attention"]["reduction"] == 16
    write(own_folder / "mine", "attention/bam.yaml", text.replace("reduction: 16", "reduction: 2"))
    message = "--config-dir mine: attention/bam.yaml: the name is taken; rename the file"
    assert message in refusal("attention=bam", config_dir="mine")


def test_a_users_own_primary_config_is_composed_and_checked(own_folder: Path) -> None:
    write(own_folder / "mine", "mine.yaml", "defaults: [train, _self_]\nrecipe: {epochs: 7}\n")
    assert compose([], "mine", "mine")["recipe"]["epochs"] == 7
    write(own_folder / "mine", "mine.yaml", "defaults: [train, _self_]\nrecipe: {epoch: 7}\n")
    with pytest.raises(UserError, match="did you mean epochs"):
        compose([], "mine", "mine")


@pytest.mark.smoke
def test_composing_does_not_import_torch() -> None:
    code = (
        "import sys; from attnbench.config.compose import compose; from attnbench.config.sweep import expand; "
        "expand(['attention=none,bam', 'attention.reduction=8,16']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
