"""
A node: its host, and the processes that run on it, one incarnation after the other.

What takes time is a generator: it yields how long it can wait for news, and is asked again then or
earlier. So one process waits for many things at once, and needs neither threads nor asyncio.
"""

# ruff: noqa: PTH103, PTH123 - Importing pathlib would take longer than all the rest.

import os
import signal
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, TypeAlias

from . import kernel, processes
from .cgroups import Groups
from .network import Host

Task: TypeAlias = Generator[float, None, Any]
"""Yields seconds to wait at most; returns what is answered."""

_GLANCE_S = 0.002


class Node:
    """
    One node's processes: what `NodeProcesses` and `ResourceLimits` ask of them.

    The loop calls `ended` when it has reaped the main one.
    """

    def __init__(
        self,
        host: Host,
        directory: str,
        outer_proc: int,
        helpers: Collection[int],
        groups: Groups,
    ) -> None:
        self.host = host
        self.pid: int | None = None
        self.incarnation = 0
        self.is_ending = False
        self._directory = directory
        self._outer_proc = outer_proc
        self._outer_pid: int | None = None
        self._exit_status: int | None = None
        self._helpers = helpers
        self._groups = groups
        os.makedirs(f"{directory}/data", exist_ok=True)
        self._folder = os.open(f"{directory}/data", os.O_PATH | os.O_DIRECTORY)
        """The data folder on the machine's disk, also once another is mounted over it."""

    @property
    def disk(self) -> str:
        """Where the node has its data."""
        return f"{self._directory}/data"

    @property
    def folder(self) -> str:
        """What every process of ours can call the data folder on the machine's disk."""
        return f"/proc/1/fd/{self._folder}"

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], as_nobody: bool = False
    ) -> Task:
        """Start the program, unless it runs. What an earlier incarnation left behind goes first."""
        if self.pid is None:
            yield from self._sweep()
            self.is_ending = False
            try:
                self.pid, self._outer_pid = self._spawn(argv, environment, (), as_nobody)
            except PermissionError:
                # Root without any right cannot enter the home of another user, where a virtual
                # environment or the folder of the run may be.
                rights = (kernel.DAC_READ_SEARCH,)
                self.pid, self._outer_pid = self._spawn(argv, environment, rights, as_nobody)
            self._groups.join(self.host.name, [self.pid])
            self.incarnation += 1
        return (yield from self.status())

    def stop(self, timeout_s: float) -> Task:
        """SIGTERM to the main process's group; SIGKILL to all when it has not ended in time."""
        self.is_ending = True
        deadline = time.monotonic() + timeout_s
        if self.pid is not None:
            processes.send([-self.pid], signal.SIGTERM)
        while self.pid is not None and (left := deadline - time.monotonic()) > 0:
            yield left
        return (yield from self.kill())

    def kill(self) -> Task:
        """SIGKILL to all, until the main process is reaped and no other is left."""
        self.is_ending = True
        yield from self._sweep()
        return (yield from self.status())

    def pause(self) -> Task:
        yield from processes.signal_until("stop", self._all)
        return (yield from self.status())

    def resume(self) -> Task:
        yield from processes.signal_until("continue", self._all)
        return (yield from self.status())

    def limit(self, cpus: float | None, memory_bytes: int | None) -> Task:
        self._groups.limit(self.host.name, self._all(), cpus, memory_bytes)
        return (yield from self.readings())

    def readings(self) -> Task:
        yield from ()
        return self._groups.readings(self.host.name)

    def lift(self) -> Task:
        self._groups.lift(self.host.name)
        yield from ()

    def status(self) -> Task:
        """What the kernel says now. A process that has ended but is not reaped is waited for."""
        while self.pid is not None and not processes.states(self.pid):
            yield _GLANCE_S
        return {
            "state": self._state(),
            "incarnation": self.incarnation,
            "pid": self._outer_pid,
            "exit_status": self._exit_status,
        }

    def ended(self, exit_status: int) -> None:
        """The main process was reaped."""
        self.pid = self._outer_pid = None
        self._exit_status = exit_status

    def _state(self) -> str:
        if self.pid is None:
            return "gone" if self.incarnation else "never-started"
        return "paused" if set(processes.states(self.pid)) == {"T"} else "running"

    def _all(self) -> list[int]:
        return processes.inhabitants(self.host.ns_inode, self._helpers)

    def _left(self) -> list[int]:
        """All; the main process also where it has left the network of its host."""
        return self._all() or ([] if self.pid is None else [self.pid])

    def _sweep(self) -> Task:
        return processes.signal_until("end", self._left)

    def _spawn(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        rights: Collection[int],
        as_nobody: bool,
    ) -> tuple[int, int]:
        number = self.incarnation + 1
        with (
            open("/dev/null", "rb") as nothing,
            open(f"{self._directory}/stdout-{number}.log", "ab", opener=processes.own_file) as out,
            open(f"{self._directory}/stderr-{number}.log", "ab", opener=processes.own_file) as err,
        ):
            return processes.spawn(
                argv,
                environment=environment,
                directory=self._directory,
                ns=self.host.ns,
                streams=(nothing, out, err),
                outer_proc=self._outer_proc,
                rights=rights,
                as_nobody=as_nobody,
            )
