"""
The engine of transactions: the smallest history of each anomaly, and its nearest innocent twin.

One transaction a line: `TYPE [PROCESS] [@FROM-TO] MICRO…`. A micro-operation is a letter, a key and
digits: `ax1` appends 1 to x, `wx1` writes it, `rx12` reads the list [1 2], `rx1` reads the register
1, `rx` reads nothing, `rx?` was not answered. Without times all transactions are concurrent.
Without a process each has its own.
"""

from __future__ import annotations

import re
import subprocess
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dissever.native.columns import FAIL, INFO, MICRO_TYPE_CODES, OK, TYPE_CODES, Columns, Micro
from dissever.native.graph import Kind, Level, Rung
from dissever.native.transactions import (
    NONE,
    Found,
    OrderLevel,
    Outcome,
    Rules,
    judge_transactions,
)

TYPES = {"ok": OK, "fail": FAIL, "info": INFO}
READ, APPEND, WRITE = range(3)
LINE = re.compile(r"(ok|fail|info)(?: (\d+))?(?: @(\d+)-(\d+))?((?: [arw]\w[\d?]*)+)")


def micro(text: str, *, rules: Rules, is_coded: bool = True) -> Micro:
    """Micro-operations as a loader leaves them; `is_coded`: beginnings of a list have its place."""
    rows = [LINE.fullmatch(line.strip()) for line in text.strip().splitlines()]
    columns: dict[str, list[int]] = {name: [] for name in TYPE_CODES}
    arrays: dict[str, list[int]] = {
        name: [] for name in ("kind", "key", "value", "list", "length", "items")
    }
    arrays["first"] = [0]
    names: list[str] = []
    reads: list[tuple[int, list[int]]] = []
    for row, match in enumerate(rows):
        assert match, text
        kind, process, start, end, steps = match.groups()
        of = dict.fromkeys(TYPE_CODES, 0) | {
            "type": TYPES[kind],
            "process": row if process is None else int(process),
            "inv": row,
            "ret": len(rows) + row,
            "inv_time": 0 if start is None else int(start),
            "ret_time": 100 if end is None else int(end),
        }
        for name, column in columns.items():
            column.append(of[name])
        for letter, key, digits in re.findall(r"([arw])(\w)([\d?]*)", steps):
            if key not in names:
                names.append(key)
            values = [] if digits == "?" else [int(digit) for digit in digits]
            is_list = letter == "r" and rules is Rules.APPEND and kind == "ok" and digits != "?"
            if is_list:
                reads.append((len(arrays["kind"]), values))
            is_unknown = is_list or digits == "?" or (letter == "r" and kind != "ok")
            arrays["kind"].append("raw".index(letter))
            arrays["key"].append(names.index(key))
            arrays["value"].append(-1 if is_unknown else (values or [0])[0])
            arrays["list"].append(-1)
            arrays["length"].append(-1)
        arrays["first"].append(len(arrays["kind"]))
    longest: dict[int, tuple[int, list[int]]] = {}
    for at, values in sorted(reads, key=lambda read: -len(read[1])):
        place, held = longest.get(arrays["key"][at], (0, []))
        if not is_coded or arrays["key"][at] not in longest or held[: len(values)] != values:
            place = len(arrays["items"])
            arrays["items"] += values
        longest.setdefault(arrays["key"][at], (place, values))
        arrays["list"][at], arrays["length"][at] = place, len(values)
    keys = range(len(names))
    arrays["keys"] = [0 for _ in keys]
    arrays["longest"] = [longest.get(key, (-1, []))[0] for key in keys]
    arrays["longest_length"] = [len(longest[key][1]) if key in longest else -1 for key in keys]
    return Micro.of(arrays, Columns.of(columns))


def judged(text: str, rules: Rules = Rules.APPEND, **options: bool) -> Outcome:
    coded = judge_transactions(micro(text, rules=rules), rules, **options)
    assert coded == judge_transactions(micro(text, rules=rules, is_coded=False), rules, **options)
    return coded


def found(outcome: Outcome) -> list[tuple[Found, int, int]]:
    return [(each.found, each.operation, each.other) for each in outcome.anomalies]


def classes(outcome: Outcome) -> set[tuple[Level, Rung]]:
    return set(outcome.cycles.counts)


