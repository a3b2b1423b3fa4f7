"""
A long run that nobody has to wait for: the directory of a run with any number of operations.

Clients work on registers, a group of five on each key, and every answer is the one of a register
that the operation reached at a moment between its two events. Faults slow the clients of their
nodes down, or let their operations time out. A few reads are stale on purpose. The same arguments
give the same files.

    python benchmarks/long_run.py FOLDER [--operations 1000000] [--faults 200] [--stale 3]
"""

from __future__ import annotations

import argparse
import heapq
import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from dissever.harness import store
from dissever.harness.plan import Options, Outcome, Plan
from dissever.harness.vocabulary import Action, Effect, Role

NODES: Final = ("n1", "n2", "n3", "n4", "n5")
WORKERS: Final = 20
GROUP: Final = 5
"""Clients that share a key, one of each node."""

KEY_OPERATIONS: Final = 500
"""After this many operations a group goes on to its next key."""

RATE: Final = 5000
MS: Final = 1_000_000
S: Final = 1_000_000_000
TIMEOUT_NS: Final = S

KINDS: Final = {
    "partition": ("start-partition", "stop-partition", None, None),
    "kill": ("kill", "start", Effect.KILLED, Effect.STARTED),
    "pause": ("pause", "resume", Effect.PAUSED, Effect.RESUMED),
    "slow": ("start-slow", "stop-slow", None, None),
}
"""Fault -> what injects and heals it, and what becomes of the processes of its nodes."""


@dataclass(frozen=True)
class Strike:
    """A fault in force from one time to another."""

    kind: str
    start_ns: int
    end_ns: int
    node: str


@dataclass
class Register:
    """What one key holds, and has held."""

    value: int | None = None
    past: list[int | None] = field(default_factory=list)
    last: int = 0

    def set(self, value: int) -> None:
        """Write a value."""
        self.past.append(self.value)
        self.value = value


def strikes_of(count: int, duration_ns: int, rng: Random) -> list[Strike]:
    """Faults one after another, over the whole run but its first and last second."""
    every = (duration_ns - 2 * S) // max(1, count)
    return [
        Strike(
            list(KINDS)[number % len(KINDS)],
            start := S + number * every + int(rng.random() * 0.2 * every),
            start + int((0.3 + 0.4 * rng.random()) * every),
            rng.choice(NODES),
        )
        for number in range(count)
    ]


