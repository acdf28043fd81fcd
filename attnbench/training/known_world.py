"""What Lightning is told of a run's processes and signals, so that it finds out and starts nothing by itself."""

import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import ClusterEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.utilities import rank_zero_only

from attnbench.training.distributed import World


class KnownWorld(ClusterEnvironment):
    """Tells Lightning this process's place in a run, so that it neither guesses it from variables nor starts others."""

    creates_processes_externally = True

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        # Lightning took it from the environment when it was imported
        rank_zero_only.rank = world.rank  # type: ignore[attr-defined]

    @property
    def main_address(self) -> str:
        return self.world.host

    @property
    def main_port(self) -> int:
        return self.world.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.world.size

    def set_world_size(self, size: int) -> None:
        if size != self.world.size:
            raise RuntimeError(f"Lightning would train in {size} processes, and there are {self.world.size}")

    def global_rank(self) -> int:
        return self.world.rank

    def set_global_rank(self, rank: int) -> None:
        if rank != self.world.rank:
            raise RuntimeError(f"Lightning takes process {self.world.rank} for {rank}")

    def local_rank(self) -> int:
        return self.world.local_rank

    def node_rank(self) -> int:
        return self.world.node


def leave_signals_alone(trainer: pl.Trainer) -> None:
    """Keep Lightning from handling signals: after SIGTERM it broadcasts, which blocks ranks that are in a reduction."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
