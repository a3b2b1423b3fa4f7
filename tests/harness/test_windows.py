"""What clients got around a fault: small histories counted by hand, and others by brute force."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.latency import quantile
from dissever.harness.windows import Around, Window, arounds

MS = 1_000_000


def events_of(text: str) -> list[Event]:
    """A line each: ms, process, type, f."""
    lines = [line.split() for line in text.strip().splitlines()]
    return [
        Event(
            index, int(ms) * MS, int(who) if who.isdigit() else who, Type(kind), f, None, None, "n1"
        )
        for index, (ms, who, kind, f) in enumerate(lines)
    ]


def around(text: str) -> Around:
    """Of the first fault."""
    history = History(events_of(text))
    found = arounds(history.columns, episodes_of(history), end_ns=history.duration_ns)
    return next(iter(found.values()))


RUN = """
    0   0 invoke read
    10  0 ok     read
    40  1 invoke read
    50  1 ok     read
    90  0 invoke read
    99  cut invoke start-cut
    100 cut info   start-cut
    110 1 invoke read
    130 0 fail   read
    190 1 ok     read
    195 2 invoke read
    199 cut invoke stop-cut
    200 cut info   stop-cut
    220 2 info   read
    230 3 invoke read
    250 3 ok     read
    400 4 invoke read
    410 4 ok     read
