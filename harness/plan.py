"""
Everything that defines a run, as one value. It is written before the run starts, and is enough to
repeat it.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Final

import msgspec

from dissever.harness.cluster import PLAIN, Hosts
from dissever.harness.cluster.backends import NAMESPACES, Backend
from dissever.harness.names import check_nodes
from dissever.harness.options import OptionValue
from dissever.harness.vocabulary import Action

DISK_MB = 64
"""Small enough to be filled quickly, and large enough for eight segments of dqlite's log."""

OK_MIN = 1
"""How many operations of each kind must succeed under faults."""

RECOVERY_S = 40.0
"""
How long a cluster may take to recover once all faults have healed.

A leader of dqlite that sent a snapshot which was lost sends it again after 30 s.
"""


class OnCrash(StrEnum):
    """What becomes of a node that ended by itself."""

    LEAVE = "leave"
    """It stays down until a fault that damages disks heals, or the run ends."""

    RESTART = "restart"
    """It is started again after a second, as by a supervisor."""


class Reseed(msgspec.Struct, frozen=True):
    """
    From a moment of the run on, everything is drawn from another seed; the faults stay as planned.

    `at_s` counts from the first operation, as the times of events do.
    """

    at_s: float
    seed: int


class Skipped(msgspec.Struct, frozen=True):
    """A capability that was asked for and is not used, with the reason and the remedy."""

    capability: str
    reason: str
    remedy: str = ""


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """
    What a user asks for. Times in seconds, `rate` in operations per second over all clients.

    `concurrency` counts client processes. `system_options` and `workload_options` hold a value for
    every option that the system and the workload declare; where one is left out its default counts.
    `script` is the text of the file that says when which fault strikes, and `script_path` where it
    was read; without it that is drawn from the seed. `disk_mb` is the size of a node's disk where a
    fault needs it to have one of its own; `hosts` is what the faults need of the hosts. `ok_min` is
    how many operations of each kind must succeed under faults, or the verdict is unknown.
    `stop_when_dead_s`: it ends when no operation has succeeded for this time; None: it goes on.
    `recovery_limit_s` is how long a cluster may take to recover once all faults have healed.
    `on_crash`: what becomes of a node that ended by itself. `checkers` judge the run in addition to
    those of its workload and ours. `reseed`: from when on another seed counts, if the system is
    simulated. `trace`: whether a simulated run keeps what only it knows, such as messages between
    servers; the history does not depend on it. `watch_roles`: whether the nodes of real hosts are
    asked each second who leads, for the page. `skipped` are the faults that `all` stands for and
    that are left out; a plan has them in a field of its own.
    """

    system: str
    workload: str
    faults: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ("n1", "n2", "n3", "n4", "n5")
    rate: float = 200.0
    concurrency: int = 10
    time_limit_s: float = 30.0
    operation_limit_s: float = 1.0
    fault_interval_s: float = 5.0
    seed: int = 0
    system_options: Mapping[str, OptionValue] = {}
    workload_options: Mapping[str, OptionValue] = {}
    script: str = ""
    script_path: str = ""
    backend: Backend = NAMESPACES
    disk_mb: int = DISK_MB
    hosts: Hosts = PLAIN
    ok_min: int = OK_MIN
    stop_when_dead_s: float | None = None
    recovery_limit_s: float = RECOVERY_S
    on_crash: OnCrash = OnCrash.LEAVE
    checkers: tuple[str, ...] = ()
    reseed: Reseed | None = None
    trace: bool = True
    watch_roles: bool = True
    skipped: tuple[Skipped, ...] = ()


LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "rate": (0.1, 1e6),
    "concurrency": (1, 10_000),
    "time_limit_s": (0.1, 86_400.0),
    "operation_limit_s": (0.05, 600.0),
    "fault_interval_s": (0.5, 3600.0),
    "seed": (0, (1 << 63) - 1),
    "disk_mb": (16, 1 << 20),
    "ok_min": (0, 1_000_000),
    "stop_when_dead_s": (1.0, 86_400.0),
    "recovery_limit_s": (1.0, 3600.0),
}
"""Option -> the least and the greatest number that it may be."""


def check_options(options: Options) -> None:
    """
    Look at names of nodes and at numbers.

    Raises:
        ValueError: With a line for each that is out of its range.
    """
    errors = []
    try:
        check_nodes(options.nodes)
    except ValueError as error:
        errors.append(str(error))
    for name, (least, most) in LIMITS.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:  # Nan is not in it, either.
            errors.append(f"expected {name} from {least:,} to {most:,}, got {value}")
    if (reseed := options.reseed) is not None:
        for name, value in (("time_limit_s", reseed.at_s), ("seed", reseed.seed)):
            if not 0 <= value <= LIMITS[name][1]:
                most = LIMITS[name][1]
                errors.append(f"expected reseed with {name} from 0 to {most:,}, got {value}")
    if errors:
        raise ValueError("\n".join(errors))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    One execution, before it happens.

    `command` repeats the run; `versions` name what ran (dissever, python, kernel, the system's
    library); `capabilities` what of the machine is used. `actions` says what each operation of a
    nemesis is for: process -> f -> action. `scheduled` names the faults that must strike within the
    time limit; None when nobody said. Relative paths are relative to `directory`.
    """

    options: Options
    command: str
    started: str
    versions: dict[str, str] = {}
    capabilities: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    actions: dict[str, dict[str, Action]] = {}
    scheduled: tuple[str, ...] | None = None
    directory: str = ""


class Kept(msgspec.Struct, frozen=True):
    """A file as the run left it."""

    size_bytes: int
    sha256: str


class Waited(msgspec.Struct, frozen=True):
    """For how long a run waited for something; `what` completes "the run was …"."""

    what: str
    took_ns: int


class Start(msgspec.Struct, frozen=True):
    """
    How long it took from the first node to the first operation, and what was waited for meanwhile.

    All of it lies before the time 0 of the history. What was waited for is in the order in which it
    was waited for first.
    """

    took_ns: int
    waits: tuple[Waited, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """
    How an execution ended, and what it left behind.

    `interruption` says why it ended early, and is empty otherwise. `events` counts those of the
    history. `lost_ns` is when a part of the harness was found gone, since the run began; None when
    all of it lasted. `files` are the files that belong to the run, by their paths in its directory;
    None when nobody listed them. `start` is how the run began; None when it never did, or when it
    is from a version that did not measure it.
    """

    interruption: str = ""
    events: int | None = None
    lost_ns: int | None = None
    files: dict[str, Kept] | None = None
    start: Start | None = None


def stream(seed: int, name: str) -> Random:
    """Random numbers for one purpose, by name; drawing them does not shift those for others."""
    return Random(f"{seed}/{name}")


class Streams:
    """The streams of random numbers of a run, each by its name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Random] = {}

    def of(self, name: str) -> Random:
        """The stream of that name: the same object each time."""
        return self._streams.setdefault(name, stream(self._seed, name))

    def reseed(self, seed: int) -> None:
        """Let all of them go on as those of another seed begin, also those not used so far."""
        self._seed = seed
        for name, rng in self._streams.items():
            rng.setstate(stream(seed, name).getstate())


def host_versions() -> dict[str, str]:
    """The versions of Python and the kernel."""
    return {
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
    }
