"""How an attention is switched off by its own options, which its file declares under the node `_off_`.

    channel: true
    lambda: 1.0
    head: mlp

    _off_:
      name: its own head without attention   # what is left, as tables write it
      values: {channel: false, lambda: 0}    # with these values the network has no attention
      same: [head]                           # the options that still have an effect then; without it, all others

So runs of an attention that replaces a part of the network, such as its head, have a baseline with that same part: the
runs that are switched off, and whose options of `same` are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.config import schema
from attnbench.config.compose import Composer
from attnbench.config.diff import written
from attnbench.config.overrides import parse
from attnbench.errors import UserError, nearest

GROUP = "attention"
FIELDS = ("name", "values", "same")


@dataclass(frozen=True)
class SwitchedOff:
    """A declaration of `_off_`.

    Attributes:
        name: what is left of the attention, for tables.
        values: of the options that switch it off.
        same: the other options that have an effect all the same.
    """

    name: str
    values: Mapping[str, Any]
    same: tuple[str, ...]

    def matches(self, options: Mapping[str, Any]) -> bool:
        """Return whether an attention with these options is switched off."""
        return all(options.get(key) == value for key, value in self.values.items())

    def agree(self, options: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
        """Return whether two attentions are the same network once they are switched off."""
        return all(options.get(key) == others.get(key) for key in self.same)

    def describe(self) -> str:
        """Write the values as they are typed: `channel=false, lambda=0`."""
        return ", ".join(f"{key}={written(value).lower()}" for key, value in self.values.items())


def switched_off(composer: Composer, choice: str) -> SwitchedOff | None:
    """Return how a choice of attention is switched off; None where its file does not declare it.

    Raises:
        UserError: there is no such choice, or its declaration is wrong.
    """
    tree, _ = composer.chosen(parse([f"{GROUP}={choice}"], composer.folders))
    node = tree[GROUP].get(schema.OFF)
    if node is None:
        return None
    where = f"{schema.OFF} of {GROUP}={choice}"
    options = [key for key in schema.flatten(tree[GROUP]) if not key.startswith("_")]
    if not isinstance(node, dict) or not isinstance(node.get("values"), dict) or not node["values"]:
        raise UserError(f"{where}: must be a mapping with values of options: values: {{OPTION: VALUE}}")
    _check_names(where, list(node), FIELDS)
    _check_names(where, [*node["values"], *node.get("same", [])], options)
    others = [key for key in options if key not in node["values"]]
    return SwitchedOff(str(node.get("name", "itself switched off")), node["values"], tuple(node.get("same", others)))


def _check_names(where: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{where}: {name}: not one of {', '.join(known)}{nearest(name, known)}")
