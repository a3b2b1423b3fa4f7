"""
Operations of faults that wait for a trigger instead of a fixed time.

A value may say `{"after": {"event": "leader-changed", "within_s": 10}}`: the operation comes once
the trigger was seen, or when the time is up, and the completion says which. `{"hold_s": 2}` comes
2 s after the operation before it on the same process. Triggers are seen from outside, against what
was there when the last injection of that process began, or for the first operation when the waiting
began. With `"number": 2` it is the second time since the waiting began, which is when the operation
before it on the same process was over. With `"delay_s": 0.5` it comes so long after that.

A healing with a fixed time, which has no value, comes `HOLD_LEAST_S` after its injection at the
earliest: measuring takes time, and a strike that came late must still last.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from dissever.harness.client import Completion, Invocation, Nemesis, Prepares
from dissever.harness.clock import timer_s
from dissever.harness.missing import Missing
from dissever.harness.options import unknown
from dissever.harness.plan import LIMITS
from dissever.harness.system import Primaries, Snapshot, Snapshots
from dissever.harness.values import quoted
from dissever.nemesis.aiming import known_primaries
from dissever.nemesis.plans.anchors import OPERATIONS

__all__ = ["TRIGGERS", "WAITS", "Trigger", "Triggered", "wish"]

GLANCE_S = 0.02

HOLD_LEAST_S = 0.5
"""How long a fault is in force at least."""

NUMBER_MAX: Final = 1_000_000
SECONDS_MAX: Final = LIMITS["time_limit_s"][1]

WAITS = ("after", "hold_s")
"""What a value may say of when its operation comes."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a system at one moment."""

    primaries: frozenset[str]
    snapshots: Mapping[str, frozenset[Snapshot]]
    lines: int = 0
    """How often the logs of the nodes have the text that is waited for."""


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
    "log-line": Trigger(
        "a node logs a line with a text: `{event: log-line, text: became leader}`",
        lambda before, now: now.lines > before.lines,
    ),
    OPERATIONS: Trigger(
        "so many operations on a key have succeeded since the run began:"
        " `{event: operations, key: 3, number: 17}`",
        lambda *_: False,  # The generator waits for it, and what comes here waited in vain.
    ),
}
"""By the names that plans give them."""


WISHES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "event": (f"as one of {', '.join(TRIGGERS)}", lambda value: value in TRIGGERS),
    "number": (
        f"from 1 to {NUMBER_MAX:,}",
        lambda value: type(value) is int and 1 <= value <= NUMBER_MAX,
    ),
    "delay": (
        f"from 0 to {SECONDS_MAX:g} seconds",
        lambda value: type(value) in (int, float) and 0 <= value <= SECONDS_MAX,
    ),
    "key": ("as the key of operations", lambda value: type(value) in (int, str)),
    "text": ("as a text", lambda value: isinstance(value, str) and bool(value)),
}
"""What a plan may say of an event to wait for: in words, and whether a value is that."""


def wish(said: str | Mapping[str, Any], within_s: float) -> dict[str, Any]:
    """
    What a plan says of an event to wait for, as the value of an operation has it under `after`.

    Args:
        said: The name of a trigger, or a mapping with `event` and more of WISHES.

    Raises:
        ValueError: When it says something else.
    """
    if isinstance(said, str):
        said = {"event": said}
        if said["event"] not in TRIGGERS:
            raise ValueError(unknown("trigger", said["event"], tuple(TRIGGERS)))
    for name, value in said.items():
        if name not in WISHES:
            raise ValueError(unknown("field", name, tuple(WISHES)))
        expected, is_valid = WISHES[name]
        if not is_valid(value):
            raise ValueError(f"expected {name} {expected}, got {quoted(value)}")
    if "event" not in said:
        raise ValueError(f"expected an event out of {', '.join(TRIGGERS)}, got none")
    event = said["event"]
    for name, owner in (("key", OPERATIONS), ("text", "log-line")):
        if name in said and event != owner:
            raise ValueError(f"expected {name} with {owner}, got it with {event}")
    if event == "log-line" and "text" not in said:
        raise ValueError("expected the text of a log line, got none")
    rest = {name: each for name, each in said.items() if name != "delay"}
    delay = {"delay_s": said["delay"]} if "delay" in said else {}
    return {**rest, **delay, "within_s": within_s}


class Triggered:
    """A nemesis whose operations may wait; everything else is passed on."""

    def __init__(self, nemesis: Nemesis, watched: object) -> None:
        self._nemesis = nemesis
        if isinstance(nemesis, Prepares):
            self.prepare = nemesis.prepare
        self._watched = watched
        self._logs = _Logs(getattr(watched, "cluster", None))
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
                await _until(self._done_s + HOLD_LEAST_S)
            completion = await self._pass_on(invocation)
        else:
            plain = {name: value[name] for name in value if name not in WAITS}
            await _until(self._done_s + value.get("hold_s", 0.0))
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
        text, left = str(wish.get("text", "")), int(wish.get("number", 1))
        before = None if "number" in wish or text else self._before
        before = before or await self._look(text)
        began = _now_s()
        was_so = False
        while left and _now_s() < began + within_s:
            await asyncio.sleep(GLANCE_S)
            now = await self._look(text)
            is_so = TRIGGERS[name].has_happened(before, now)
            if is_so and not was_so:
                left, before = left - 1, now
            was_so = is_so
        waited_ms = round((_now_s() - began) * 1000) + int(wish.get("waited_ms", 0))
        if not left:
            await asyncio.sleep(float(wish.get("delay_s", 0.0)))
        return {"event": name, "seen": not left, "waited_ms": waited_ms}

    async def _look(self, text: str = "") -> Observation:
        seen = self._watched
        primaries, snapshots = await asyncio.gather(
            known_primaries(seen if isinstance(seen, Primaries) else None),
            seen.snapshots() if isinstance(seen, Snapshots) else asyncio.sleep(0, {}),
        )
        lines = self._logs.count(text) if text else 0
        return Observation(frozenset(primaries), snapshots, lines)


class _Logs:
    """The logs of all nodes: how often they have a text, reading only what is new."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._read: dict[Path, int] = {}
        self._counts: Counter[str] = Counter()

    def count(self, text: str) -> int:
        """
        So far. Lines from before the first call count only in the first; lines are read once they
        are whole.
        """
        nodes = () if self._cluster is None else self._cluster.nodes
        for path in sorted(p for n in nodes for p in self._cluster.directory(n).glob("*.log")):
            if path.is_symlink() or not path.is_file():
                continue  # A node may have put something else there.
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            self._counts[text] += whole.decode("utf-8", "replace").count(text)
        return self._counts[text]


def _has_struck(completion: Completion) -> bool:
    """Whether an injection struck somebody, or may have."""
    value = completion.value if isinstance(completion.value, Mapping) else {}
    evidence = value.get("evidence")
    return not isinstance(evidence, Mapping) or evidence.get("held", True) is not None


async def _until(at_s: float) -> None:
    """Wait until a time; on the virtual clock until the very ns, as the interpreter does."""
    await asyncio.sleep(timer_s((at_s - _now_s()) * 1e9))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
