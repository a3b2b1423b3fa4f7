"""
Limits of a node's processes by control groups, version 2 or 1, whichever the machine has mounted.

Groups are `dissever-<pid of the keeper>/<node>`. They hold processes, not runs: what is left of a
keeper that was killed is removed by the next one, for no process is in it any more.
"""

# ruff: noqa: PTH103, PTH106, PTH110, PTH112, PTH123, PTH208 - pathlib is slow to import.

import contextlib
import errno
import os
from collections.abc import Iterable
from typing import Any

_ROOT = "/sys/fs/cgroup"
_PREFIX = "dissever-"
_PERIOD_US = 100_000


class Groups:
    """The groups of one keeper. They are made when something is limited, and not before."""

    def __init__(self, keeper: int) -> None:
        self._name = f"{_PREFIX}{keeper}"
        self._is_v2 = os.path.exists(f"{_ROOT}/cgroup.controllers")
        self._limited: dict[str, dict[str, str]] = {}

    def limit(
        self, node: str, pids: Iterable[int], cpus: float | None, memory_bytes: int | None
    ) -> None:
        """
        Limit a node's processes, these and those that start later; None: leave it as it is.

        Raises:
            OSError: When the machine has no such controller, or does not let us.
        """
        wanted = {}
        if cpus is not None:
            wanted["cpu"] = str(int(cpus * _PERIOD_US))
        if memory_bytes is not None:
            wanted["memory"] = str(memory_bytes)
        self._limited[node] = wanted
        for controller, value in wanted.items():
            self._make(controller, node)
            self._set(controller, node, value)
        self.join(node, pids)

    def join(self, node: str, pids: Iterable[int]) -> None:
        """Put processes under the limits of their node, if it has any."""
        for controller in self._limited.get(node, {}):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    _write(f"{self._path(controller, node)}/cgroup.procs", str(pid))

    def lift(self, node: str) -> None:
        """Take the limits of a node away, and its groups."""
        for controller in self._limited.pop(node, {}):
            path = self._path(controller, node)
            for pid in _read(f"{path}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    _write(f"{self._parent(controller)}/cgroup.procs", pid)
            _remove(path)

    def readings(self, node: str) -> dict[str, Any]:
        """What the kernel says of each limit of a node: the value, who is under it, what it did."""
        return {
            controller: {
                "limit": self._get(controller, node),
                "pids": len(_read(f"{self._path(controller, node)}/cgroup.procs").split()),
                **self._effects(controller, node),
            }
            for controller in self._limited.get(node, {})
        }

    def clear(self, outer_proc: int) -> None:
        """
        Remove our groups, and those of keepers that are gone. Processes in them must be, too.

        Args:
            outer_proc: A descriptor of the `/proc` in which keepers are seen.
        """
        for parent in {self._parent("cpu"), self._parent("memory")}:
            with contextlib.suppress(OSError):
                for name in os.listdir(parent):
                    if name == self._name or _is_left_behind(name, outer_proc):
                        _remove_tree(f"{parent}/{name}")

    def _parent(self, controller: str) -> str:
        return _ROOT if self._is_v2 else f"{_ROOT}/{controller}"

    def _path(self, controller: str, node: str) -> str:
        return f"{self._parent(controller)}/{self._name}/{node}"

    def _make(self, controller: str, node: str) -> None:
        if not os.path.isdir(self._parent(controller)):
            raise OSError(errno.ENOENT, f"no {controller} controller in {_ROOT}")
        group = f"{self._parent(controller)}/{self._name}"
        if self._is_v2:
            _write(f"{_ROOT}/cgroup.subtree_control", f"+{controller}")
            os.makedirs(group, exist_ok=True)
            _write(f"{group}/cgroup.subtree_control", f"+{controller}")
        os.makedirs(self._path(controller, node), exist_ok=True)

    def _set(self, controller: str, node: str, value: str) -> None:
        path = self._path(controller, node)
        if controller == "cpu" and self._is_v2:
            _write(f"{path}/cpu.max", f"{value} {_PERIOD_US}")
        elif controller == "cpu":
            _write(f"{path}/cpu.cfs_period_us", str(_PERIOD_US))
            _write(f"{path}/cpu.cfs_quota_us", value)
        else:
            _write(f"{path}/memory.{'max' if self._is_v2 else 'limit_in_bytes'}", value)

    def _get(self, controller: str, node: str) -> float:
        path = self._path(controller, node)
        if controller == "cpu":
            name = "cpu.max" if self._is_v2 else "cpu.cfs_quota_us"
            return int(_read(f"{path}/{name}").split()[0]) / _PERIOD_US
        return int(_read(f"{path}/memory.{'max' if self._is_v2 else 'limit_in_bytes'}"))

    def _effects(self, controller: str, node: str) -> dict[str, int]:
        path = self._path(controller, node)
        if controller == "cpu":
            counted = _pairs(f"{path}/cpu.stat")
            return {"throttled": counted.get("nr_throttled", 0)}
        if self._is_v2:
            counted = _pairs(f"{path}/memory.events")
            return {"reached": counted.get("max", 0), "oom_kills": counted.get("oom_kill", 0)}
        counted = _pairs(f"{path}/memory.oom_control")
        reached = int(_read(f"{path}/memory.failcnt"))
        return {"reached": reached, "oom_kills": counted.get("oom_kill", 0)}


def _is_left_behind(name: str, outer_proc: int) -> bool:
    number = name.removeprefix(_PREFIX)
    if name == number or not number.isdigit():
        return False
    try:
        os.stat(number, dir_fd=outer_proc)
    except FileNotFoundError:
        return True
    return False


def _pairs(path: str) -> dict[str, int]:
    return {line.split()[0]: int(line.split()[1]) for line in _read(path).splitlines()}


def _remove_tree(path: str) -> None:
    for entry in os.scandir(path):
        if entry.is_dir():
            _remove(entry.path)
    _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, OSError):
        os.rmdir(path)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
