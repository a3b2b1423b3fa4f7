"""
Changes to a history that must not change its verdict, or must leave a valid one valid.

Names of values, processes and keys mean nothing, and neighbouring events of concurrent operations
that the models cannot tell apart may change places. A valid history stays valid when an operation
takes longer, when a crashed one is added, when a read goes or the end is cut off. Independent keys
together are the worst of both. Threads and runs change nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, REGISTER, SET, Linearizable, Model
from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.refutation import refusal_flaw, witness_flaw
from dissever.harness.history import Event, History, Rows, Type, columns_of
from dissever.harness.results import Budget, Result, Verdict
from dissever.native import Engine
from tests.checkers.settled import settled

CASES = 150
BUDGET = Budget()


@dataclass(frozen=True)
class Sort:
    """A kind of object: what to ask of it, and what a right one answers and then holds."""

    model: Model
    asks: Callable[[Random, int], tuple[str, Any]]
    does: Callable[[Any, str, Any], tuple[Any, Any]]
    initial: Any = None
    operations_max: int = 24


def _register_asks(rng: Random, fresh: int) -> tuple[str, Any]:
    f = rng.choice(("read", "write", "cas"))
    value = fresh if rng.random() < 0.5 else rng.randrange(4)
    return f, {"read": None, "write": value, "cas": [rng.randrange(4), value]}[f]


def _register_does(state: Any, f: str, value: Any) -> tuple[Any, Any]:
    if f == "read":
        return state, state
    if f == "write":
        return value, value
    return (value[1], value) if state == value[0] else (state, None)


def _unique_asks(rng: Random, fresh: int) -> tuple[str, Any]:
    return ("write", 10 + fresh) if rng.random() < 0.5 else ("read", None)


def _queue_asks(rng: Random, fresh: int) -> tuple[str, Any]:
    return ("enqueue", 10 + fresh) if rng.random() < 0.6 else ("dequeue", None)


def _queue_does(state: Any, f: str, value: Any) -> tuple[Any, Any]:
    if f == "enqueue":
        return (*state, value), value
    return state[1:], state[0] if state else None


def _set_asks(rng: Random, fresh: int) -> tuple[str, Any]:
    return ("add", fresh) if rng.random() < 0.5 else ("read", None)


def _set_does(state: Any, f: str, value: Any) -> tuple[Any, Any]:
    return ((*state, value), value) if f == "add" else (state, list(state))


SORTS = {
    "cas-register": Sort(CAS_REGISTER, _register_asks, _register_does),
    "unique register": Sort(REGISTER, _unique_asks, _register_does),
    "queue": Sort(MODELS["queue"], _queue_asks, _queue_does, (), operations_max=10),
    "set": Sort(SET, _set_asks, _set_does, ()),
}


def _recorded(sort: Sort, rng: Random, *, operations: int, key: int | None) -> list[Event]:
    """What a right object was asked by a few clients, each taking effect between its events."""
    events: list[Event] = []
    state, process, time, fresh = sort.initial, 0, 0, 0
    asked: dict[int, tuple[str, Any]] = {}
    told: dict[int, Any] = {}
    crash = rng.choice((0.0, 0.1, 0.3))

    def record(who: int, kind: Type, f: str, value: Any) -> None:
        nonlocal time
        time += rng.random() < 0.8
        events.append(Event(len(events), time, who, kind, f, value, key))

    while operations or asked:
        if operations and (not asked or (len(asked) < 4 and rng.random() < 0.4)):
            asked[process] = sort.asks(rng, fresh)
            record(process, Type.INVOKE, *asked[process])
            process, operations, fresh = process + 1, operations - 1, fresh + 1
            continue
        who = rng.choice(list(asked))
        f, value = asked[who]
        if who not in told:
            if rng.random() < crash:
                del asked[who]
                continue
            state, told[who] = sort.does(state, f, value)
            if rng.random() < crash:
                record(who, Type.INFO, f, value)
                del asked[who]
            continue
        del asked[who]
        answer = told.pop(who)
        is_refused = f == "cas" and answer is None
        record(who, Type.FAIL if is_refused else Type.OK, f, value if is_refused else answer)
    return events


def _spoilt(events: list[Event], rng: Random) -> list[Event]:
    """With the answers of two operations exchanged: often invalid."""
    answers = [i for i, event in enumerate(events) if event.type is Type.OK]
    reads = [i for i in answers if events[i].f in ("read", "dequeue")]
    if len(reads) < 2:
        return events
    one, other = rng.sample(reads, 2)
    changed = list(events)
    changed[one] = msgspec.structs.replace(events[one], value=events[other].value)
    changed[other] = msgspec.structs.replace(events[other], value=events[one].value)
    return changed


def _renumbered(events: list[Event]) -> History:
    return History(tuple(msgspec.structs.replace(event, index=i) for i, event in enumerate(events)))


def _verdict(sort: Sort, events: list[Event]) -> Verdict:
    result = Linearizable(sort.model)(_renumbered(events), BUDGET)
    assert settled(result) is not Verdict.UNKNOWN or not events, result.why
    return settled(result)


def _cases(name: str, rule: str) -> list[tuple[Sort, Random, list[Event], Verdict]]:
    """Histories with their verdicts, half of them spoilt; the share of invalid ones is asserted."""
    sort, rng = SORTS[name], Random(f"{name} {rule}")
    cases = []
    for case in range(CASES):
        events = _recorded(sort, rng, operations=rng.randint(3, sort.operations_max), key=None)
        events = _spoilt(events, rng) if case % 2 else events
        if events:
            cases.append((sort, rng, events, _verdict(sort, events)))
    invalid = sum(verdict is Verdict.INVALID for *_, verdict in cases)
    assert 0.03 < invalid / len(cases) < 0.6
    return cases


def _valid_cases(name: str, rule: str) -> list[tuple[Sort, Random, list[Event]]]:
    return [
        (sort, rng, events)
        for sort, rng, events, verdict in _cases(name, rule)
        if verdict is Verdict.VALID
    ]


def _map_value(value: Any, name: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [_map_value(each, name) for each in value]
    return name(value)


@pytest.mark.parametrize("sort", SORTS)
def test_names_of_values_mean_nothing(sort: str) -> None:
    for kind, _, events, verdict in _cases(sort, "values"):
        renamed = [
            msgspec.structs.replace(
                event,
                value=_map_value(event.value, lambda v: None if v is None else f"value {v}"),
            )
            for event in events
        ]

        assert _verdict(kind, renamed) is verdict


@pytest.mark.parametrize("sort", SORTS)
def test_names_of_processes_mean_nothing(sort: str) -> None:
    for kind, rng, events, verdict in _cases(sort, "processes"):
        numbers = list(range(100, 200))
        rng.shuffle(numbers)
        renamed = [
            msgspec.structs.replace(event, process=numbers[int(event.process)]) for event in events
        ]

        assert _verdict(kind, renamed) is verdict


@pytest.mark.parametrize("sort", SORTS)
def test_keys_together_are_the_worst_of_each(sort: str) -> None:
    cases = _cases(sort, "keys")
    for (kind, rng, one, first), (_, _, other, second) in pairwise(cases):
        moved = [
            msgspec.structs.replace(event, process=int(event.process) + 1000, key="other")
            for event in other
        ]
        both = sorted([*one, *moved], key=lambda event: event.time)
        if rng.random() < 0.5:
            both = [*one, *(msgspec.structs.replace(e, time=e.time + 10**6) for e in moved)]

        assert _verdict(kind, both) is max(first, second)


@pytest.mark.parametrize("sort", SORTS)
def test_neighbouring_calls_or_returns_may_change_places(sort: str) -> None:
    for kind, rng, events, _ in _cases(sort, "neighbours"):
        # At one time a call is concurrent with a return, so here each event has its own.
        apart = [msgspec.structs.replace(event, time=i) for i, event in enumerate(events)]
        verdict = _verdict(kind, apart)
        changed = list(apart)
        for _ in range(10):
            i = rng.randrange(len(events) - 1) if len(events) > 1 else 0
            some = changed[i : i + 2]
            if len(some) == 2 and (some[0].type is Type.INVOKE) == (some[1].type is Type.INVOKE):
                times = [each.time for each in some]
                changed[i : i + 2] = [
                    msgspec.structs.replace(each, time=time)
                    for each, time in zip(reversed(some), times, strict=True)
                ]

        assert _verdict(kind, changed) is verdict


@pytest.mark.parametrize("sort", SORTS)
def test_longer_operations_stay_valid(sort: str) -> None:
    for kind, rng, events in _valid_cases(sort, "longer"):
        changed = list(events)
        i = rng.randrange(len(changed))
        event = changed[i]
        span = rng.randrange(0, 20)
        is_call = event.type is Type.INVOKE
        time = max(0, event.time - span) if is_call else event.time + span
        changed[i] = msgspec.structs.replace(event, time=time)

        assert _verdict(kind, sorted(changed, key=lambda e: e.time)) is Verdict.VALID


@pytest.mark.parametrize("sort", SORTS)
def test_crashed_operation_more_stays_valid(sort: str) -> None:
    for kind, rng, events in _valid_cases(sort, "crashed"):
        f, value = kind.asks(rng, 77)
        i = rng.randrange(len(events) + 1)
        time = events[i - 1].time if i else 0
        added = Event(0, time, 5000, Type.INVOKE, f, value)  # Never answered.

        assert _verdict(kind, [*events[:i], added, *events[i:]]) is Verdict.VALID


@pytest.mark.parametrize("sort", ["cas-register", "unique register", "set"])
def test_read_less_stays_valid(sort: str) -> None:
    for kind, rng, events in _valid_cases(sort, "reads"):
        readers = sorted({event.process for event in events if event.f == "read"}, key=int)
        if readers:
            gone = rng.choice(readers)

            kept = [event for event in events if event.process != gone]
            assert not kept or _verdict(kind, kept) is Verdict.VALID


@pytest.mark.parametrize("sort", SORTS)
def test_beginning_of_a_valid_history_is_valid(sort: str) -> None:
    for kind, rng, events in _valid_cases(sort, "beginnings"):
        cut = events[: rng.randrange(1, len(events) + 1)]

        assert _verdict(kind, cut) is Verdict.VALID


def _bytes(result: Result) -> bytes:
    return msgspec.json.encode(result)


def test_threads_and_repetition_change_nothing() -> None:
    rng = Random("threads")
    sort = SORTS["cas-register"]
    events: list[Event] = []
    for key in range(20):
        some = _recorded(sort, rng, operations=20, key=key)
        for event in _spoilt(some, rng):
            process = int(event.process) + 100 * key
            events.append(msgspec.structs.replace(event, process=process))
    history = _renumbered(sorted(events, key=lambda event: event.time))
    loaded = History(rows=Rows.of_columns(columns_of(history.operations)))

    results = [Linearizable(CAS_REGISTER, threads=n)(loaded, BUDGET) for n in (1, 8, 2, 8)]

    assert results[0].verdict is Verdict.INVALID
    assert len({_bytes(result) for result in results}) == 1


@pytest.mark.parametrize("engine", Engine)
def test_engines_give_one_verdict(engine: Engine) -> None:
    for name in SORTS:
        for kind, _, events, verdict in _cases(name, "engines")[:50]:
            history = _renumbered(events)

            result = Linearizable(kind.model, engine=engine)(history, BUDGET)

            assert settled(result) is verdict


def test_lock_is_a_register_of_two_values() -> None:
    """Acquire is a compare-and-set from free to held, and release the other way round."""
    rng = Random("lock")
    as_cas = {"acquire": [None, 1], "release": [1, None]}
    verdicts = []
    for _ in range(300):
        events: list[Event] = []
        asked: dict[int, str] = {}
        process = 0
        while process < 7 or asked:
            if process < 7 and (not asked or rng.random() < 0.5):
                asked[process] = rng.choice(("acquire", "release"))
                events.append(Event(0, len(events), process, Type.INVOKE, asked[process]))
                process += 1
            else:
                who = rng.choice(list(asked))
                f = asked.pop(who)
                kind = rng.choice((Type.OK, Type.OK, Type.INFO, Type.FAIL))
                events.append(Event(0, len(events), who, kind, f))
        lock = settled(Linearizable(MUTEX)(_renumbered(events), BUDGET))
        register = [
            msgspec.structs.replace(event, f="cas", value=as_cas[event.f]) for event in events
        ]
        verdicts.append(lock)

        assert settled(Linearizable(CAS_REGISTER)(_renumbered(register), BUDGET)) is lock
    assert 20 < verdicts.count(Verdict.INVALID) < 280


def test_refusals_are_those_that_trying_every_order_finds() -> None:
    for kind, _, events, verdict in _cases("cas-register", "refusals"):
        if verdict is not Verdict.INVALID:
            continue
        history = _renumbered(events)
        details = Linearizable(kind.model)(history, BUDGET).details["invalid_keys"]["-"]
        kept = calls(history.operations, kind.model.reads)
        failing = [list(call.operation.indices) for call in kept].index(details["failing"])
        said = set(details["states"])
        states = [value for value in (None, *range(100)) if kind.model.holds(value) in said]

        assert refusal_flaw(kind.model, kept, failing, states if said else None) is None


def test_witnesses_of_a_queue_prove_by_themselves() -> None:
    checked = 0
    for kind, _, events, verdict in _cases("queue", "witnesses"):
        if verdict is not Verdict.INVALID:
            continue
        history = _renumbered(events)
        anomaly = Linearizable(kind.model)(history, BUDGET).anomalies[0]
        if anomaly.name == "nonlinearizable":
            continue
        kept = calls(history.operations, kind.model.reads)
        named = [call for call in kept if call.operation.indices[0] in anomaly.indices]
        checked += 1

        assert witness_flaw(kind.model, kept, named) is None
    assert checked
