"""Compose the configuration of a trained run again, under settings that may change after training.

The recorded values are laid over what the run's choices compose to today. So a run of an older attnbench gets the keys
that were added since, at their neutral value, and overrides are checked as in any composition.

A record may be a stranger's. Its values are taken as they are written: interpolations in them are not resolved. The
classes are those that the choices name today; another one counts only where the user trusts it (see `trusted_code`).
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnbench.config import schema, search_path
from attnbench.config.compose import Composer, apply
from attnbench.config.hydra_compat import is_plain
from attnbench.config.overrides import Parsed, parse
from attnbench.config.validate import (
    NEUTRAL_REVISION,
    OWN_PACKAGE,
    REVISION,
    RunConfig,
    Tree,
    check,
    has_key,
    set_leaf,
    unknown_key,
)
from attnbench.errors import RunError, UserError, spelled

CHANGEABLE = ("data", "attention", "trainer")
KEPT = ("task", "backbone", "recipe", "seed", *CHANGEABLE)
"""Top-level keys whose recorded values are used; the rest has no effect after training."""
CHOSEN = ("task", "backbone", "attention", "data")
"""Groups whose choice decides which keys there are; runs of earlier versions have no task, and classify."""
FROM_CHOICE = ("_target_", "_name_", REVISION)
"""Keys that a choice's file decides, never a record: code is looked up by the choice's name."""
MASKED = "a recorded text"
TRAINING_ONLY = (
    "validation", "train_images", "padding", "padding_mode", "train_crop", "flip", "label_noise", "resampled"
)  # fmt: skip
"""Keys of `data` that do not change the test set."""


def recompose(
    composer: Composer, choices: Mapping[str, str], values: Tree, overrides: Sequence[str]
) -> tuple[RunConfig, Tree]:
    """Compose a run's configuration under overrides. What runs of one kind have in common is composed once.

    Args:
        composer: composes the choices as they are today.
        choices: the run's choice in each group, as recorded.
        values: the run's configuration, as recorded.
        overrides: choices and values that replace the run's own.

    Returns:
        The configuration, and the settings in which it differs from the run's own: choices and leaves that may change
        a result, by dotted key. Both are shared between calls: do not change them.

    Raises:
        UserError: for unknown and mistyped keys, and for those that a trained run cannot change.
        RunError: for what this version does not have.
    """
    kept = {key: values[key] for key in KEPT if key in values}
    seed = {"seed": kept.pop("seed")} if type(values.get("seed")) is int else {}
    config, settings = composer.once(
        json.dumps([dict(choices), kept, list(overrides)]), lambda: _recompose(composer, choices, kept, overrides)
    )
    return replace(config, values={**config.values, **seed}), settings


def _recompose(
    composer: Composer, choices: Mapping[str, str], values: Tree, overrides: Sequence[str]
) -> tuple[RunConfig, Tree]:
    parsed = parse(overrides, composer.folders)
    chosen = {str(override.key_or_group): str(override.value()) for override in parsed.choices}
    changed = {group: choice for group, choice in chosen.items() if choice != choices.get(group)}
    tree, made = _compose(composer, choices, changed)
    _reject_unknown(parsed, tree, made, composer)
    _reject_unchangeable(parsed, changed, choices)
    reference = composer.reference(tree, made, [])
    declared = {**schema.declarations(reference), **schema.declarations(tree)}
    recorded = {key: value for key, value in values.items() if key not in changed}
    masked, texts = mask(recorded)
    base = lay_over(tree, masked, declared, trusted_code(composer))
    own, config = (
        check(unmask(apply(base, applied), texts), reference, declared, made, composer.folders)
        for applied in ([], parsed.values)
    )
    settings = {**changed, **differing_leaves(own, config)}
    for key, value in settings.items():
        if key.removeprefix("data.") in TRAINING_ONLY:
            raise UserError(f"{key}={spelled(value)}: affects only the training images; the test would be the same")
    return config, settings


def mask(values: Tree) -> tuple[Tree, dict[str, Any]]:
    """Return a copy of recorded values in which nothing is an interpolation, and what was in the places, by key."""
    masked, texts = copy.deepcopy(values), {}
    for key, value in schema.flatten(values).items():
        if not is_plain(value):
            texts[key] = value
            set_leaf(masked, key, MASKED)
    return masked, texts


def unmask(tree: Tree, texts: Mapping[str, Any]) -> Tree:
    """Put recorded values back, where no override has replaced them, and return the tree."""
    leaves = schema.flatten(tree)
    for key, text in texts.items():
        if leaves.get(key) == MASKED:
            set_leaf(tree, key, text)
    return tree


def trusted_code(composer: Composer) -> Callable[[str], bool]:
    """Return whether a recorded class may be used although the run's choice names another one today.

    That is so for the packages that the user names, and for classes that are named in the user's own `--config-dir` or
    in the configs of an installed package.
    """
    named = search_path.targets(composer.folders)
    return lambda path: path in named or any(path.startswith(f"{package}.") for package in composer.trusted)


def lay_over(
    tree: Tree,
    values: Tree,
    declared: Mapping[str, schema.Declaration],
    trusted: Callable[[str], bool] = lambda path: False,
) -> Tree:
    """Return a copy of a composed tree with a run's values; keys that the run does not have become neutral.

    Args:
        tree: what the run's choices compose to today.
        values: the run's configuration, as recorded.
        declared: what config files declare of keys, by dotted key.
        trusted: whether a recorded class may be used although the tree has another.

    Raises:
        RunError: for a key of the run that the tree does not have, and for code that computes something else today.
    """
    laid, known, recorded = copy.deepcopy(tree), schema.flatten(tree), schema.flatten(values)
    for key, value in recorded.items():
        if key.rpartition(".")[2] in FROM_CHOICE:
            if key.endswith("_target_") and key in known and trusted(str(value)):
                set_leaf(laid, key, value)
            else:
                _check_same_code(key, value, known.get(key))
            continue
        if key not in known:
            raise RunError(f"{key}: the run was trained with {key}={spelled(value)}, which this version does not have")
        set_leaf(laid, key, value)
    for key in known:
        added_later = key.partition(".")[0] in values and key not in recorded
        if added_later and key.rpartition(".")[2] == REVISION:
            _check_same_code(key, NEUTRAL_REVISION, known[key])
        elif added_later and key in declared and declared[key].neutral is not schema.ABSENT:
            set_leaf(laid, key, declared[key].neutral)
    return laid


def _check_same_code(key: str, recorded: Any, current: Any) -> None:
    """Raise `RunError` if a choice's class is not the one the run was trained with; it may have moved in attnbench."""
    name = key.rpartition(".")[2]
    if name == "_target_" and recorded != current and not _both_ours(recorded, current):
        package = str(recorded).partition(".")[0]
        raise RunError(
            f"{key}: the run was trained with {recorded}, and the choice names {current}; "
            f"if you trust that code, add --trust {package}"
        )
    if name == REVISION and recorded != (current or NEUTRAL_REVISION):
        raise RunError(
            f"{key}: the run was trained with revision {recorded}; this version has revision "
            f"{current or NEUTRAL_REVISION}, which computes something else"
        )