@pytest.mark.parametrize(
    ("text", "anomalies"),
    [
        ("ok ax1 rx\nok rx1", [(Found.INTERNAL, 0, 0)]),
        ("ok ax1 rx1\nok rx1", []),
        ("ok rx rx1\nok ax1", [(Found.INTERNAL, 0, 0)]),
        ("ok rx1 rx1\nok ax1", []),
        ("ok rx ax1 rx1\nok rx1", []),
        ("ok ax1 rx1 ax2 rx12 ax3\nok rx123", []),
        ("ok ax2 rx12\nok ax1", []),
        ("ok rx1 ax1", [(Found.FUTURE_READ, 0, 0)]),
        ("ok rx12 ax1\nok ax2", [(Found.FUTURE_READ, 0, 0)]),
        ("ok rx1", [(Found.PHANTOM, 0, NONE)]),
        ("ok rx1\nok rx1", [(Found.PHANTOM, 0, NONE)]),
        ("ok rx1\nfail ax1", [(Found.G1A, 0, 1)]),
        ("ok rx1\ninfo ax1", []),
        ("ok rx1\nok ax1 ax2", [(Found.G1B, 0, 1)]),
        ("ok rx12\nok ax1 ax2", []),
        ("ok ax1 ax2 rx12\nok rx12", []),
        (
            "ok rx12\nfail ax1\nok ax2",
            [(Found.G1A, 0, 1), (Found.DIRTY_UPDATE, 2, 1)],
        ),
        ("ok rx12\nok ax1\nfail ax2", [(Found.G1A, 0, 2)]),
        ("ok rx2\nok ax1 ax2", [(Found.CYCLIC_VERSIONS, 0, 1)]),
        ("ok rx21\nok ax1 ax2", [(Found.G1B, 0, 1), (Found.CYCLIC_VERSIONS, 0, 1)]),
        ("ok rx\nok ax1 ax2 ax3\nok rx123", []),
        ("ok rx11\nok ax1", [(Found.DUPLICATE_ELEMENTS, 0, 1)]),
        ("ok rx12\nok rx21\nok ax1\nok ax2", [(Found.INCOMPATIBLE_ORDER, 1, 0)]),
        ("ok rx12\nok rx1\nok ax1\nok ax2", []),
        ("ok rx1 ax2\nok rx1 ax3\nok ax1", [(Found.LOST_UPDATE, 1, 0)]),
        ("ok rx1 ax2\nok rx12 ax3\nok ax1", []),
        ("ok rx ax2\nok rx ax3", [(Found.LOST_UPDATE, 1, 0)]),
        ("ok rx ax2\ninfo rx ax3", []),
    ],
)
def test_anomaly_of_lists_is_found_and_its_twin_is_not(
    text: str, anomalies: Sequence[tuple[Found, int, int]]
) -> None:
    outcome = judged(text)

    assert found(outcome) == anomalies
    assert outcome.counts == {each: 1 for each, _, _ in anomalies}
    assert (len(outcome.order) > 0) == (not anomalies)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ok ax1 ay2\nok ax2 ay1\nok rx12 ry12", {"G0"}),
        ("ok ax1 ay1\nok ax2 ay2\nok rx12 ry12", set()),
        ("ok ax1 ry1\nok ay1 rx1", {"G1c"}),
        ("ok ax1 ry\nok ay1 rx1", set()),
        ("ok ax1 ay1\nok rx1 ry\nok ry1", {"G-single"}),
        ("ok ax1 ay1\nok rx1 ry1\nok ry1", set()),
        ("ok rx ay1\nok ry ax1", {"G2"}),
        ("ok rx ay1\nok ry1 ax1", set()),
        # A long fork: two readers that disagree about which append came first.
        ("ok ax1\nok ay1\nok rx1 ry\nok rx ry1", {"G-nonadjacent"}),
        ("ok ax1\nok ay1\nok rx1 ry\nok rx1 ry1", set()),
        # Readers of the final state that append themselves, with others that only do one.
        ("ok rx ax1\nok rx ax2\nok rx\nok ax3\nok ax4", {"G2"}),
        ("ok rx ax1\nok rx\nok rx\nok ax3\nok ax4", set()),
        ("ok rx ax1\nok rx ry2\nok rx\nok ax3 ay2\nok ax4", {"G-single", "G2"}),
    ],
)
def test_cycle_of_lists_is_found_and_its_twin_is_not(text: str, names: set[str]) -> None:
    rungs = {"G0": Rung.G0, "G1c": Rung.G1C, "G-single": Rung.G_SINGLE, "G2": Rung.G2}
    rungs["G-nonadjacent"] = Rung.G_NONADJACENT
    outcome = judged(text)

    assert classes(outcome) == {(Level.DATA, rungs[name]) for name in names}
    assert (outcome.order_level is OrderLevel.REALTIME) == (not names)


