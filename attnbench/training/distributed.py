"""The processes of one run on several devices: who started them, and their meeting before any of them reads data.

A run on N devices is N processes. On one machine attnbench starts them (see `attnbench.launch.ranks`), or torchrun or
Slurm's `srun` did; on several machines one of these two has to, and all processes must see the run's folder. Their
environment variables count only in a process that they really started for this run; every other one that is called
`RANK` or `WORLD_SIZE` is left over from something else.
"""

import os
import socket
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.errors import UserError

if TYPE_CHECKING:  # a starter of processes needs no torch
    from torch import nn

MEETING_SECONDS = 120.0
"""Within this time all processes of a run must have come."""
STORE_SECONDS = 30
"""Time for one request to the store, which answers at once."""
LOOK_SECONDS = 0.05
LOCALHOST = "127.0.0.1"
RANK_VARIABLES = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
    "TORCHELASTIC_RUN_ID", "SLURM_PROCID", "SLURM_LOCALID", "JSM_NAMESPACE_RANK",
)  # fmt: skip
"""Variables that torch and Lightning read, Lightning already while it is imported."""


class MeetingError(RuntimeError):
    """The processes of a run did not find each other, or are not of one run."""


@dataclass
class World:
    """This process's place among those of its run; by default it is the only one.

    Attributes:
        rank: number of this process; the first, 0, owns the run's folder.
        size: number of processes.
        port: where the first process, or torchrun, keeps the store through which all find each other.
        host: its address.
        serves: whether this process keeps the store.
        listener: a socket that already listens on the port, if the starter has opened one.
        attempt: distinguishes several starts that share one store.
        nodes: number of machines; each has equally many of the processes, numbered in a row.
    """

    rank: int = 0
    size: int = 1
    port: int = 0
    host: str = LOCALHOST
    serves: bool = False
    listener: int | None = None
    attempt: str = ""
    nodes: int = 1
    _store: Any = field(default=None, repr=False)

    @property
    def node(self) -> int:
        """Number of this process's machine."""
        return self.rank * self.nodes // self.size

    @property
    def local_rank(self) -> int:
        """Number of this process among those of its machine, and of its device."""
        return self.rank % (self.size // self.nodes)

    def meet(self, plan: str, backend: str, seconds: float = MEETING_SECONDS) -> None:
        """Wait for all processes of the run, check that they do the same, and connect them.

        Args:
            plan: what this process is about to do.
            backend: of torch's process group, `gloo` or `nccl`.
            seconds: for which to wait.

        Raises:
            MeetingError: a process did not come in time, or has another plan.
        """
        if self.size == 1:
            return
        import torch
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        plans = self._exchange("plan", f"{plan} on {self.size} devices", time.monotonic() + seconds)
        if len(set(plans)) > 1:
            raise MeetingError(f"the processes of this run have different plans: {'; '.join(plans)}")
        store = PrefixStore(f"{self.attempt}/group", self._connected(seconds))
        device = torch.device("cuda", self.local_rank) if backend == "nccl" else None
        torch.distributed.init_process_group(
            backend, store=store, rank=self.rank, world_size=self.size, device_id=device
        )

    def check_start(self, epochs: int, seconds: float = MEETING_SECONDS) -> None:
        """Check that all processes go on after the same epoch: that they see the same checkpoint.

        Raises:
            MeetingError: they do not.
        """
        if self.size == 1:
            return
        found = self._exchange("start", str(epochs), time.monotonic() + seconds)
        if len(set(found)) > 1:
            raise MeetingError(
                f"the processes of this run find checkpoints of different epochs ({', '.join(found)}); on several"
                " machines, output must be a folder that all of them see"
            )

    def total(self, subject: str, own: float | None, seconds: float = MEETING_SECONDS) -> float | None:
        """Return the sum of what all processes of the run measured; None if one measured nothing.

        Raises:
            MeetingError: a process did not say it in time.
        """
        if self.size == 1:
            return own
        texts = self._exchange(subject, "" if own is None else repr(own), time.monotonic() + seconds)
        return None if "" in texts else sum(map(float, texts))

    def _exchange(self, subject: str, text: str, deadline: float) -> list[str]:
        """Tell the others something about a subject, and return what everyone says."""
        store = self._connected(deadline - time.monotonic())
        keys = [f"{self.attempt}/{subject}/{rank}" for rank in range(self.size)]
        store.set(keys[self.rank], text)
        while missing := [rank for rank, key in enumerate(keys) if not store.check([key])]:
            if time.monotonic() > deadline:
                came = self.size - len(missing)
                raise MeetingError(f"{came} of the {self.size} processes of this run came; rank {missing[0]} did not")
            time.sleep(LOOK_SECONDS)
        return [store.get(key).decode() for key in keys]

    def _connected(self, seconds: float) -> Any:
        """Return the `TCPStore`, connecting to it first. Short attempts leave room for signals in between."""
        deadline = time.monotonic() + seconds
        while self._store is None:
            try:
                self._store = self._connect()
            except (OSError, RuntimeError) as error:
                if self.serves or time.monotonic() > deadline:
                    raise MeetingError(
                        f"rank {self.rank} of {self.size} finds no others at {self.host}:{self.port}"
                    ) from error
                time.sleep(LOOK_SECONDS)
        return self._store

    def _connect(self) -> Any:
        from datetime import timedelta

        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        if not self.serves:
            socket.create_connection((self.host, self.port), timeout=2).close()  # torch reports each failure at length
        return TCPStore(
            self.host,
            self.port,
            is_master=self.serves,
            timeout=timedelta(seconds=STORE_SECONDS),
            wait_for_workers=False,
            master_listen_fd=self.listener,
        )


def average_buffers(nets: "Sequence[nn.Module | None]", processes: int) -> None:
    """Average the statistics of networks over a run's processes, so that all evaluate and save the same."""
    if processes == 1:
        return
    import torch

    for buffer in [buffer for net in nets if net is not None for buffer in net.buffers()]:
        if buffer.is_floating_point():
            torch.distributed.all_reduce(buffer)
            buffer.div_(processes)


def require_processes(devices: int, nodes: int, world: World) -> None:
    """Check that a run has a process for each device of each machine. Raises `UserError`."""
    if world.size == devices * nodes and world.nodes == nodes:
        return
    if nodes > 1:
        raise UserError(
            f"trainer.nodes={nodes}: attnbench starts processes on one machine only; start the command on each machine"
            f" by torchrun or srun, with {devices} process{'es' * (devices > 1)} on each"
        )
    raise UserError(
        f"trainer.devices={devices}: the run needs as many processes, and this is one of {world.size};"
        " attnbench train starts them"
    )


def take_world(devices: int, environment: MutableMapping[str, str] | None = None, nodes: int = 1) -> World:
    """Return this process's place among those that torchrun or Slurm started for a run, and forget their variables.

    Args:
        devices: of the run, on each machine; it needs as many processes there.
        environment: that of this process if None. Variables by which launchers number processes are removed, so that
            neither Lightning nor a child process reads what does not hold for it.
        nodes: machines of the run.

    Returns:
        The world; of one process if neither started several for this run.

    Raises:
        UserError: another number of processes was started than the run has devices.
    """
    variables = os.environ if environment is None else environment
    world = _by_torchrun(devices, nodes, variables) or _by_slurm(devices, nodes, variables) or World()
    forget_launchers(variables)
    return world


def forget_launchers(variables: MutableMapping[str, str] = os.environ) -> None:
    """Remove the variables by which launchers number processes, in a process that attnbench itself started."""
    for name in RANK_VARIABLES:
        variables.pop(name, None)


def _by_torchrun(devices: int, nodes: int, variables: Mapping[str, str]) -> World | None:
    if "TORCHELASTIC_RUN_ID" not in variables:
        return None
    size = _number(variables, "WORLD_SIZE")
    if size == 1:
        return None
    local = _number(variables, "LOCAL_WORLD_SIZE", size)
    _check_size("torchrun", size, size // local, devices, nodes)
    rank, kept_by_agent = _number(variables, "RANK"), variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    attempt = variables.get("TORCHELASTIC_RESTART_COUNT", "0")
    host = variables.get("MASTER_ADDR", LOCALHOST)
    port, serves = _number(variables, "MASTER_PORT"), not rank and not kept_by_agent
    return World(rank, size, port, host, serves, None, attempt, nodes)


def _by_slurm(devices: int, nodes: int, variables: Mapping[str, str]) -> World | None:
    """Return the place among a step's tasks. With one device on one machine, each task is a run of its own."""
    if devices * nodes == 1 or "SLURM_STEP_NUM_TASKS" not in variables:
        return None
    tasks = _number(variables, "SLURM_STEP_NUM_TASKS")
    if tasks == 1 or not _descends_from(variables.get("SLURM_TASK_PID")):
        return None
    _check_size("Slurm", tasks, _number(variables, "SLURM_STEP_NUM_NODES", 1), devices, nodes)
    step = _number(variables, "SLURM_JOB_ID", 0) * 31 + _number(variables, "SLURM_STEP_ID", 0)
    rank, port = _number(variables, "SLURM_PROCID"), _number(variables, "MASTER_PORT", 20000 + step % 20000)
    world = World(rank, tasks, port, _first_host(nodes, variables), serves=not rank, nodes=nodes)
    if nodes > 1 and _number(variables, "SLURM_LOCALID", world.local_rank) != world.local_rank:
        raise UserError("Slurm: the tasks of a machine must be numbered in a row (--distribution=block)")
    return world


def _first_host(nodes: int, variables: Mapping[str, str]) -> str:
    """Return the machine of a step's first task."""
    if nodes == 1:
        return LOCALHOST
    if given := variables.get("MASTER_ADDR"):
        return given
    from pytorch_lightning.plugins.environments import SLURMEnvironment  # type: ignore[attr-defined]

    names = variables.get("SLURM_STEP_NODELIST", "")
    return str(SLURMEnvironment.resolve_root_node_address(names))


def _check_size(launcher: str, size: int, size_nodes: int, devices: int, nodes: int) -> None:
    if (size, size_nodes) == (devices * nodes, nodes):
        return
    if size_nodes != nodes or nodes > 1:
        raise UserError(
            f"trainer.nodes={nodes} trainer.devices={devices}: {launcher} started {size} processes on {size_nodes}"
            f" machine{'s' * (size_nodes > 1)}; a run has one for each device of each machine"
        )
    raise UserError(
        f"trainer.devices={devices}: {launcher} started {size} processes, and a run has one for each device;"
        f" trainer.devices={size} uses them all, and attnbench alone starts the processes that a run needs"
    )


def _number(variables: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    value = variables.get(name, "" if otherwise is None else str(otherwise))
    if not value.isdecimal():
        raise UserError(f"{name}={value}: the launcher's environment variable must be a whole number")
    return int(value)


def _descends_from(pid: str | None) -> bool:
    """Return whether a process is this one or one of its parents; an inherited variable names some other one."""
    current = os.getpid()
    while pid is not None and current > 1:
        if str(current) == pid:
            return True
        try:
            current = int(Path(f"/proc/{current}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
    return False