def events(operations: int, faults: int, stale: int, seed: int) -> Iterator[dict[str, Any]]:
    """The events of a run, by time; each but its index."""
    rng = Random(seed)
    duration_ns = operations * S // RATE
    strikes = strikes_of(faults, duration_ns, rng)
    waiting: list[tuple[int, int, dict[str, Any]]] = []
    count = 0

    def later(time_ns: int, what: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        heapq.heappush(waiting, (time_ns, count, what))

    for strike in strikes:
        inject, heal, _, _ = KINDS[strike.kind]
        nemesis = {"process": strike.kind}
        seen = {"held": True, "silent_ms": 100}
        healed = {"healed": True, "still_held": True}
        for time_ns, f, evidence in (
            (strike.start_ns, inject, seen),
            (strike.end_ns, heal, healed),
        ):
            value = {"targets": [strike.node], "evidence": evidence}
            later(time_ns, {**nemesis, "type": "invoke", "f": f})
            later(time_ns + 20 * MS, {**nemesis, "type": "info", "f": f, "value": value})
    gap_ns = WORKERS * S // RATE
    for worker in range(WORKERS):
        later(int(rng.random() * gap_ns), {"worker": worker})
    process = list(range(WORKERS))
    registers: dict[int, Register] = {}
    begun = [0] * (WORKERS // GROUP)
    asked, wrong = 0, 0
    while waiting:
        time_ns, _, what = heapq.heappop(waiting)
        if "worker" not in what:
            if "apply" in what:
                _apply(registers[what["key"]], what)
            else:
                yield {"time": time_ns, **what}
            continue
        if asked == operations:
            continue
        asked += 1
        worker = what["worker"]
        group = worker // GROUP
        key = begun[group] // KEY_OPERATIONS * len(begun) + group
        begun[group] += 1
        register = registers.setdefault(key, Register())
        node = NODES[worker % len(NODES)]
        f = rng.choices(("read", "write", "cas"), (50, 30, 20))[0]
        value: Any = None
        if f == "write":
            register.last += 1
            value = register.last
        elif f == "cas" and register.value is not None:
            register.last += 1
            value = [register.value, register.last]
        elif f == "cas":
            f = "read"
        base = {"process": process[worker], "f": f, "key": key, "node": node}
        call = base if value is None else {**base, "value": value}
        yield {"time": time_ns, **call, "type": "invoke"}
        took_ns, is_lost = _took(node, time_ns, strikes, rng)
        if is_lost:
            if rng.random() < 0.5:
                later(time_ns + took_ns // 2, {"apply": f, "key": key, "value": value, "done": {}})
            error = ["timeout", "no answer for 1 s"]
            later(time_ns + took_ns, {**call, "type": "info", "error": error})
            process[worker] += WORKERS
        else:
            is_due = (
                f == "read" and wrong < stale and asked * (stale + 1) > operations * (wrong + 1)
            )
            if is_due and len(register.past) > 5 and register.past[-4] is not None:
                wrong += 1
                done = {**base, "type": "ok", "value": register.past[-4]}
            else:
                done = dict(base)
                moment = time_ns + int(took_ns * (0.1 + 0.8 * rng.random()))
                later(moment, {"apply": f, "key": key, "value": value, "done": done})
            later(time_ns + took_ns, done)
        later(time_ns + max(took_ns + 1000, int(gap_ns * (0.5 + rng.random()))), {"worker": worker})


def _took(node: str, time_ns: int, strikes: list[Strike], rng: Random) -> tuple[int, bool]:
    """How long an operation takes, and whether its answer is lost."""
    took_ns = int(min(400_000 * rng.lognormvariate(0.7, 0.6), 30 * MS))
    last = bisect_right(strikes, time_ns, key=lambda strike: strike.start_ns)
    for strike in strikes[max(0, last - 1) : last]:
        if strike.node == node and time_ns < strike.end_ns:
            if strike.kind == "slow":
                return took_ns * 8, False
            if rng.random() < 0.8:
                return TIMEOUT_NS, True
    return took_ns, False


def _apply(register: Register, what: dict[str, Any]) -> None:
    """Let an operation reach its register, and write down its answer."""
    f, value, done = what["apply"], what["value"], what["done"]
    done["type"] = "ok"
    if f == "read":
        if register.value is not None:
            done["value"] = register.value
        return
    if f == "cas":
        old, new = value
        if register.value != old:
            done |= {"type": "fail", "value": value, "error": ["not-applied", "value differs"]}
            return
        register.set(new)
    else:
        register.set(value)
    done["value"] = value


def write_run(run: Path, operations: int, faults: int, stale: int, seed: int) -> Path:
    """Write the directory of a run, without results; its path."""
    run.mkdir(parents=True)
    options = Options(
        system="dqlite",
        workload="register",
        faults=tuple(KINDS),
        rate=float(RATE),
        concurrency=WORKERS,
        time_limit_s=max(1.0, operations / RATE),
        seed=seed,
    )
    actions = {
        fault: {inject: Action(Role.INJECT, struck), heal: Action(Role.HEAL, after)}
        for fault, (inject, heal, struck, after) in KINDS.items()
    }
    plan = Plan(
        options=options,
        command=f"dissever test dqlite --seed {seed}",
        started="2026-11-21T09:51:25Z",
        versions={},
        actions=actions,
        scheduled=tuple(KINDS),
    )
    store.write_plan(run, plan)
    number = -1
    with (run / store.HISTORY).open("w", encoding="utf-8") as file:
        for number, event in enumerate(events(operations, faults, stale, seed)):
            file.write(json.dumps({"index": number, **event}, separators=(",", ":")) + "\n")
    store.write_outcome(run, Outcome(events=number + 1))
    return run


def main() -> None:
    """Write one directory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--stale", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write_run(asked.folder, asked.operations, asked.faults, asked.stale, asked.seed)


if __name__ == "__main__":
    main()
