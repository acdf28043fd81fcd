"""The command of a recorded run composes its configuration again, and tells nothing of the machine."""

import shlex

import pytest

from attnbench.config.command import overrides_of, training_command
from attnbench.config.compose import Composer
from attnbench.errors import UserError


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["attention=bam", "attention.reduction=8", "recipe.lr=1e-05", "trainer.threads=1", "output=elsewhere"],
        [
            "backbone=wrn16_4",
            "attention=gated",
            "data=cifar10",
            "recipe.milestones=[3,7]",
            "recipe.schedule=multi_step",
        ],
        ["backbone=resnet50", "backbone.stem=cifar", "data.label_noise=0.2", "callbacks=early_stopping"],
        ["attention=ggam", "attention.lambda=0", "recipe=bam_cifar", "data.distractors=4", "trainer.precision=fp32"],
    ],
)
def test_the_overrides_compose_the_configuration_again(words: list[str]) -> None:
    composer = Composer()
    config = composer.compose(words)
    lines = overrides_of(composer, config.choices, config.values)
    again = composer.compose(shlex.split(" ".join(lines)))
    assert again.identity == config.identity
    assert len(lines) <= len(words)
    assert not any(line.startswith(("trainer.threads", "output")) for line in lines)


def test_seeds_and_folders_of_choices_are_named() -> None:
    composer, config = Composer(), Composer().compose(["attention=se"])
    command = training_command(composer, config.choices, config.values, [0, 3], "my configs")
    assert command == "attnbench train -m --config-dir 'my configs' attention=se seed=0,3"
    assert training_command(composer, config.choices, config.values, [3]) == "attnbench train attention=se seed=3"


def test_folders_of_the_machine_are_not_told() -> None:
    composer = Composer()
    config = composer.compose(["data=cifar10", "data.root=/home/me/data", "backbone.weights=/home/me/my net.ckpt"])
    lines = overrides_of(composer, config.choices, config.values)
    assert lines == ["data=cifar10", """'backbone.weights=my net.ckpt'""", "data.root=DIR"]


def test_a_shell_reads_a_stranger_s_value_as_one_word() -> None:
    composer, config = Composer(), Composer().compose([])
    backbone = {**config["backbone"], "stem": "a; rm -rf $HOME `x`"}
    (line,) = overrides_of(composer, config.choices, {**config.values, "backbone": backbone})
    (word,) = shlex.split(line)
    assert word.startswith("backbone.stem=") and backbone["stem"] in word


def test_a_choice_that_is_not_there_is_named() -> None:
    composer, config = Composer(), Composer().compose([])
    with pytest.raises(UserError, match="attention=gone"):
        overrides_of(composer, {**config.choices, "attention": "gone"}, config.values)
