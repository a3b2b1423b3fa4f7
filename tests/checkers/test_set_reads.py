"""Every read of a grow-only set is judged by what reads promise, as brute force says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import pytest

from dissever.checkers import GrowOnlySet, Linearizable
from dissever.checkers.linearizability.models import SET
from dissever.checkers.set import Promise
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Budget, Verdict

Notation = Callable[[str], History]

CASES = 3_000

ALL = set(Promise)
STRICT = {Promise.LINEARIZABLE}
ORDERED = {Promise.LINEARIZABLE, Promise.SEQUENTIAL}

WHOLE = """
    9 invoke read
    9 ok     read [1, 2]
"""

GUILTY: dict[str, tuple[str, str, set[Promise], tuple[int, ...]]] = {
    "a read misses what another process was acknowledged": (
        "stale-read",
        """
        1 invoke add 1
        1 ok     add 1
        2 invoke read
        2 ok     read []
        1 invoke add 2
        1 ok     add 2
    """,
        STRICT,
        (0, 1, 2, 3),
    ),
    "a read misses what its own process was acknowledged": (
        "stale-read",
        """
        1 invoke add 1
        1 ok     add 1
        1 invoke read
        1 ok     read []
        1 invoke add 2
        1 ok     add 2
    """,
        ORDERED,
        (0, 1, 2, 3),
    ),
    "a read misses what another read had seen": (
        "stale-read",
        """
        1 invoke add 1
        2 invoke read
        2 ok     read [1]
        3 invoke read
        3 ok     read []
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
    """,
        STRICT,
        (0, 1, 2, 3, 4, 5),
    ),
    "a process sees less than before": (
        "stale-read",
        """
        1 invoke add 1
        2 invoke read
        2 ok     read [1]
        2 invoke read
        2 ok     read []
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
    """,
        ORDERED,
        (0, 1, 2, 3, 4, 5),
    ),
    "two reads are not one a part of the other": (
        "incompatible-order",
        """
        1 invoke add 1
        2 invoke add 2
        3 invoke read
        4 invoke read
        3 ok     read [1]
        4 ok     read [2]
        1 ok     add 1
        2 ok     add 2
    """,
        ORDERED,
        (2, 3, 4, 5),
    ),
    "a read shows an element without one added before it": (
        "out-of-order",
        """
        3 invoke read
        1 invoke add 1
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
        3 ok     read [2]
    """,
        ORDERED,
        (0, 1, 2, 3, 4, 5),
    ),
    "a read holds what was asked for later": (
        "future-read",
        """
        3 invoke read
        3 ok     read [1]
        1 invoke add 1
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
    """,
        ALL,
        (0, 1, 2, 3),
    ),
    "a read holds what was asked for later, and failed": (
        "phantom",
        """
        3 invoke read
        3 ok     read [3]
        1 invoke add 3
        1 fail   add 3
        1 invoke add 1
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
    """,
        ALL,
        (0, 1, 2, 3),
    ),
    "a read holds what was refused before, and asked for again later": (
        "aborted-read",
        """
        1 invoke add 1
        1 fail   add 1
        3 invoke read
        3 ok     read [1]
        1 invoke add 1
        1 ok     add 1
        1 invoke add 2
        1 ok     add 2
    """,
        ALL,
        (0, 1, 2, 3),
    ),
    "a read that is not final holds an element twice": (
        "duplicate-elements",
        """
        1 invoke add 1
        1 ok     add 1
        3 invoke read
        3 ok     read [1, 1]
        1 invoke add 2
        1 ok     add 2
    """,
        ALL,
        (0, 1, 2, 3),
    ),
}


@pytest.mark.parametrize("promise", Promise)
@pytest.mark.parametrize("what", GUILTY)
def test_a_read_breaks_what_reads_promise(history: Notation, what: str, promise: Promise) -> None:
    name, text, broken, indices = GUILTY[what]

    result = GrowOnlySet(promise)(history(text + WHOLE), Budget())

    if promise in broken:
        assert result.verdict is Verdict.INVALID, result.why
        assert [each.name for each in result.anomalies] == [name]
        assert set(result.anomalies[0].indices) <= set(indices)
    else:
        assert result.verdict is Verdict.VALID, result.why


def test_a_stale_read_names_times_element_acknowledgement_and_read(history: Notation) -> None:
    text = GUILTY["a read misses what another process was acknowledged"][1]

    result = GrowOnlySet()(history(text + WHOLE), Budget())

    assert "process 2 asked to read at 0.002 s and missed 1, acknowledged at 0.001 s" in result.why


def test_a_stale_read_of_one_key_is_found_among_others(history: Notation) -> None:
    text = """
        1 invoke a/add 1
        1 ok     a/add 1
        2 invoke b/add 1
        2 ok     b/add 1
        3 invoke a/read
        3 ok     a/read [1]
        3 invoke b/read
        3 ok     b/read []
        3 invoke b/read
        3 ok     b/read [1]
        4 invoke b/add 2
        4 info   b/add 2
        3 invoke b/read
        3 ok     b/read [1]
    """

    result = GrowOnlySet()(history(text), Budget())

    assert [(each.key, each.name) for each in result.anomalies] == [("b", "stale-read")]


def test_a_read_that_answers_no_list_is_malformed(history: Notation) -> None:
    result = GrowOnlySet()(history("0 invoke read\n0 ok read 7"), Budget())

    assert (result.verdict, result.why) == (
        Verdict.UNKNOWN,
        "malformed: event 1: a read of a set answers a list, got 7",
    )


def _random(rng: Random) -> History:
    """Up to 8 operations of 3 clients on a set of which some clients have old copies."""
    events: list[Event] = []
    held: list[int] = []
    copies: dict[int, list[int]] = {}
    pending: dict[int, list[object]] = {}
    process = dict(enumerate(range(3)))
    time, asked, stale = 0, 0, rng.choice((0.0, 0.2, 0.6))
    left, crash, tie = rng.randrange(2, 9), rng.choice((0.0, 0.2)), rng.choice((0.0, 0.3))
    while left or pending:
        time += rng.random() >= tie
        idle = [client for client in process if client not in pending]
        if left and idle and (not pending or rng.random() < 0.5):
            client, left = rng.choice(idle), left - 1
            f = rng.choice(("add", "read"))
            asked += f == "add"
            value = asked if f == "add" else None
            pending[client] = [f, value]
            # A process is never concurrent with itself: no event ties with the one before it.
            time += any(e.time == time and e.process == process[client] for e in events)
            events.append(Event(len(events), time, process[client], Type.INVOKE, f, value))
            if f == "add" and rng.random() < 0.5:
                held.append(asked)
            continue
        client = rng.choice(list(pending))
        f, value = pending.pop(client)
        kind, answer = Type.OK, value
        if f == "read":
            is_old = rng.random() < stale and client in copies
            answer = list(copies[client]) if is_old else list(held)
            copies[client] = list(held)
            if answer and rng.random() < 0.05:
                answer = [*answer, rng.choice((answer[0], 99, asked + 1))]
        elif rng.random() < crash:
            kind = rng.choice((Type.FAIL, Type.INFO))
        if kind is Type.OK and f == "add" and value not in held and rng.random() < 0.95:
            held.append(value)  # type: ignore[arg-type]
        events.append(Event(len(events), time, process[client], kind, str(f), answer))
        if kind is Type.INFO:
            process[client] += 3
    return History(tuple(events))


def _is_before(one: Operation, other: Operation) -> bool:
    done, asked = one.completion, other.invocation
    if done is None or one.type is not Type.OK:
        return False
    return done.index < asked.index and done.time != asked.time


def _has_order(operations: Sequence[Operation], first: Callable[..., bool]) -> bool:
    """Whether some order explains all reads, where `first(a, b)` says that a must come first."""
    kept = [o for o in operations if o.type is Type.OK or (o.type is Type.INFO and o.f == "add")]
    must = {i for i, o in enumerate(kept) if o.type is Type.OK}
    before = [{j for j, b in enumerate(kept) if j != i and first(b, a)} for i, a in enumerate(kept)]

    def search(done: frozenset[int], held: frozenset[int]) -> bool:
        if must <= done:
            return True
        for i, each in enumerate(kept):
            if i in done or not before[i] <= done:
                continue
            if each.f == "read" and sorted(each.value) != sorted(held):
                continue
            if search(done | {i}, held | {each.value} if each.f == "add" else held):
                return True
        return False

    return search(frozenset(), frozenset())


def _follows(one: Operation, other: Operation) -> bool:
    return one.process == other.process and one.invocation.index < other.invocation.index


def _is_sane(operations: Sequence[Operation]) -> bool:
    """What eventual reads promise: nothing strange, nothing twice, all in the end."""
    adds = [o for o in operations if o.f == "add"]
    reads = [o for o in operations if o.f == "read" and o.type is Type.OK]
    last = max((a.invocation.index for a in adds), default=-1)
    final = [r for r in reads if r.invocation.index > last] or reads[-1:]
    for read in reads:
        answer = read.completion
        assert answer is not None
        asked = {
            a.invocation.value
            for a in adds
            if a.type is not Type.FAIL
            and (a.invocation.index < answer.index or a.invocation.time == answer.time)
        }
        if not set(read.value) <= asked or len(set(read.value)) < len(read.value):
            return False
    for read in final:
        must = {a.value for a in adds if _is_before(a, read)}
        must |= {e for other in reads if _is_before(other, read) for e in other.value}
        if not must <= set(read.value):
            return False
    return True


@pytest.mark.parametrize("promise", Promise)
def test_verdicts_are_those_of_brute_force(promise: Promise) -> None:
    rng, found = Random(f"set reads {promise}"), Counter[Verdict]()
    for _ in range(CASES):
        some = _random(rng)
        operations = some.operations
        is_right = _is_sane(operations)
        if promise is Promise.LINEARIZABLE:
            is_right = _has_order(operations, _is_before)
        elif promise is Promise.SEQUENTIAL:
            is_right = is_right and _has_order(operations, _follows)

        result = GrowOnlySet(promise)(some, Budget())

        found[result.verdict] += 1
        assert (result.verdict is not Verdict.INVALID) == is_right, (result.why, some.events)
        if result.verdict is Verdict.UNKNOWN:
            assert "engines" not in result.why
    assert all(found[each] > CASES / 20 for each in Verdict), found


def test_the_set_of_a_run_and_of_a_file_are_one_set() -> None:
    rng, found = Random("one set"), Counter[bool]()
    for _ in range(CASES):
        some = _random(rng)

        of_run = GrowOnlySet()(some, Budget()).verdict is Verdict.INVALID
        of_file = Linearizable(SET)(some, Budget()).verdict is Verdict.INVALID

        assert of_run == of_file, some.events
        found[of_run] += 1
    assert min(found.values()) > CASES / 10


def _defined(name: str, operations: Sequence[Operation]) -> bool:
    """Whether the history holds what the name means, by its definition alone."""
    adds: dict[object, list[Operation]] = {}
    for each in operations:
        if each.f == "add":
            adds.setdefault(each.invocation.value, []).append(each)
    reads = [o for o in operations if o.f == "read" and o.type is Type.OK]

    def asked(element: object, read: Operation, *, by_then: bool) -> set[Type]:
        assert read.completion is not None
        end = read.completion
        return {
            add.type
            for add in adds.get(element, ())
            if (add.invocation.index < end.index or add.invocation.time == end.time) is by_then
        }

    held = [(element, read) for read in reads for element in read.value]
    failed = {Type.FAIL}
    match name:
        case "phantom":
            return any(
                not asked(e, r, by_then=True) and asked(e, r, by_then=False) <= failed
                for e, r in held
            )
        case "aborted-read":
            return any(asked(e, r, by_then=True) == failed for e, r in held)
        case "future-read":
            return any(
                not asked(e, r, by_then=True) and asked(e, r, by_then=False) - failed
                for e, r in held
            )
        case "duplicate-elements":
            return any(len(set(r.value)) < len(r.value) for r in reads)
        case "incompatible-order":
            sets = sorted((set(r.value) for r in reads), key=len)
            return any(not small <= large for small, large in pairwise(sets))
        case "lost" | "stale-read" | "diverged":
            ok = {e for e, some in adds.items() if any(a.type is Type.OK for a in some)}
            shown = [(a.value, a) for some in adds.values() for a in some if a.type is Type.OK]
            missed = {
                e
                for e, before in (*shown, *held)
                for r in reads
                if _is_before(before, r) and e not in r.value
            }
            return bool({"lost": missed & ok, "diverged": missed - ok}.get(name, missed))
        case "out-of-order":
            return any(
                _is_before(a, b) and b.invocation.value in r.value and a.value not in r.value
                for r in reads
                for some in adds.values()
                for a in some
                for others in adds.values()
                for b in others
            )
    return False


@pytest.mark.parametrize("checker", [GrowOnlySet(), Linearizable(SET)], ids=["run", "file"])
def test_a_name_is_given_only_where_its_definition_holds(
    checker: GrowOnlySet | Linearizable,
) -> None:
    rng, found = Random("names of sets"), Counter[str]()
    for _ in range(CASES):
        some = _random(rng)
        for anomaly in checker(some, Budget()).anomalies:
            found[anomaly.name] += 1

            assert _defined(anomaly.name, some.operations), (anomaly, some.events)
    assert len(found) >= 7, found


@pytest.mark.parametrize("promise", Promise)
def test_a_large_set_is_judged_in_linear_time(promise: Promise) -> None:
    """Time is not looked at: a quadratic checker would not end."""
    events: list[Event] = []
    held = range(50_000)
    for element in held:
        at = len(events)
        events.append(Event(at, at, 0, Type.INVOKE, "add", element))
        events.append(Event(at + 1, at + 1, 0, Type.OK, "add", element))
    for seen in (held[:10], held, held[:-1]):
        at = len(events)
        events.append(Event(at, at, 1, Type.INVOKE, "read"))
        events.append(Event(at + 1, at + 1, 1, Type.OK, "read", list(seen)))

    result = GrowOnlySet(promise)(History(events), Budget())

    assert result.verdict is Verdict.INVALID
    assert result.details["lost"] == 49_990
