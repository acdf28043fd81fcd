"""Checks of what a run takes beside its own parts: loggers and callbacks. Nothing here imports torch by itself."""

import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from attnbench.config.schema import flatten
from attnbench.config.validate import OWN_PACKAGE, RunConfig
from attnbench.construct import locate
from attnbench.errors import NotInstalledError, UserError

ADDONS = ("logger", "callbacks")
SERVICES = {"mlflow": "'attnbench[mlflow]'", "wandb": "wandb", "aim": "aim"}
"""Loggers of services by the package that they need, and what pip installs it as."""
SECRET = re.compile(r"(key|token|secret|password)$")


def check_addons(config: RunConfig) -> None:
    """Check loggers and callbacks before they are built. Raises `UserError`."""
    check_targets(config)
    check_loggers(config)


def check_targets(config: RunConfig) -> None:
    """Import the user's own loggers and callbacks, so that a misspelt one is found now. Raises `UserError`."""
    for group in ADDONS:
        for name, node in config[group].items():
            target = str(node.get("_target_", ""))
            if not target.startswith(OWN_PACKAGE):
                locate(target, f"{group}.{name}._target_")


def check_loggers(config: RunConfig) -> None:
    """Check that the packages of loggers are installed, and that no option holds a key, as records hold the options.

    Raises:
        UserError: a package is missing, or an option must not be one.
    """
    for name, package in SERVICES.items():
        if name in config["logger"] and find_spec(name) is None:
            raise NotInstalledError(f"logger={name}: its package is not installed: pip install {package}")
    for key, value in flatten(config["logger"]).items():
        if value and (SECRET.search(key) or (isinstance(value, str) and "@" in urlsplit(value).netloc)):
            raise UserError(f"logger.{key}: records hold all options, so keys and passwords belong in the environment")
