"""
The checker of transactions over rows compared with every serial order, on small random histories.

    python -m tests.checkers.rows.brute_force 20000 1     # cases, seed

Histories come from the simulated database at each of its levels, with steps in a random order, and
some answers are changed. A history that some serial order explains must never be invalid, and one
that none explains must never be valid. It prints how many of the others are called unknown.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import permutations
from random import Random
from typing import Any

from dissever.checkers.rows import Rows
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.systems.simulated.database import ISOLATION
from tests.systems.hermitage.databases import SimulatedDatabase
from tests.systems.hermitage.script import Aborted, Blocked

ROWS = 4
TRANSACTIONS_MAX = 5


class _Running:
    """One transaction: what it asks, what it was answered, and how it ended."""

    def __init__(self, session: Any, micros: list[list[Any]]) -> None:
        self.session = session
        self.micros = micros
        self.done: list[list[Any]] = []
        self.end: Type | None = None

    def step(self) -> bool:
        """Do one step; False when it has to wait."""
        try:
            if len(self.done) == len(self.micros):
                self.session.do("commit")
                self.end = Type.OK
                return True
            f, key, what = self.micros[len(self.done)]
            answer = self.session.do(f, key, *(what if isinstance(what, list) else [what]))
        except Blocked:
            return False
        except Aborted:
            self.session.do("rollback")
            self.end = Type.FAIL
            return True
        self.done.append([f, key, what, answer])
        return True


def random_history(rng: Random) -> History:
    """Of at most TRANSACTIONS_MAX transactions over two keys."""
    database = SimulatedDatabase(rng.choice([*ISOLATION, "dirty-write", "lost-update"]))
    rows, values = iter(range(100)), iter(range(1, 100))
    made = [next(rows) for _ in range(ROWS)]
    waiting = [_micros(rng, made, values) for _ in range(rng.randint(2, TRANSACTIONS_MAX))]
    events: list[Event] = []
    running: dict[int, _Running] = {}
    inserted: set[int] = set()
    for micros in waiting:
        for micro in micros:
            if micro[0] == "insert" and micro[2][0] in inserted:
                micro[0] = "update"
            elif micro[0] == "insert":
                inserted.add(micro[2][0])
    count = len(waiting)
    while waiting or any(each.end is None for each in running.values()):
        alive = [p for p, each in running.items() if each.end is None]
        if waiting and (not alive or rng.random() < 0.4):
            process = count - len(waiting)
            micros = waiting.pop(0)
            running[process] = _Running(database.session(), micros)
            asked = [[*micro, None] for micro in micros]
            _put(events, process, Type.INVOKE, asked)
            continue
        process = rng.choice(alive)
        each = running[process]
        if not each.step() and all(not running[p].step() for p in alive):
            each.session.do("rollback")
            each.end = Type.FAIL
        for p in alive:
            if running[p].end is not None:
                _complete(events, rng, p, running[p])
    return History(events)


def _complete(events: list[Event], rng: Random, process: int, each: _Running) -> None:
    asked = [[*micro, None] for micro in each.micros]
    if each.end is Type.FAIL:
        _put(events, process, Type.FAIL, asked)
    elif rng.random() < 0.1:
        _put(events, process, Type.INFO, asked)
    else:
        _put(events, process, Type.OK, _corrupted(rng, each.done))


def _corrupted(rng: Random, done: list[list[Any]]) -> list[list[Any]]:
    """The answers, of which sometimes one is not true: a row that a select has left out."""
    if rng.random() < 0.1:
        for micro in done:
            if micro[0] == "select" and micro[3]:
                micro[3] = micro[3][1:]
                break
    return done


def _micros(rng: Random, made: list[int], values: Any) -> list[list[Any]]:
    micros: list[list[Any]] = []
    for _ in range(rng.randint(1, 3)):
        f = rng.choice(("insert", "insert", "update", "update", "delete", "get", *["select"] * 4))
        row = rng.choice(made)
        if f == "select":
            modulus = rng.choice((1, 2, 2, 3))
            micros.append([f, 0, [modulus, rng.randrange(modulus)]])
        elif f in ("insert", "update"):
            micros.append([f, 0, [row, next(values)]])
        else:
            micros.append([f, 0, row])
    return micros


def _put(events: list[Event], process: int, kind: Type, value: Any) -> None:
    index = len(events)
    events.append(Event(index, index, process, kind, "rows", value))


def is_serializable(history: History) -> bool:
    """Whether an order of the transactions explains every answer; those of info may be left out."""
    ok = [each.completion.value for each in history.operations if each.type is Type.OK]
    info = [each.invocation.value for each in history.operations if each.type is Type.INFO]
    for bits in range(1 << len(info)):
        chosen = [(each, False) for place, each in enumerate(info) if bits >> place & 1]
        for order in permutations([*((each, True) for each in ok), *chosen]):
            if _explains(order):
                return True
    return False


def _explains(order: Any) -> bool:
    table: dict[int, list[int]] = {}
    for micros, is_ok in order:
        for f, _, what, answer in micros:
            if f == "select":
                true: Any = sorted([r, t] for r, t in table.items() if t[-1] % what[0] == what[1])
            elif f == "insert":
                true = what[0] not in table
                if true:
                    table[what[0]] = [what[1]]
            else:
                row = what[0] if f == "update" else what
                true = table.get(row)
                if f == "update" and true is not None:
                    table[row] = [*true, what[1]]
                elif f == "delete":
                    table.pop(row, None)
            if is_ok and true != answer:
                return False
    return True


def compare(cases: int, seed: int) -> Counter[str]:
    """How many histories there were of each kind, as `serializable valid`."""
    rng, found = Random(seed), Counter[str]()
    checker = Rows()
    for case in range(cases):
        history = random_history(rng)
        result = checker(history, Budget())
        is_right = is_serializable(history)
        word = "serializable" if is_right else "not"
        found[f"{word} {result.verdict.word}"] += 1
        wrong = Verdict.INVALID if is_right else Verdict.VALID
        if result.verdict is wrong:
            lines = "\n".join(str((e.process, e.type.value, e.value)) for e in history)
            raise AssertionError(f"case {case} of seed {seed}: {word}, but {result}\n{lines}")
        if result.verdict is Verdict.UNKNOWN:
            found[f"{word} unknown: {result.why[:60]}"] += 1
    return found


if __name__ == "__main__":
    for kind, number in sorted(compare(int(sys.argv[1]), int(sys.argv[2])).items()):
        print(f"{number:8,} {kind}")