def _both_ours(*targets: Any) -> bool:
    return all(str(target).startswith(OWN_PACKAGE) for target in targets)


def differing_leaves(own: RunConfig, config: RunConfig) -> dict[str, Any]:
    """Return the leaves of `config` that differ from `own` and are part of either identity."""
    before = schema.flatten(own.values)
    return {
        key: value
        for key, value in schema.flatten(config.values).items()
        if value != before[key] and (key in config.identity or key in own.identity)
    }


def _compose(composer: Composer, choices: Mapping[str, str], changed: Mapping[str, str]) -> tuple[Tree, dict[str, str]]:
    kept = {group: choices[group] for group in CHOSEN if group in choices and group not in changed}
    for group, choice in kept.items():
        if choice not in search_path.choices(group, composer.folders):
            raise RunError(f"{group}={choice}: the run's choice does not exist here; name its folder with --config-dir")
    lines = [f"{group}={choice}" for group, choice in {**kept, **changed}.items()]
    tree, made = composer.chosen(parse(lines, composer.folders))
    return tree, {**made, **{group: choices[group] for group in ("recipe", "trainer") if group in choices}, **changed}


def _reject_unknown(parsed: Parsed, tree: Tree, made: Mapping[str, str], composer: Composer) -> None:
    known = {**schema.flatten(tree), **dict.fromkeys(made)}
    for override in parsed.values:
        if not has_key(known, override.key_or_group):
            raise UserError(unknown_key(override.key_or_group, list(schema.flatten(tree)), made, composer.folders))


def _reject_unchangeable(parsed: Parsed, changed: Mapping[str, str], choices: Mapping[str, str]) -> None:
    for override in (*parsed.choices, *parsed.values, *parsed.hydra):
        group = override.key_or_group.partition(".")[0].partition("/")[0]
        if group not in CHANGEABLE:
            reason = "means nothing to a trained run" if group == "hydra" else f"a trained run keeps its {group}"
            raise UserError(f"{override.input_line}: {reason}; an evaluation changes {', '.join(CHANGEABLE)}")
    if "attention" in changed:
        raise UserError(
            f"attention={changed['attention']}: the run was trained with attention={choices['attention']}; "
            "its options can change, not the choice"
        )
