"""
Limits of a node's processes by control groups, version 2 or 1, whichever the machine has mounted.

Groups are `dissever-<pid of the keeper>/<node>`. The next keeper removes the groups of one that was
killed: no process is in them any more.
"""

# ruff: noqa: PTH103, PTH106, PTH110, PTH112, PTH123, PTH208 - pathlib is slow to import.

import contextlib
import errno
import os
from collections.abc import Iterable
from typing import Any

from . import kernel

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
                    kernel.write(f"{self._path(controller, node)}/cgroup.procs", str(pid))

    def lift(self, node: str) -> None:
        """Take the limits of a node away, and its groups."""
        limited = self._limited.pop(node, {})
        # In version 2 all controllers share one group.
        groups = {self._path(each, node): self._parent(each) for each in limited}
        for path, parent in groups.items():
            for pid in _read(f"{path}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    kernel.write(f"{parent}/cgroup.procs", pid)
            _remove(path)

    def readings(self, node: str) -> dict[str, Any]:
        """What the kernel says of each limit of a node: the value, who is under it, what it did."""
        return {
            controller: _reading(controller, self._path(controller, node), self._is_v2)
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
            kernel.write(f"{_ROOT}/cgroup.subtree_control", f"+{controller}")
            os.makedirs(group, exist_ok=True)
            kernel.write(f"{group}/cgroup.subtree_control", f"+{controller}")
        os.makedirs(self._path(controller, node), exist_ok=True)

    def _set(self, controller: str, node: str, value: str) -> None:
        path = self._path(controller, node)
        if controller == "cpu" and self._is_v2:
            kernel.write(f"{path}/cpu.max", f"{value} {_PERIOD_US}")
        elif controller == "cpu":
            kernel.write(f"{path}/cpu.cfs_period_us", str(_PERIOD_US))
            kernel.write(f"{path}/cpu.cfs_quota_us", value)
        else:
            kernel.write(f"{path}/memory.{'max' if self._is_v2 else 'limit_in_bytes'}", value)


def readings_in(root: str, groups: str) -> dict[str, Any]:
    """
    What the kernel says of some groups, by controller: as `Groups.readings`.

    Args:
        root: Where the machine's groups are mounted.
        groups: What `/proc/PID/cgroup` says of a process.

    Returns:
        For each controller that is mounted. `limit` is None where there is none.

    Raises:
        ProcessLookupError: When it has ended, after which the kernel counts it to the root's.
        FileNotFoundError: When its group went with it.
    """
    is_v2 = os.path.exists(f"{root}/cgroup.controllers")
    paths: dict[str, str] = {}
    for line in groups.splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))
    found = {}
    for controller in ("cpu", "memory"):
        mounted = root if is_v2 else f"{root}/{controller}"
        group = paths.get("" if is_v2 else controller)
        if group == "/":
            raise ProcessLookupError(errno.ESRCH, "it has ended")
        if group is not None and os.path.isdir(mounted):
            found[controller] = _reading(controller, mounted + group, is_v2)
    return found


def _reading(controller: str, path: str, is_v2: bool) -> dict[str, Any]:
    """What the kernel says of one group."""
    return {
        "limit": _limit(controller, path, is_v2),
        "pids": len(_read(f"{path}/cgroup.procs").split()),
        **_effects(controller, path, is_v2),
    }


def _limit(controller: str, path: str, is_v2: bool) -> float | None:
    """None: not limited. All the memory that there is limits nothing."""
    if controller == "cpu":
        name = "cpu.max" if is_v2 else "cpu.cfs_quota_us"
        quota = _read(f"{path}/{name}").split()[0]
        return None if quota in ("max", "-1") else int(quota) / _PERIOD_US
    most = _read(f"{path}/memory.{'max' if is_v2 else 'limit_in_bytes'}").strip()
    total = 1024 * _pairs("/proc/meminfo")["MemTotal:"]
    return None if most == "max" or int(most) >= total else int(most)


def _effects(controller: str, path: str, is_v2: bool) -> dict[str, int]:
    if controller == "cpu":
        counted = _pairs(f"{path}/cpu.stat")
        return {"throttled": counted.get("nr_throttled", 0)}
    if is_v2:
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


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
