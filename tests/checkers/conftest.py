"""
A one-line notation for histories.

One event a line: `[@MS] PROCESS TYPE [KEY/]F [VALUE]`. Without @MS, an event comes 1 ms after the
one before. A value is a Python literal, to the end of the line. A process that is no number is a
nemesis.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type

_LINE = re.compile(
    r"(?:@(?P<ms>\d+)\s+)?(?P<process>\S+)\s+(?P<type>invoke|ok|fail|info)\s+"
    r"(?:(?P<key>[^/\s]+)/)?(?P<f>[\w-]+)\s*(?P<value>.*)"
)


def _history(text: str) -> History:
    events: list[Event] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _LINE.fullmatch(line)
        assert match, line
        before_ns = events[-1].time if events else -1_000_000
        ms, process = match["ms"], match["process"]
        value: Any = ast.literal_eval(match["value"]) if match["value"] else None
        events.append(
            Event(
                index=len(events),
                time=int(ms) * 1_000_000 if ms else before_ns + 1_000_000,
                process=int(process) if process.isdigit() else process,
                type=Type(match["type"]),
                f=match["f"],
                value=value,
                key=match["key"],
            )
        )
    return History(tuple(events))


@pytest.fixture(scope="session")
def history() -> Callable[[str], History]:
    """The function from the notation to a history."""
    return _history


Ask = Callable[[Random, int], tuple[str, Any]]
"""What to ask next, given how many were asked before."""

Do = Callable[[list[Any], str, Any, Random], Any]
"""Do it to an object, which a list holds, and answer as a completion does."""


def _container(put: str, take: str, place: Callable[[list[Any]], int]) -> tuple[Ask, Do]:
    def ask(rng: Random, asked: int) -> tuple[str, Any]:
        return (put, asked + 1) if rng.random() < 0.5 else (take, None)

    def do(held: list[Any], f: str, value: Any, rng: Random) -> Any:
        if f == put:
            held.append(value)
            return value
        return held.pop(place(held)) if held else None

    return ask, do


def _ask_priority(rng: Random, asked: int) -> tuple[str, Any]:
    return (
        ("insert", rng.randrange(50) * 100 + asked) if rng.random() < 0.5 else ("remove-max", None)
    )


def _ask_add(rng: Random, asked: int) -> tuple[str, Any]:
    return ("add", asked + 1) if rng.random() < 0.5 else ("read", None)


def _do_add(held: list[Any], f: str, value: Any, rng: Random) -> Any:
    if f == "read":
        return rng.sample(held, len(held))
    held.append(value)
    return value


def _ask_append(rng: Random, asked: int) -> tuple[str, Any]:
    return ("append", asked + 1) if rng.random() < 0.5 else ("read", None)


def _do_append(held: list[Any], f: str, value: Any, rng: Random) -> Any:
    if f == "read":
        return list(held)
    held.append(value)
    return value


def _ask_element(rng: Random, asked: int) -> tuple[str, Any]:
    return rng.choice(("add", "remove", "contains", "contains")), rng.randrange(3)


def _do_element(held: list[Any], f: str, value: Any, rng: Random) -> Any:
    if f == "contains":
        return [value, value in held]
    held[:] = [each for each in held if each != value]
    if f == "add":
        held.append(value)
    return value


def _ask_count(rng: Random, asked: int) -> tuple[str, Any]:
    return ("add", rng.randrange(-2, 4)) if rng.random() < 0.5 else ("read", None)


def _ask_same(rng: Random, asked: int) -> tuple[str, Any]:
    return ("add", 2) if rng.random() < 0.6 else ("read", None)


def _do_count(held: list[Any], f: str, value: Any, rng: Random) -> Any:
    if f == "read":
        return sum(held)
    held.append(value)
    return value


def _greatest(held: list[Any]) -> int:
    return held.index(max(held))


_OBJECTS: dict[str, tuple[Ask, Do]] = {
    "queue": _container("enqueue", "dequeue", lambda _: 0),
    "unordered-queue": _container("enqueue", "dequeue", lambda held: len(held) // 2),
    "stack": _container("push", "pop", lambda _: -1),
    "priority-queue": (
        _ask_priority,
        _container("insert", "remove-max", _greatest)[1],
    ),
    "set": (_ask_add, _do_add),
    "log": (_ask_append, _do_append),
    "removable-set": (_ask_element, _do_element),
    "counter": (_ask_count, _do_count),
    "counter of equal adds": (_ask_same, _do_count),
}


_TAKES = frozenset({"dequeue", "pop", "remove-max"})


def _distort(answer: Any, answers: list[Any], rng: Random) -> Any:
    """A likely wrong answer: another one's, or a list with a difference."""
    if isinstance(answer, list) and len(answer) == 2 and isinstance(answer[1], bool):
        return [answer[0], not answer[1]]
    if isinstance(answer, list) and answer and rng.random() < 0.7:
        return rng.choice((answer[:-1], answer[1:], [*answer[1:], answer[0]]))
    if type(answer) is int and rng.random() < 0.15:
        return answer + rng.choice((-1, 1))
    return rng.choice(answers) if answers else answer


