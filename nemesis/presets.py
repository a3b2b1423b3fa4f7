"""
Names that stand for several faults: `-f standard` and `-f all`.

`standard` is what every replicated system has to stand, and what CI can run. A simulated run is
cheap and exact, so it has more of them. Faults that only damage can follow, such as an allocation
that fails, are never among them.

`all` is every fault that the backend, the system, the nodes and the machine can have. Of faults
that cannot be in one plan the first is taken, those of `standard` before the others, so the same
machine always gives the same faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.harness.plan import Skipped
from dissever.nemesis.fault import Fault, FaultSpec
from dissever.nemesis.faults import FAULTS, parse

__all__ = ["ALL", "PRESETS", "STANDARD", "possible", "preset"]

STANDARD: Final = "standard"
ALL: Final = "all"
PRESETS: Final = (STANDARD, ALL)
"""What may stand among the names of faults."""

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

Lacks: TypeAlias = Mapping[type, str]
"""As `harness.system.Lacks` says."""

Machine: TypeAlias = Callable[[Fault, Backend], Missing | None]
"""Why this machine cannot inject a fault there, or None."""


def preset(names: Iterable[str], backend: Backend) -> tuple[str, ...]:
    """The faults that the presets among these names stand for, the most important first."""
    asked = set(names)
    usual = _SIMULATED if backend.is_virtual else _REAL
    every = (*(usual if asked & {STANDARD, ALL} else ()), *(FAULTS.own if ALL in asked else ()))
    return tuple(dict.fromkeys(every))


def possible(
    names: Iterable[str],
    backend: Backend,
    lacks: Lacks,
    *,
    nodes: int,
    budget: int,
    machine: Machine | None = None,
) -> tuple[tuple[str, ...], tuple[Skipped, ...]]:
    """
    Those of the faults that can strike in one plan, and those that are left out.

    Args:
        machine: None: whatever the machine lacks is no reason to leave a fault out.
    """
    chosen: list[str] = []
    skipped: list[Skipped] = []
    for name in names:
        (spec,) = parse([name], backend)
        obstacle = (
            _obstacle(spec, backend, lacks, nodes=nodes, budget=budget)
            or (machine and machine(spec.fault, backend))
            or _contradiction(chosen, name, backend)
        )
        if obstacle is None:
            chosen.append(name)
        else:
            skipped.append(Skipped(name, obstacle.reason, obstacle.remedy))
    return tuple(chosen), tuple(skipped)


def _obstacle(
    spec: FaultSpec, backend: Backend, lacks: Lacks, *, nodes: int, budget: int
) -> Missing | None:
    """Why a fault can never strike such a run, or None."""
    if (unfit := spec.fault.unfit(backend)) is not None:
        return unfit
    if why := spec.lack_of(lacks):
        return Missing(why, "choose another system")
    try:
        spec.fitting(nodes, budget)
    except ValueError as error:
        return Missing(str(error), "use more nodes")
    return None


def _contradiction(chosen: list[str], name: str, backend: Backend) -> Missing | None:
    """Why a fault cannot be in one plan with those that are chosen, or None."""
    for other in chosen:
        try:
            parse([other, name], backend)
        except ValueError:
            return Missing(f"it cannot be in one plan with {other}", f"name it without {other}")
    return None
