"""
Operations of faults that wait for a trigger instead of a fixed time.

A value may say `{"after": {"event": "leader-changed", "within_s": 10}}`: the operation comes once
the trigger was seen, or when the time is up, and the completion says which. `{"hold_s": 2}` comes
2 s after the operation before it on the same process. Triggers are seen from outside, against what
was there when the last injection of that process began, or for the first operation when the waiting
began.

A healing with a fixed time, which has no value, comes `HOLD_LEAST_S` after its injection at the
earliest: measuring takes time, and a strike that came late must still last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dissever.harness.client import Completion, Invocation, Nemesis, Prepares
from dissever.harness.missing import Missing
from dissever.harness.system import Primaries, Snapshot, Snapshots
from dissever.nemesis.aiming import known_primaries

__all__ = ["TRIGGERS", "WAITS", "Trigger", "Triggered"]

GLANCE_S = 0.02

HOLD_LEAST_S = 0.5
"""How long a fault is in force at least."""

WAITS = ("after", "hold_s")
"""What a value may say of when its operation comes."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a system at one moment."""

    primaries: frozenset[str]
    snapshots: Mapping[str, frozenset[Snapshot]]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something to wait for: a line for people, and how it shows between two observations."""

    description: str
    has_happened: Callable[[Observation, Observation], bool]


def _new(before: Observation, now: Observation) -> list[Snapshot]:
    """Snapshots of any node that it did not have."""
    had = {node: {each.name for each in held} for node, held in before.snapshots.items()}
    return [
        each
        for node, held in now.snapshots.items()
        for each in held
        if each.name not in had.get(node, ())
    ]


TRIGGERS: Mapping[str, Trigger] = {
    "leader-changed": Trigger(
        "a node claims to lead that did not",
        lambda before, now: bool(now.primaries - before.primaries),
    ),
    "leaderless": Trigger("nobody claims to lead", lambda _, now: not now.primaries),
    "snapshot-taken": Trigger(
        "a node has a snapshot that it did not have",
        lambda before, now: bool(_new(before, now)),
    ),
    "snapshot-installed": Trigger(
        "a node has a snapshot that came from another node",
        lambda before, now: any(each.is_installed for each in _new(before, now)),
    ),
}
"""By the names that plans give them."""


class Triggered:
    """A nemesis whose operations may wait; everything else is passed on."""

    def __init__(self, nemesis: Nemesis, watched: object) -> None:
        self._nemesis = nemesis
        if isinstance(nemesis, Prepares):
            self.prepare = nemesis.prepare
        self._watched = watched
        self._before: Observation | None = None
        self._done_s = 0.0
        self._has_struck = False

    def probe(self) -> Missing | None:
        return self._nemesis.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Wait as the value says, then do it; the completion's value says under `awaited` what came.

        Raises:
            ValueError: For a trigger that there is not.
        """
        value = invocation.value
        if not isinstance(value, Mapping) or not value.keys() & set(WAITS):
            if value is None and self._has_struck:
                await asyncio.sleep(max(0.0, self._done_s + HOLD_LEAST_S - _now_s()))
            completion = await self._pass_on(invocation)
        else:
            plain = {name: value[name] for name in value if name not in WAITS}
            await asyncio.sleep(max(0.0, self._done_s + value.get("hold_s", 0.0) - _now_s()))
            awaited = await self._await(value["after"]) if "after" in value else None
            own = msgspec.structs.replace(invocation, value=plain or None)
            completion = await self._pass_on(own)
            if awaited is not None:
                error = completion.error
                if not awaited["seen"]:
                    late = f"was not seen within {awaited['waited_ms']} ms"
                    error = error or f"{awaited['event']} {late}"
                seen = {**(completion.value or {}), "awaited": awaited}
                completion = Completion(completion.type, seen, error)
        self._done_s = _now_s()
        self._has_struck = value is not None and _has_struck(completion)
        return completion

    async def heal(self) -> None:
        await self._nemesis.heal()

    async def _pass_on(self, invocation: Invocation) -> Completion:
        if invocation.value is not None:  # Only an injection brings one.
            self._before = await self._look()
        return await self._nemesis.invoke(invocation)

    async def _await(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        name, within_s = wish["event"], float(wish.get("within_s", 10.0))
        if name not in TRIGGERS:
            raise ValueError(f"expected a trigger out of {', '.join(TRIGGERS)}, got {name!r}")
        before = self._before or await self._look()
        began = _now_s()
        is_seen = False
        while not is_seen and _now_s() < began + within_s:
            await asyncio.sleep(GLANCE_S)
            is_seen = TRIGGERS[name].has_happened(before, await self._look())
        waited_ms = round((_now_s() - began) * 1000)
        return {"event": name, "seen": is_seen, "waited_ms": waited_ms}

    async def _look(self) -> Observation:
        seen = self._watched
        primaries, snapshots = await asyncio.gather(
            known_primaries(seen if isinstance(seen, Primaries) else None),
            seen.snapshots() if isinstance(seen, Snapshots) else asyncio.sleep(0, {}),
        )
        return Observation(frozenset(primaries), snapshots)


def _has_struck(completion: Completion) -> bool:
    """Whether an injection struck somebody, or may have."""
    value = completion.value if isinstance(completion.value, Mapping) else {}
    evidence = value.get("evidence")
    return not isinstance(evidence, Mapping) or evidence.get("held", True) is not None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
