"""Faults injected one after another, each answered by the same command again, and counted."""

import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.children import Ended, Forked, Place, Started
from tests.faults.compare import differences, finished_epochs, runs_of

SINGLE = ("train", "data=cluttered_digits", "data.train_images=300", "data.validation=100", "data.test_images=100",
          "backbone.depth=8", "backbone.width=4", "recipe.epochs=3", "trainer.threads=1")  # fmt: skip
"""A run of about a second, which also writes a cache of generated images."""
FOLDER = ("train", "data=image_folder", "data.cache=disk", "data.image_size=16", "data.resize=16", "data.batch_size=16",
          "data.validation=20", "data.workers=1", *SINGLE[5:])  # fmt: skip
"""A run that reads images from a folder, by another process, and caches them decoded; needs `data.root`."""
SWEEP = ("train", "-m", *SINGLE[1:], "recipe.epochs=2", "attention=none,se", "attention.reduction=2", "sweep.jobs=2")
EPOCH = re.compile(r"^epoch (\d+)/", re.MULTILINE)
STOPPED_ALONE = "failed: .*: exit status 130: .*interrupted"
"""What a sweep says of a run that got the signal in its place; the sweep goes on."""
Problem = tuple[str, str]
"""Its kind and what exactly is wrong."""
Command = Callable[[Place, Sequence[str], str], Forked | Started]
MANY_EVENTS = 10
"""Event files are written to all the time; one in so many of these operations is enough."""


@dataclass
class Counts:
    """What became of the injected faults; `problems` say what went wrong in each case."""

    injected: int = 0
    answered: int = 0
    problems: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, fault: str, problems: Sequence[Problem]) -> None:
        """Count a fault and what went wrong with it, if anything."""
        self.injected += 1
        self.answered += not problems
        self.kinds.update({kind for kind, _ in problems})
        self.problems += [f"{fault}: {kind}: {words}" for kind, words in problems]

    def __str__(self) -> str:
        kinds = {"lost": 0, "tracebacks": 0, **self.kinds}
        words = [f"{kind} {number}" for kind, number in kinds.items()]
        return " / ".join([f"injected {self.injected}", f"answered {self.answered}", *words])


@dataclass(frozen=True)
class Campaign:
    """One command and its undisturbed result, to which that of every disturbed one is compared.

    words: the command, without `attnbench`. command: starts it. reference: where it ran undisturbed.
    """

    words: Sequence[str]
    command: Command
    reference: Place
    operations: list[str]

    @classmethod
    def prepare(cls, words: Sequence[str], command: Command, folder: Path) -> "Campaign":
        """Run the command undisturbed and note its operations."""
        reference = Place(folder)
        ended = command(reference, words, "").wait()
        assert ended.status == 0, ended
        return cls(words, command, reference, reference.operations())

    def numbers(self) -> list[int]:
        """Return the numbers of the operations that are worth a fault."""
        pairs = enumerate(self.operations, 1)
        return [number for number, line in pairs if "tfevents" not in line or number % MANY_EVENTS == 0]

    def draw(self, count: int, generator: random.Random) -> list[int]:
        """Return so many of these numbers, drawn from all parts of the command's life."""
        numbers = self.numbers()
        if count >= len(numbers):
            return numbers
        edges = [round(part * len(numbers) / count) for part in range(count + 1)]
        return [generator.choice(numbers[low:high]) for low, high in pairwise(edges)]

    def inject(self, fault: str, counts: Counts) -> None:
        """Run the command with a fault (as the hooks have it), then without, and count what became of it."""
        with new_place() as place:
            first = self.command(place, self.words, fault)
            ended = first.wait()
            number, operations = int(fault.split()[1]), place.operations()
            if number <= len(operations):  # it may take fewer this time
                problems = [*_problems_of_answer(fault, ended), *self._resume(place, first)]
                counts.add(f"{fault}, {operations[number - 1]}", problems)

    def kill_after(self, seconds: float, everything: bool, counts: Counts) -> None:
        """Kill the command's first process, or all of its processes, after a time, then give it again."""
        with new_place() as place:
            first = self.command(place, self.words, "")
            time.sleep(seconds)
            first.kill_all() if everything else first.kill()
            ended = first.wait()
            counts.add(
                f"kill after {seconds:.2f} s", [*_problems_of_answer("kill", ended), *self._resume(place, first)]
            )

    def run_twice_at_once(self, seconds: float, counts: Counts) -> None:
        """Start the command again a time after its start: one of them trains, and the result is the same."""
        with new_place() as place:
            first = self.command(place, self.words, "")
            time.sleep(seconds)
            both = [first.wait() for first in (first, self.command(place, self.words, ""))]
            problems = [problem for ended in both for problem in _problems_of_answer("kill", ended)]
            trained = [EPOCH.findall(ended.out) for ended in both]
            if isinstance(first, Forked) and sorted(map(len, trained))[0] > 0:
                problems.append(("repeated", f"both trained: {trained}"))
            if sorted(ended.status for ended in both) not in ([0, 0], [0, 1]):
                problems.append(("wrong status", f"{both}"))
            counts.add(f"twice, {seconds:.2f} s apart", [*problems, *self._resume(place, first)])

    def _resume(self, place: Place, first: Forked | Started) -> Iterator[Problem]:
        """Give the same command again, and yield what is wrong with its result."""
        if not first.wait_for_children():
            yield "unseen", "processes live on"
            first.kill_all()
        before = {name: (finished_epochs(run), printed(run.log_file)) for name, run in runs_of(place).items()}
        ended = self.command(place, self.words, "").wait()
        if ended.status != 0:
            yield "lost", f"the same command ends with {ended.status}: {ended.out[-300:]} {ended.err[-1000:]}"
            return
        yield from _problems_of_answer("kill", ended)
        for words in differences(place, self.reference):
            yield "litter" if words.startswith("litter") else "lost", words
        for name, run in runs_of(place).items():
            done, earlier = before.get(name, (0, ""))
            output = ended.out if isinstance(first, Forked) else printed(run.log_file).removeprefix(earlier)
            epochs = [int(epoch) for epoch in EPOCH.findall(output)]
            if epochs != list(range(done + 1, len(run.rows()) + 1)):
                yield "repeated", f"{name}: {done} epochs were done, and then it trained {epochs}"


def prepare_folder(folder: Path) -> Campaign:
    """Write a folder of images, and run `FOLDER` on it undisturbed."""
    generator, images = np.random.default_rng(0), folder / "images"
    for number in range(120):
        place = images / ("test" if number % 3 == 0 else "train") / f"class {number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (16, 20, 3), np.uint8) // (1 + number % 2)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return Campaign.prepare([*FOLDER, f"data.root={images}"], Forked, folder)


def printed(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _problems_of_answer(fault: str, ended: Ended) -> Iterator[Problem]:
    """Yield what is wrong with how a command ended after its fault."""
    action = fault.split(maxsplit=1)[0]
    if "Traceback" in ended.out + ended.err:
        yield "tracebacks", ended.err[-1500:]
    if action.startswith("kill"):
        return
    if ended.status not in ((0, 1) if action == "full" else (0, 1, 130)):
        yield "wrong status", f"{ended.status}: {ended.err[-500:]}"
    reason = "No space left" if action == "full" else STOPPED_ALONE
    if ended.status == 1 and not re.search(f"^attnbench: .*{reason}", ended.err, re.MULTILINE):
        yield "no reason", ended.err[-500:]


@contextmanager
def new_place() -> Iterator[Place]:
    """Make a folder, and delete it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="fault"))
    try:
        yield Place(folder)
    finally:
        shutil.rmtree(folder)