"""


def test_operation_counts_once_and_where_the_fault_may_have_met_it() -> None:
    found = around(RUN)

    assert found.before == Window(
        0, 100 * MS, asked=2, ok=2, answers=2, p50_ns=10 * MS, p99_ns=10 * MS, others=0
    )
    assert found.during == Window(
        100 * MS, 200 * MS, asked=3, ok=1, answers=1, p50_ns=80 * MS, p99_ns=80 * MS, others=0
    )
    assert found.after == Window(
        200 * MS, 300 * MS, asked=1, ok=1, answers=1, p50_ns=20 * MS, p99_ns=20 * MS, others=0
    )
    assert (found.first_ok_ns, found.recovered_ns) == (90 * MS, 50 * MS)
    assert found.silence_ns == 90 * MS


def test_nothing_measured_is_none_and_not_zero() -> None:
    found = around("""
        0   0 invoke read
        1   0 ok     read
        100 cut invoke start-cut
        110 cut info   start-cut
        120 cut invoke stop-cut
        130 cut info   stop-cut
        150 cut invoke look
        151 cut info   look
    """)

    assert found.during is not None
    assert (found.during.asked, found.during.share, found.during.p50_ns) == (0, None, None)
    assert (found.first_ok_ns, found.recovered_ns) == (None, None)


def test_fault_that_nothing_healed_has_no_after() -> None:
    found = around("""
        0  0 invoke read
        1  0 ok     read
        10 cut invoke start-cut
        20 cut info   start-cut
        40 0 invoke read
        50 0 ok     read
    """)

    assert (found.after, found.recovered_ns) == (None, None)
    assert found.during is not None
    assert (found.during.asked, found.during.end_ns) == (1, 50 * MS)


def test_end_of_the_run_is_in_no_window() -> None:
    found = around("""
        0   0 invoke read
        1   0 ok     read
        10  cut invoke start-cut
        20  cut info   start-cut
        90  cut invoke stop-cut
        100 cut info   stop-cut
        130 recovery invoke await-ready
        900 recovery info   await-ready
        901 0 invoke read
        902 0 ok     read
    """)

    assert found.after is not None
    assert (found.after.start_ns, found.after.end_ns, found.after.asked) == (100 * MS, 130 * MS, 0)
    assert found.silence_ns == 110 * MS
    assert found.recovered_ns == 802 * MS


def test_fault_of_which_clients_saw_nothing_has_no_windows() -> None:
    found = around("""
        10  cut invoke start-cut
        20  cut info   start-cut
        30  cut invoke stop-cut
        40  cut info   stop-cut
        50  0 invoke read
        60  0 ok     read
    """)

    assert (found.before, found.during, found.after, found.silence_ns) == (None, None, None, None)
    assert (found.first_ok_ns, found.recovered_ns) == (40 * MS, 20 * MS)


def test_other_faults_in_a_window_are_counted() -> None:
    found = around("""
        0   0 invoke read
        1   0 ok     read
        10  kill invoke kill
        20  kill info   kill
        30  cut invoke start-cut
        40  cut info   start-cut
        50  kill invoke start
        60  kill info   start
        70  cut invoke stop-cut
        80  cut info   stop-cut
        200 0 invoke read
    """)

    assert found.before is not None
    assert found.during is not None
    assert found.after is not None
    assert [each.others for each in (found.before, found.during, found.after)] == [0, 1, 1]


@pytest.mark.parametrize("seed", range(60))
def test_windows_are_those_of_brute_force(seed: int) -> None:
    rng = Random(seed)
    history = random_history(rng)
    found = episodes_of(history)

    fast = arounds(history.columns, found, end_ns=history.duration_ns)

    assert fast == slow_arounds(history, found)


def random_history(rng: Random) -> History:
    """Clients and faults that overlap at random; times repeat, and some things never end."""
    drawn: list[tuple[int, int, int | str, Type, str]] = []
    for process in range(rng.randrange(1, 40)):
        at = rng.randrange(60)
        drawn.append((at, process, process, Type.INVOKE, "read"))
        if rng.random() < 0.9:
            kind = rng.choice((Type.OK, Type.OK, Type.FAIL, Type.INFO))
            drawn.append((at + rng.randrange(1, 25), process, process, kind, "read"))
    for name in "abc"[: rng.randrange(1, 4)]:
        at = rng.randrange(40)
        for f in ("start", "stop", "start", "stop")[: rng.randrange(1, 5)]:
            drawn.append((at, 100, name, Type.INVOKE, f))
            drawn.append((at + 1, 100, name, Type.INFO, f))
            at += 1 + rng.randrange(1, 20)
    if rng.random() < 0.5:
        drawn.append((70, 200, "recovery", Type.INVOKE, "await-ready"))
    drawn.sort(key=lambda each: (each[0], each[1]))
    rows = enumerate(drawn)
    return History([Event(i, time * MS, who, kind, f) for i, (time, _, who, kind, f) in rows])


def slow_arounds(history: History, found: Episodes) -> dict[int, Around]:
    """The definitions of windows.py, one operation after the other."""
    begin = min(each.invocation.time for each in history.operations)
    until = min([history.duration_ns, *(each.start_ns for each in found.end_of_run)])
    every = {}
    for each in found.strikes:
        start, end = max(each.start_ns, begin), min(each.end_ns, until)
        firsts = [_first_ok(history, each.start_ns)]
        firsts.append(_first_ok(history, each.end_ns) if each.healing else None)
        if end <= start:
            every[each.injection.invocation.index] = Around(
                first_ok_ns=firsts[0], recovered_ns=firsts[1]
            )
            continue
        length = end - start
        spans = ((start - length, start), (start, end), (end, end + length))
        windows: list[Window | None] = []
        for which, (a, b) in enumerate(spans):
            low, high = max(a, begin), min(b, until)
            if high <= low or (which == 2 and not each.healing):
                windows.append(None)
                continue
            others = [o for o in found.episodes if o is not each]
            count = sum(o.start_ns < high and o.end_ns > low for o in others)
            members = [o for o in history.operations if _belongs(o, which, low, high, start)]
            windows.append(_window(history, members, (low, high), count))
        moments = [t for t in sorted(_ok_ends(history)) if start < t <= until]
        ends = next((t for t in moments if t >= end), until)
        marks = [start, *(t for t in moments if t < ends), ends]
        silence = max(b - a for a, b in pairwise(marks))
        every[each.injection.invocation.index] = Around(*windows, *firsts, silence)
    return every


def _belongs(operation: Operation, which: int, low: int, high: int, start: int) -> bool:
    asked = operation.invocation.time
    completed = operation.completion.time if operation.completion else asked
    was_pending = asked < start < completed
    if which == 1:
        return low <= asked < high or was_pending
    return low <= asked < high and not (which == 0 and was_pending)


def _window(history: History, members: list[Operation], span: tuple[int, int], n: int) -> Window:
    took = sorted(
        each.completion.time - each.invocation.time
        for each in members
        if each.completion and each.type is Type.OK
    )
    answers = sum(span[0] < time <= span[1] for time in _ok_ends(history))
    latencies = quantile(took, 50), quantile(took, 99)
    return Window(*span, len(members), len(took), answers, *latencies, others=n)


def _ok_ends(history: History) -> list[int]:
    oks = [each for each in history.operations if each.type is Type.OK]
    return [each.completion.time for each in oks if each.completion]


def _first_ok(history: History, time_ns: int) -> int | None:
    ends = [
        each.completion.time
        for each in history.operations
        if each.completion and each.type is Type.OK and each.invocation.time >= time_ns
    ]
    return min(ends) - time_ns if ends else None