@pytest.mark.parametrize(
    ("text", "anomalies"),
    [
        ("ok wx1 rx", [(Found.INTERNAL, 0, 0)]),
        ("ok wx1 rx1", []),
        ("ok rx rx1\nok wx1", [(Found.INTERNAL, 0, 0)]),
        ("ok rx1 rx1\nok wx1", []),
        ("ok wx1 wx2 rx1", [(Found.INTERNAL, 0, 0)]),
        ("ok wx1 wx2 rx2", []),
        ("ok rx1 wx1", [(Found.FUTURE_READ, 0, 0)]),
        ("ok rx1", [(Found.PHANTOM, 0, NONE)]),
        ("ok rx1\nok rx1", [(Found.PHANTOM, 0, NONE)]),
        ("ok rx1\nfail wx1", [(Found.G1A, 0, 1)]),
        ("ok rx1\ninfo wx1", []),
        ("ok rx1\nok wx1 wx2", [(Found.G1B, 0, 1)]),
        ("ok rx2\nok wx1 wx2", []),
        ("ok rx1 wx2\nfail wx1", [(Found.G1A, 0, 1), (Found.DIRTY_UPDATE, 0, 1)]),
        ("ok wx2 rx2\nfail wx1", []),
        ("ok rx1 wx2\nok rx1 wx3\nok wx1", [(Found.LOST_UPDATE, 1, 0)]),
        ("ok rx1 wx2\nok rx2 wx3\nok wx1", []),
        ("ok rx wx2\nok rx wx3", [(Found.LOST_UPDATE, 1, 0)]),
        ("ok rx wx2\ninfo rx wx3", []),
        ("ok rx1 wx2\nok rx2 wx1", [(Found.CYCLIC_VERSIONS, 1, 0)]),
    ],
)
def test_anomaly_of_registers_is_found_and_its_twin_is_not(
    text: str, anomalies: Sequence[tuple[Found, int, int]]
) -> None:
    outcome = judged(text, Rules.WR)

    assert found(outcome) == anomalies
    assert outcome.counts == {each: 1 for each, _, _ in anomalies}
    assert (len(outcome.order) > 0) == (not anomalies)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ok wx1 ry1\nok wy1 rx1", {"G1c"}),
        ("ok wx1 ry\nok wy1 rx1", set()),
        ("ok wx1 wy1\nok rx1 ry", {"G-single"}),
        ("ok wx1 wy1\nok rx1 ry1", set()),
        ("ok rx wy1\nok ry wx1", {"G2"}),
        ("ok rx wy1\nok ry1 wx1", set()),
        ("ok wx1\nok wy1\nok rx1 ry\nok rx ry1", {"G-nonadjacent"}),
        # Which of 1 and 2 came first is shown by the path over y, then over what was read before.
        ("ok wx1\nok rx1 wy1\nok ry1 wx2 wz1\nok rx1 rz1", {"G-single"}),
        ("ok wx1\nok rx1 wy1\nok ry1 wx2 wz1\nok rx2 rz1", set()),
        ("ok wx1 wy1\nok ry1 wx2 wz1\nok rx1 rz1", {"G-single"}),
    ],
)
def test_cycle_of_registers_is_found_and_its_twin_is_not(text: str, names: set[str]) -> None:
    rungs = {"G1c": Rung.G1C, "G-single": Rung.G_SINGLE, "G2": Rung.G2}
    rungs["G-nonadjacent"] = Rung.G_NONADJACENT
    outcome = judged(text, Rules.WR)

    assert classes(outcome) == {(Level.DATA, rungs[name]) for name in names}
    assert (outcome.order_level is OrderLevel.REALTIME) == (not names)


