"""One composer for all tests of a process: what Hydra composed once, in a fifth of a second, is not composed again."""

from functools import cache

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig


@cache
def composer() -> Composer:
    """Return the composer of the shipped configs."""
    return Composer()


def composed(*overrides: str) -> RunConfig:
    """Compose and check a configuration of the shipped configs, as `attnbench.config.compose.compose` does."""
    return composer().compose(overrides)
