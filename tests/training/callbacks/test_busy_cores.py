"""A slow first block: who is told what would help."""

import pytest

from attnbench.training.callbacks.busy_cores import advice


@pytest.mark.parametrize(
    ("threads", "cores", "idle", "told"),
    [
        (2, 0.3, 0.0, True),
        (2, 0.9, 0.2, True),
        (2, 1.9, 0.0, False),  # it has its cores
        (2, 0.3, 1.5, False),  # it waits for something else, such as a disk
        (16, 3.0, 0.1, True),
    ],
)
def test_only_a_run_that_lacks_cores_is_told(threads: int, cores: float, idle: float, told: bool) -> None:
    line = advice(threads, cores, idle)
    assert bool(line) == told
    assert ("trainer.threads=1" in line and f"{cores:.1f} cores" in line and f"its {threads} threads" in line) == told
