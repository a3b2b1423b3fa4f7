"""
Limits of a node in its container: asked of the engine, read back from the kernel.

A container is limited from its start, or while it runs. Its control group goes with it, so what a
group said last is kept, and that the kernel ended a process for want of memory is asked of the
engine. An engine takes no limit of memory back: one of all that there is limits nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from docker.types import Mount

from dissever.harness.cluster import engine
from dissever.harness.missing import Missing

_PERIOD_US: Final = 100_000
_UNLIMITED: Final = -1
_GROUPS: Final = "/cgroup"
"""Where the agent looks."""


def missing() -> Missing | None:
    """Why the engine cannot limit containers, or None. Blocks. OSError: when none answers."""
    with contextlib.closing(engine.connect()) as client:
        info = client.info()
    lacking = [name for name in ("CpuCfsQuota", "MemoryLimit") if not info.get(name)]
    if lacking:
        reason = f"the engine cannot limit containers: its machine lacks {' and '.join(lacking)}"
        return Missing(reason, "look at `docker info`; a rootless engine needs cgroup delegation")
    return None


def mounts(info: Mapping[str, Any]) -> list[Mount]:
    """What of its machine's control groups a host sees, to read only; `info` is the engine's."""
    if info.get("CgroupVersion") == "2":
        return [Mount(_GROUPS, "/sys/fs/cgroup", type="bind", read_only=True)]
    return [
        Mount(f"{_GROUPS}/{name}", f"/sys/fs/cgroup/{name}", type="bind", read_only=True)
        for name in ("cpu", "memory")
        if info.get({"cpu": "CpuCfsQuota", "memory": "MemoryLimit"}[name])
    ]


class ContainerLimits:
    """The limits of one node; `memory_total`: how many bytes the engine's machine has."""

    def __init__(self, memory_total: int) -> None:
        self._memory_total = memory_total
        self._wanted: dict[str, float] = {}
        self._last: dict[str, dict[str, Any]] = {}
        self._oom_kills = 0

    def set(self, cpus: float | None, memory_bytes: int | None) -> None:
        """From now on; None: leave it as it is. What was counted is forgotten."""
        asked = {"cpu": cpus, "memory": memory_bytes}
        self._wanted |= {name: value for name, value in asked.items() if value is not None}
        self._last.clear()
        self._oom_kills = 0

    def clear(self) -> None:
        """No limit from now on."""
        self._wanted.clear()
        self._last.clear()

    def of_new(self) -> dict[str, int]:
        """The options of a container that starts."""
        return _options(self._wanted)

    def of_running(self) -> dict[str, int]:
        """The options of an update; those that are not limited are set free."""
        free = {"cpu": _UNLIMITED / _PERIOD_US, "memory": self._memory_total}
        return _options(free | self._wanted)

    def ended(self, is_oom: bool) -> None:
        """A container has ended, maybe for want of memory."""
        self._oom_kills += is_oom

    def readings(self, seen: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
        """
        What the kernel says of the limits in force.

        Args:
            seen: Controller -> what its group says now; None: there is no process.
        """
        if seen is None:
            gone: Mapping[str, Any] = {"pids": 0, "throttled": 0, "reached": 0, "oom_kills": 0}
            now = {
                name: {"limit": wanted, **gone, **self._last.get(name, {}), "pids": 0}
                for name, wanted in self._wanted.items()
            }
        else:
            now = {name: dict(each) for name, each in seen.items() if each["limit"] is not None}
            self._last |= {name: dict(each) for name, each in now.items()}
        if memory := now.get("memory"):
            memory["oom_kills"] = max(memory["oom_kills"], self._oom_kills)
            memory["reached"] = max(memory["reached"], self._oom_kills)
        return now


def _options(limits: Mapping[str, float]) -> dict[str, int]:
    options: dict[str, int] = {}
    if "cpu" in limits:
        options |= {"cpu_period": _PERIOD_US, "cpu_quota": round(limits["cpu"] * _PERIOD_US)}
    if "memory" in limits:
        options |= {"mem_limit": int(limits["memory"]), "memswap_limit": _UNLIMITED}
    return options
