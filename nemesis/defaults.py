"""
What `-f default` stands for: faults that every replicated system has to stand, by backend.

A simulated run is cheap and exact, so it has more of them. Faults that only damage can follow, such
as an allocation that fails, are never among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dissever.harness.cluster.backends import Backend
from dissever.nemesis.faults import parse

__all__ = ["DEFAULT", "default_faults"]

DEFAULT: Final = "default"

_REAL: Final = ("partition", "kill", "pause")
_SIMULATED: Final = (
    *_REAL,
    "packet-loss",
    "power-failure",
    "transfer",
    "netem-duplicate",
    "disk-error",
    "monotonic-drift",
    "replace-member",
)


def default_faults(
    backend: Backend, lacks: Mapping[type, str], *, nodes: int, budget: int
) -> tuple[str, ...]:
    """
    The faults, the most important first; without those that the system or the nodes cannot have.

    Args:
        lacks: As `harness.system.Lacks` says.
    """
    found: list[str] = []
    for spec in parse(_SIMULATED if backend.is_virtual else _REAL, backend):
        if spec.fault.unfit(backend) is not None or spec.lack_of(lacks):
            continue
        try:
            spec.fitting(nodes, budget)
        except ValueError:
            continue
        found.append(spec.name)
    return tuple(found)