def test_order_of_time_is_strict_and_open_transactions_lead_nowhere() -> None:
    stale = "ok @0-{} ax1\nok @20-30 rx"

    assert classes(judged(stale.format(10))) == {(Level.REALTIME, Rung.G_SINGLE)}
    assert judged(stale.format(10)).order_level is OrderLevel.PROCESS
    assert judged(stale.format(10), realtime=False).order_level is OrderLevel.PROCESS
    assert not classes(judged(stale.format(20)))
    assert not classes(judged(stale.format(10).replace("ok @0", "info @0")))


def test_process_order_is_kept_beside_realtime() -> None:
    text = "ok 1 @0-20 ax1\nok 1 @20-30 rx"
    outcome = judged(text)

    assert classes(outcome) == {(Level.PROCESS, Rung.G_SINGLE)}
    assert {kind for _, _, kind, _ in outcome.cycles.cycles[0].steps} == {Kind.RW, Kind.PROCESS}
    assert outcome.order_level is OrderLevel.DATA
    assert list(outcome.order) == [1, 0]
    assert not classes(judged(text, process=False))
    assert not classes(judged(text.replace("ok 1 @0", "info 1 @0")))


def test_open_transaction_counts_once_a_write_of_it_was_seen() -> None:
    assert list(judged("info ax1\nok rx").order) == [1]
    assert list(judged("info ax1\nok rx1").order) == [0, 1]
    # What it also wrote, and nobody read, came after what was read.
    torn = judged("info ax1 ay1\nok rx1 ry\nok ry")
    assert classes(torn) == {(Level.DATA, Rung.G_SINGLE)}


def test_own_appends_are_cut_off_what_was_there_before() -> None:
    outcome = judged("ok ax1\nok ax2 rx12\nok ax3 rx123")

    assert outcome.edges == {Kind.WW: 2, Kind.WR: 2}
    assert list(outcome.order) == [0, 1, 2]


def test_what_was_appended_twice_makes_its_key_ambiguous_and_no_other() -> None:
    outcome = judged("ok ax1\nok ax1\nok ax2\nok rx12\nok ay1\nok ry1")

    assert outcome.ambiguous == (0,)
    assert list(outcome.pairs) == [3, 0]
    assert list(outcome.ordered) == [0, 0]
    assert outcome.edges == {Kind.WR: 2}
    assert found(outcome) == []


def test_appends_that_nobody_read_have_no_order_among_them() -> None:
    outcome = judged("ok ax1\nok ax2\nok ax3\nok ax4\nok rx12")

    assert list(outcome.pairs) == [6]
    assert list(outcome.ordered) == [5]
    assert outcome.completeness == 5 / 6


def test_reads_that_were_not_answered_say_nothing() -> None:
    assert found(judged("ok ax1 rx? rx1\nok rx?\nok rx1")) == []


def test_edges_are_handed_over_when_asked_for() -> None:
    of = micro("ok ax1\nok rx1\nok ax2", rules=Rules.APPEND)
    kept = judge_transactions(of, Rules.APPEND, keep_edges=True).graph
    assert kept is not None
    rows = zip(kept.sources, kept.targets, kept.kinds, kept.keys, strict=True)

    assert list(rows) == [(0, 1, Kind.WR, 0), (0, 2, Kind.WW, 0), (1, 2, Kind.RW, 0)]
    assert judge_transactions(of, Rules.APPEND).graph is None


def test_anomalies_beyond_the_limit_are_counted() -> None:
    text = "\n".join(f"ok r{key}1" for key in "abcdefgh")
    of = micro(text, rules=Rules.APPEND)
    outcome = judge_transactions(of, Rules.APPEND, anomalies_max=3)

    assert len(outcome.anomalies) == 3
    assert outcome.counts == {Found.PHANTOM: 8}


