"""What several tests need: a folder of their own, small runs, and real data where it is at hand."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import settings

from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.termination import REQUESTS

torch.set_num_threads(1)  # the tests run in as many processes as there are cores
settings.register_profile("untimed", deadline=None)  # speed is for benchmarks
settings.load_profile("untimed")
# ignored in a shell's background job and under nohup; runs that the tests start inherit it
for request, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(request) is signal.SIG_IGN:
        signal.signal(request, handler)

TINY = ("data=digits", "backbone.width=4", "recipe.epochs=2", "trainer.threads=1")
"""A run that takes about a second."""

NOT_TEMPORARY: set[str] = set()
"""Modules that were looked at: there are thousands, and to look at all of them before each test took a minute."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder, so that no run meets another one's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Undo what a command that runs in this process has set: processes that later tests fork would inherit it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *REQUESTS)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forget what earlier tests imported from temporary folders: another test's `lab` is another module."""
    temporary = os.fspath(tmp_path_factory.getbasetemp())
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(temporary)]
    for name in sys.modules.keys() - NOT_TEMPORARY:
        if any(place.startswith(temporary) for place in _places(sys.modules[name])):
            del sys.modules[name]
    NOT_TEMPORARY.update(sys.modules)


def _places(module: ModuleType) -> list[str]:
    """Return a module's file and folders, without making a module that loads on use load."""
    content = vars(module) if isinstance(module, ModuleType) else {}
    return [os.fspath(place) for place in [content.get("__file__"), *(content.get("__path__") or [])] if place]


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Draw the same numbers in every run of a test, in whichever order tests run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def nothing_compiled() -> None:
    """Let each test compile as the first one does: compiled versions of shared code are limited per process."""
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Generate data once for all tests, away from the user's cache."""
    os.environ["ATTNBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tiny() -> Callable[..., RunConfig]:
    """Compose a configuration of a tiny run, with further overrides."""
    return lambda *overrides, **options: compose([*TINY, *overrides], **options)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The one line that overrides are refused with."""

    def refuse(*overrides: str, config_dir: str | None = None) -> str:
        with pytest.raises(UserError) as caught:
            compose(list(overrides), config_dir)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refuse


@pytest.fixture(scope="session")
def real_data() -> str:
    """The folder of real data sets, for slow tests."""
    folder = os.environ.get("ATTNBENCH_DATA")
    if not folder:
        pytest.skip("ATTNBENCH_DATA is unset: name a folder with CIFAR, MNIST and CUB_200_2011 as README has them")
    return folder
