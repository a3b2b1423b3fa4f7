"""
What a program has made on this machine, seen from outside, and what of it is still there.

Something is the program's by what cannot be shared: an environment variable that its processes
inherit, descent from it, a namespace that such a process lives in, the label of its containers, its
folder. So other programs may make the same kinds of things at the same time. What lives and dies
in between two looks is not known; what is left at the end is.

As root everything is seen; an ordinary user sees what is his own.

Source: proc(5), namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "DISSEVER_LEAKS"
"""The environment variable."""

OWNER = "dissever.owner"
"""The label of what an engine keeps for a harness (`harness/cluster/engine.py`)."""

_KINDS = ("net", "mnt", "pid", "user")
_HIDDEN = ("/proc", "/sys")
"""What a harness lays disks of its own over; it must not do so for all."""

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """Something that is still there."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Process:
    """One that lives: PID and start, in ticks since the boot, tell it from all others."""

    pid: int
    start: int
    parent: int
    name: str
    spaces: frozenset[str]


@dataclass
class Inventory:
    """
    Of the program whose main process is `pid`, as long as that lives or is not yet waited for.

    `mark`: what its `MARK` says. `folder`: everything in it is the program's. `engine`: a client of
    Docker, or None where the program needs none.
    """

    pid: int
    mark: str
    folder: Path
    engine: Any = None
    seen: set[tuple[int, int]] = field(default_factory=set)
    """(PID, start) of every process that was the program's."""

    def __post_init__(self) -> None:
        self._home = _spaces(os.getpid())
        self._before = _mounts("self")
        self._mounts: set[tuple[str, str]] = set()
        """(device, where) of what was mounted in a namespace of the program."""

        self._containers: set[str] = set()
        self._bridges: set[str] = set()
        self._links: set[str] = set()
        self._owner = f"{self.pid} {_start(self.pid)}"
        self.observe()

    def observe(self) -> None:
        """Note what is the program's now."""
        spaces = set()
        for process in self._processes():
            self.seen.add((process.pid, process.start))
            space = next((s for s in process.spaces - self._home if s.startswith("mnt")), None)
            if space is not None and space not in spaces:
                spaces.add(space)
                found = _mounts(str(process.pid)) - self._before
                # What others mount here is in every namespace made since.
                others = {each for each in _mounts("self") if each[1] not in _HIDDEN}
                self._mounts |= found - others

    def observe_engine(self) -> None:
        """Note the program's containers and networks."""
        for kind, each in self._kept():
            if kind == "container":
                self._containers.add(each.id)
            elif kind == "network":
                self._bridges.add(f"br-{each.id[:12]}")
        self._links |= {link for link in _links() if any(b in link for b in self._bridges)}

    def remains(self) -> list[Thing]:
        """What is still there."""
        processes = self._processes()
        found = {Thing("process", f"{each.pid} {each.name}") for each in processes}
        found |= {Thing("namespace", s) for each in processes for s in each.spaces - self._home}
        for device, where in _mounts("self"):
            is_own = (device, where) in self._mounts or where.startswith(f"{self.folder}/")
            if is_own or any(each in where for each in self._containers):
                found.add(Thing("mount", where))
        found |= {Thing("control group", str(path)) for path in self._cgroups()}
        found |= {Thing("interface", link) for link in self._links & set(_links())}
        found |= {Thing("rule", rule) for rule in self._rules()}
        found |= {Thing(kind, each.name) for kind, each in self._kept()}
        found |= {Thing("folder", str(path)) for path in (self.folder / "tmp").glob("*")}
        found |= {Thing("socket", str(path)) for path in self.folder.rglob("*") if path.is_socket()}
        return sorted(found)

    def remove(self) -> None:
        """End the processes that are still there, and remove what the engine has."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for kind, each in self._kept():
            with contextlib.suppress(Exception):
                each.remove(force=True) if kind == "container" else each.remove()
        for path in sorted(self._cgroups(), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()

    def _processes(self) -> list[Process]:
        """Those of the program: until no more are found by descent and by namespace."""
        living = {each.pid: each for each in _living()}
        own = {
            pid
            for pid, each in living.items()
            if (pid, each.start) in self.seen or self._is_marked(pid)
        }
        own |= {self.pid} & living.keys()
        while True:
            spaces = {s for pid in own for s in living[pid].spaces} - self._home
            more = {
                pid
                for pid, each in living.items()
                if pid not in own
                and (each.parent in own or each.spaces & spaces or self._serves(pid))
            }
            if not more:
                return [each for pid, each in living.items() if pid in own]
            own |= more

    def _is_marked(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            return f"{MARK}={self.mark}".encode() in words
        return False

    def _serves(self, pid: int) -> bool:
        """Whether it is the engine's own process beside a container of the program."""
        if not self._containers:
            return False
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            return not self._containers.isdisjoint(words)
        return False

    def _kept(self) -> Iterator[tuple[str, Any]]:
        """(kind, thing) of everything that the engine has with the label of the program."""
        if self.engine is None:
            return
        filters = {"label": OWNER}
        of = {
            "container": self.engine.containers.list(
                all=True, filters=filters, ignore_removed=True
            ),
            "network": self.engine.networks.list(filters=filters),
            "volume": self.engine.volumes.list(filters=filters),
        }
        for kind, things in of.items():
            for each in things:
                labels = each.labels if kind == "container" else each.attrs["Labels"]
                if labels[OWNER].endswith(f" {self._owner}"):
                    yield kind, each

    def _cgroups(self) -> list[Path]:
        names = {f"dissever-{pid}" for pid, _ in self.seen} | self._containers
        return [
            Path(root, name)
            for root, folders, _ in os.walk(_CGROUPS)
            for name in folders
            if name in names
        ]

    def _rules(self) -> list[str]:
        """Rules of this machine's own network that are about a network of the program."""
        if not self._bridges:
            return []
        told = _output("iptables-save") + _output("nft", "list", "ruleset")
        return [rule.strip() for rule in told if any(b in rule for b in self._bridges)]


def _living() -> Iterator[Process]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (process := _process(int(path.name))):
            yield process


def _process(pid: int) -> Process | None:
    """None for one that is gone, or has ended and is not yet waited for."""
    try:
        before, _, after = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return None
    fields = after.split()
    if fields[0] in "ZX":
        return None
    return Process(
        pid, int(fields[19]), int(fields[1]), before.partition("(")[2], frozenset(_spaces(pid))
    )


def _start(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _spaces(pid: int) -> set[str]:
    """The namespaces of a process, such as `net:[4026531840]`; none where we may not look."""
    found = set()
    for kind in _KINDS:
        with contextlib.suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def _mounts(pid: str) -> set[tuple[str, str]]:
    """(device, where) of everything that is mounted where a process is."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        return {(line.split()[2], line.split()[4]) for line in lines}
    return set()


def _links() -> list[str]:
    """This machine's own interfaces, one a line, with their masters."""
    return [line.partition(" qdisc")[0] + _master(line) for line in _output("ip", "-o", "link")]


def _master(line: str) -> str:
    words = line.split()
    return f" on {words[words.index('master') + 1]}" if "master" in words else ""


def _output(*argv: str) -> list[str]:
    """The lines that a command prints; none where it cannot be run."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    with contextlib.suppress(OSError):
        done = subprocess.run(
            argv, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        return done.stdout.splitlines()
    return []