@pytest.mark.parametrize("text", ["ok wx1", "ok rx1"])
def test_micro_operation_of_other_rules_is_malformed(text: str) -> None:
    of = micro("ok ax1\n" + text, rules=Rules.WR)

    with pytest.raises(ValueError, match="event 1"):
        judge_transactions(of, Rules.APPEND)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first", [0, 3, 2]),
        ("first", [0, -1, 2]),
        ("first", [1, 1, 2]),
        ("kind", [APPEND, 9]),
        ("key", [0, 1]),
        ("key", [-1, 0]),
        ("value", [-2, -1]),
        ("list", [-1, 1]),
        ("list", [-1, -2]),
        ("length", [-1, 2**31 - 1]),
        ("length", [-1, -1]),
        ("items", [-5]),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(name: str, value: list[int]) -> None:
    of = micro("ok ax1\nok rx1", rules=Rules.APPEND)
    codes = {"first": "q", "list": "q", "kind": "B"}
    object.__setattr__(of, name, memoryview(array(codes.get(name, "i"), value)))

    with pytest.raises(ValueError, match=r"expected|contradict"):
        judge_transactions(of, Rules.APPEND)


def test_history_of_nothing_has_an_empty_order() -> None:
    of = Micro.of(dict.fromkeys(MICRO_TYPE_CODES, ()) | {"first": [0]}, Columns.empty())

    assert list(judge_transactions(of, Rules.APPEND).order) == []


@pytest.mark.parametrize(
    "text",
    [
        "ok wx1\nok wx2\nok rx2\nok rx1",
        "ok wx1 wy1\nok wx2 wy2\nok rx1 ry1\nok rx2 ry2\nok rx ry",
        "ok @5-50 wx1\nok @0-40 wx2\nok @0-60 rx1\nok @61-70 rx2",
        "ok wx1\ninfo wx2\nok rx2\ninfo wx3\nok rx wy1\nok rx1 wy2",
    ],
)
def test_order_of_versions_that_nobody_shows_is_guessed_and_replays(text: str) -> None:
    outcome = judged(text, Rules.WR)
    lines = text.splitlines()

    assert outcome.is_guessed
    assert outcome.completeness < 1
    assert sorted(outcome.order) == [i for i, line in enumerate(lines) if "wx3" not in line]
    state: dict[str, str] = {}
    for row in outcome.order:
        for letter, key, digit in re.findall(r"([rw])([xy])(\d?)", lines[row]):
            assert letter == "w" or state.get(key, "") == digit
            state[key] = digit


def test_versions_that_every_serial_order_orders_both_ways_have_none() -> None:
    text = "ok wx1 wa1\nok wx2 wb1\nok ra1 rb1 rx1\nok ra1 rb1 rx{}"
    refuted = judged(text.format(2), Rules.WR)
    twin = judged(text.format(1), Rules.WR)

    assert not classes(refuted)
    assert len(refuted.order) == 0
    assert refuted.refuted is OrderLevel.DATA
    assert {step[:2] for step in refuted.forced.cycles[0].steps} == {(0, 1), (1, 0)}
    assert twin.refuted is OrderLevel.NONE
    assert list(twin.order) == [1, 0, 2, 3]


def test_who_reads_a_version_and_replaces_it_comes_after_its_readers() -> None:
    text = "ok wx1\nok wx2\nok rx2 wx3\nok rx1 wy1\nok rx3 ry1"

    assert not classes(judged(text, Rules.WR))
    assert judged(text, Rules.WR).refuted is OrderLevel.NONE


def test_where_nothing_forces_an_order_both_ways_are_tried() -> None:
    # 1 is taken first, being read by one that waits for y, of which 2 then blocks 1.
    outcome = judged("ok wx1\nok ry1 wx2\nok wy1\nok wy2 rx1", Rules.WR)

    assert list(outcome.order) == [0, 3, 2, 1]
    assert outcome.is_guessed


def test_version_of_a_failed_transaction_can_be_updated_twice() -> None:
    outcome = judged("ok rx1 wx2\nok rx1 wx3\nfail wx1", Rules.WR)

    assert outcome.counts == {Found.G1A: 1, Found.DIRTY_UPDATE: 2, Found.LOST_UPDATE: 1}


def test_arrays_of_any_content_are_judged_or_refused(build: Callable[..., Path]) -> None:
    flags = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    try:
        program = build("hostile_transactions", *flags)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no sanitizers: {error.stderr.decode()[-200:]}")
    done = subprocess.run([program, "5000", "1"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 2500
