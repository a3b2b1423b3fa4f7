"""
Changes of a history that must not change its verdict, or that leave a valid one valid.

The histories are those of databases that execute each transaction at one instant between its two
events. They are too large for all orders to be tried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any, Literal, TypeAlias

import msgspec
import pytest

from dissever.checkers.transactions import Transactions
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Result, Verdict

Rules: TypeAlias = Literal["append", "wr"]
Change: TypeAlias = Callable[[list[Event], Random], list[Event]]

TRANSACTIONS = 40


@dataclasses.dataclass
class _Open:
    asked: list[list[Any]]
    answered: list[list[Any]] | None = None


def strict(rng: Random, rules: Rules) -> list[Event]:
    """The events of a database that is strict-serializable; some transactions are left open."""
    held: dict[int, Any] = {}
    fresh: dict[int, int] = {}
    events: list[Event] = []
    running: dict[int, _Open] = {}
    idle, started, time = list(range(5)), 0, 0
    while started < TRANSACTIONS or running:
        time += rng.randrange(3)
        if idle and started < TRANSACTIONS and rng.random() < 0.4:
            process = idle.pop(rng.randrange(len(idle)))
            asked = [_asked(rng, rules, fresh) for _ in range(rng.randrange(1, 5))]
            running[process] = _Open(asked)
            events.append(Event(len(events), time, process, Type.INVOKE, "txn", asked))
            started += 1
        elif running:
            process = rng.choice(list(running))
            one = running[process]
            if one.answered is None:
                one.answered = [_answered(each, rules, held) for each in one.asked]
                continue
            del running[process]
            if rng.random() < 0.1:
                idle.append(1000 + started)  # The process ends with what nobody knows about.
                continue
            idle.append(process)
            events.append(Event(len(events), time, process, Type.OK, "txn", one.answered))
    return events


def _asked(rng: Random, rules: Rules, fresh: dict[int, int]) -> list[Any]:
    key = rng.randrange(4)
    if rng.random() < 0.5:
        return ["r", key, None]
    fresh[key] = fresh.get(key, 0) + 1
    return ["append" if rules == "append" else "w", key, fresh[key]]


def _answered(micro: list[Any], rules: Rules, held: dict[int, Any]) -> list[Any]:
    f, key, value = micro
    if f == "r":
        return [f, key, list(held.get(key, ())) if rules == "append" else held.get(key)]
    held[key] = [*held.get(key, ()), value] if rules == "append" else value
    return micro


def stale(events: list[Event], rng: Random) -> list[Event]:
    """Let one read return what another read of its key returned."""
    reads = [
        (place, at)
        for place, event in enumerate(events)
        if event.type is Type.OK
        for at, micro in enumerate(event.value)
        if micro[0] == "r"
    ]
    place, at = rng.choice(reads)
    key = events[place].value[at][1]
    answers = [events[p].value[a][2] for p, a in reads if events[p].value[a][1] == key]
    value = [list(micro) for micro in events[place].value]
    value[at][2] = rng.choice(answers)
    changed = list(events)
    changed[place] = msgspec.structs.replace(events[place], value=value)
    return changed


def judged(events: list[Event], rules: Rules) -> Result:
    checker = Transactions(rules=rules, consistency_model="strict-serializable")
    return checker(History(events), Budget())


def renamed(events: list[Event], rng: Random) -> list[Event]:
    """Other keys, other values, and other processes."""
    keys = dict(zip(range(4), rng.sample("abcdefgh", 4), strict=True))
    processes = {each: 7 * each + 3 for each in {event.process for event in events}}

    def value_of(value: Any) -> Any:
        if isinstance(value, list):
            return [value_of(each) for each in value]
        return None if value is None else f"v{value}"

    return [
        msgspec.structs.replace(
            event,
            process=processes[event.process],
            value=[[f, keys[key], value_of(value)] for f, key, value in event.value],
        )
        for event in events
    ]


def cut_off(events: list[Event], rng: Random) -> list[Event]:
    """The end is missing: what had not returned by then is open."""
    return events[: rng.randrange(len(events) // 2, len(events))]


def widened(events: list[Event], rng: Random) -> list[Event]:
    """Every answer comes as late as the next invocation of its process allows."""
    following: dict[Any, int] = {}
    last = events[-1].time
    changed = []
    for event in reversed(events):
        if event.type is not Type.INVOKE:
            time = following.get(event.process, last + 1)
            event = msgspec.structs.replace(event, time=rng.randrange(event.time, time + 1))
        else:
            following[event.process] = event.time
        changed.append(event)
    changed.reverse()
    placed = sorted(changed, key=lambda event: event.time)  # Those of one time keep their order.
    return [msgspec.structs.replace(event, index=i) for i, event in enumerate(placed)]


def without_a_read(events: list[Event], rng: Random) -> list[Event]:
    """One read is left out, of its invocation and of its completion."""
    place = rng.choice([i for i, event in enumerate(events) if event.type is Type.OK])
    process = events[place].process
    asked = max(i for i in range(place) if events[i].process == process)
    reads = [at for at, micro in enumerate(events[place].value) if micro[0] == "r"]
    if not reads or len(events[place].value) == 1:
        return events
    gone = rng.choice(reads)
    changed = list(events)
    for each in (asked, place):
        value = [micro for at, micro in enumerate(events[each].value) if at != gone]
        changed[each] = msgspec.structs.replace(events[each], value=value)
    return changed


def with_an_open_one(events: list[Event], rng: Random) -> list[Event]:
    """One more transaction, of which nobody knows how it ended."""
    micros = [[events[0].value[0][0], 0, None]] if events[0].value[0][0] == "r" else []
    write = next(m for event in events for m in event.value if m[0] != "r")
    micros.append([write[0], rng.randrange(4), 10_000])
    place = rng.randrange(len(events))
    more = Event(0, events[place].time, 9_999, Type.INVOKE, "txn", micros)
    changed = [*events[:place], more, *events[place:]]
    return [msgspec.structs.replace(event, index=i) for i, event in enumerate(changed)]


@pytest.mark.parametrize("change", [cut_off, widened, without_a_read, with_an_open_one])
@pytest.mark.parametrize("rules", ["append", "wr"])
@pytest.mark.parametrize("seed", range(3))
def test_valid_history_stays_valid(change: Change, rules: Rules, seed: int) -> None:
    rng = Random(seed)
    events = strict(rng, rules)

    before, after = judged(events, rules), judged(change(events, rng), rules)

    assert before.verdict is not Verdict.INVALID, before.why
    assert after.verdict is not Verdict.INVALID, after.why
    if rules == "append":
        assert before.verdict is after.verdict is Verdict.VALID, after.why


@pytest.mark.parametrize("rules", ["append", "wr"])
@pytest.mark.parametrize("seed", range(3))
def test_names_of_keys_values_and_processes_do_not_matter(rules: Rules, seed: int) -> None:
    rng = Random(seed)
    events = stale(strict(rng, rules), rng)

    before, after = judged(events, rules), judged(renamed(events, rng), rules)

    assert before.verdict is after.verdict
    assert [each.name for each in before.anomalies] == [each.name for each in after.anomalies]
    assert before.details["ruled_out"] == after.details["ruled_out"]


@pytest.mark.parametrize("rules", ["append", "wr"])
def test_stale_answers_are_noticed(rules: Rules) -> None:
    """Else nothing above could fail."""
    rng = Random(1)
    verdicts = [judged(stale(strict(rng, rules), rng), rules).verdict for _ in range(5)]

    assert Verdict.INVALID in verdicts