def _simulated(
    name: str, rng: Random, *, operations_max: int, crashes: bool = True, wrong: float = 0.15
) -> History:
    """
    A concurrent history of an object named as its model: each operation takes effect at some
    instant, and some answers are changed.
    """
    ask, do = _OBJECTS[name]
    events: list[Event] = []
    pending: dict[int, list[Any]] = {}
    held: list[Any] = []
    answers: list[Any] = []
    left, process, time = rng.randrange(1, operations_max + 1), 0, 0
    crash, tie = rng.choice((0.0, 0.15, 0.4)) if crashes else 0.0, rng.choice((0.0, 0.3))
    width, wrong = rng.randrange(1, 6), rng.choice((0.0, wrong, 2 * wrong))
    while left or pending:
        time += rng.random() >= tie
        if left and (not pending or (len(pending) < width and rng.random() < 0.4)):
            f, value = ask(rng, process)
            pending[process] = [f, value, False, None]
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            process, left = process + 1, left - 1
            continue
        who = rng.choice(list(pending))
        f, value, is_done, answer = pending[who]
        is_put = value is not None and f != "contains"
        drawn = rng.random()
        if not is_done and (is_put or f in _TAKES) and drawn < crash:
            if rng.random() < 0.6:
                do(held, f, value, rng)
            del pending[who]
            if rng.random() < 0.5:
                events.append(Event(len(events), time, who, Type.INFO, f, value))
        elif not is_done and drawn > 0.97:
            del pending[who]
            events.append(Event(len(events), time, who, Type.FAIL, f, value))
        elif not is_done:
            pending[who][2:] = True, do(held, f, value, rng)
        else:
            del pending[who]
            if not is_put and rng.random() < wrong:
                answer = _distort(answer, answers, rng)
            if not is_put:
                answers.append(answer)
            events.append(Event(len(events), time, who, Type.OK, f, answer))
    return History(tuple(events))


@pytest.fixture(scope="session")
def simulated() -> Callable[..., History]:
    """The function from an object's name and a source of chance to a history of it."""
    return _simulated


def _unique_registers(rng: Random) -> History:
    """Up to 9 operations; new values are unique, and every read or expected one is a guess."""
    events: list[Event] = []
    pending: dict[int, tuple[str, object]] = {}
    values: list[int | None] = [None]
    state: int | None = None
    time, tie, crash = 0, rng.choice((0.0, 0.3)), rng.choice((0.0, 0.2, 0.5))
    left, process = rng.randrange(1, 10), 0
    while left or pending:
        time += rng.random() >= tie
        if left and (not pending or (len(pending) < 5 and rng.random() < 0.5)):
            f = rng.choice(("read", "read", "write", "cas"))
            new = len(values)
            old = state if rng.random() < 0.7 else rng.choice(values)
            value: object = {"read": None, "write": new, "cas": [old, new]}[f]
            if f != "read":
                values.append(new)
            pending[process] = f, value
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            left, process = left - 1, process + 1
            continue
        who = rng.choice(list(pending))
        f, value = pending.pop(who)
        kind = Type.INFO if rng.random() < crash else Type.OK
        if rng.random() < 0.05:
            kind = Type.FAIL
        if f == "read" and kind is Type.OK:
            value = state if rng.random() < 0.85 else rng.choice(values)
        if f != "read" and kind is not Type.FAIL and (kind is Type.OK or rng.random() < 0.5):
            state = value[1] if isinstance(value, list) else value  # type: ignore[assignment]
        events.append(Event(len(events), time, who, kind, f, value))
    return History(tuple(events))


@pytest.fixture(scope="session")
def unique_registers() -> Callable[[Random], History]:
    """The function from a source of chance to a register whose new values are unique."""
    return _unique_registers
