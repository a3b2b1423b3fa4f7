"""
What a run changes of containers that it did not make, and how that is taken back.

The record of how they were found is a label of a container of ours, which is the last of the run's
that is removed. So each of those that may remove the run takes the changes back: the harness at its
end, its reaper, the next run, or `dissever heal`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import docker.errors
import msgspec

__all__ = ["GUEST", "UNDO", "record", "undo"]

UNDO: Final = "dissever.undo"
"""The label with the record."""

GUEST: Final = "dissever.guest"
"""The label of a host that joined a container: it takes its rules back itself before it ends."""


class _Found(msgspec.Struct, frozen=True):
    """How a container was found."""

    id: str
    restart: dict[str, Any]
    is_running: bool
    limits: dict[str, int]


def record(containers: Sequence[Mapping[str, Any]]) -> str:
    """The label's text; `containers` are as the engine's `inspect` has them."""
    found = [
        _Found(
            each["Id"],
            each["HostConfig"]["RestartPolicy"],
            bool(each["State"]["Running"]),
            limits_of(each["HostConfig"]),
        )
        for each in containers
    ]
    return msgspec.json.encode(found).decode()


def limits_of(host_config: Mapping[str, Any]) -> dict[str, int]:
    """The limits of a container, as the SDK's `update` takes them; none where there is none."""
    names = {
        "CpuPeriod": "cpu_period",
        "CpuQuota": "cpu_quota",
        "Memory": "mem_limit",
        "MemorySwap": "memswap_limit",
    }
    return {names[each]: host_config[each] for each in names if host_config.get(each)}


def undo(client: docker.DockerClient, text: str) -> None:
    """
    Bring containers back to how they were found. Blocks. Idempotent.

    One that is gone is passed over: somebody else removed it.
    """
    for found in msgspec.json.decode(text, type=list[_Found]):
        with contextlib.suppress(docker.errors.NotFound):
            _undo(client.containers.get(found.id), found)


def _undo(container: Any, found: _Found) -> None:
    state, host_config = container.attrs["State"], container.attrs["HostConfig"]
    if state["Paused"]:
        _unpause(container)
    changes: dict[str, Any] = {}
    if host_config["RestartPolicy"] != found.restart:
        changes["restart_policy"] = found.restart
    if limits_of(host_config) != found.limits:
        # Minus one is how the engine says that there is no limit of the cpu.
        changes |= {"cpu_period": 100_000, "cpu_quota": -1, **found.limits}
    if changes:
        container.update(**changes)
    if found.is_running and not state["Running"]:
        container.start()


def _unpause(container: Any) -> None:
    """The reaper and the next run may both do it; the second has nothing to do."""
    try:
        container.unpause()
    except docker.errors.APIError:
        container.reload()
        if container.attrs["State"]["Paused"]:
            raise
