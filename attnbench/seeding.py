"""Independent random streams from one seed."""

import numpy as np

STREAMS = ("order", "forward", "initial weights", "label noise", "views", "mixing", "erasing", "noise", "policy",
           "trial")  # fmt: skip


def derive_seed(seed: int, stream: str, *position: int) -> int:
    """Derive the seed of one stream at one position (an epoch, a rank), unrelated to all others of the same run.

    No generator is carried from epoch to epoch, so an epoch's draws depend on nothing but seed and epoch: validation
    never shifts training, and a resumed run draws what an uninterrupted one would have drawn.
    """
    return int(np.random.SeedSequence([seed, STREAMS.index(stream), *position]).generate_state(1)[0])
