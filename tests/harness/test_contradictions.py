"""
Histories that contradict themselves: refused, or changed and noted; never read in silence.

Every case is read from a file and made of events, which must be treated the same.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from dissever.harness.history import Event, History, MalformedHistory, Type
from dissever.harness.reader import read_history
from dissever.native.columns import TYPE_CODES


def _events(*lines: str) -> list[Event]:
    """`0 invoke write 1 /k @5 #7`: process, type, f, then value, key, time and index, if given."""
    found: list[Event] = []
    for at, line in enumerate(lines):
        words = line.split()
        time = next((int(word[1:]) for word in words if word[0] == "@"), at * 10)
        index = next((int(word[1:]) for word in words if word[0] == "#"), at)
        key = next((word[1:] for word in words if word[0] == "/"), None)
        who, kind, f, *value = [word for word in words if word[0] not in "@#/"]
        process = int(who) if who.isdigit() else who
        held = msgspec.json.decode(value[0]) if value else None
        found.append(Event(index, time, process, Type(kind), f, held, key))
    return found


def _file(events: list[Event]) -> bytes:
    return msgspec.json.Encoder().encode_lines(events)


REFUSED: dict[str, tuple[list[Event], int, str]] = {
    "two open operations": (_events("0 invoke read", "0 invoke read"), 1, "already has an open"),
    "an answer to nothing": (_events("0 invoke read", "1 ok read"), 1, "never invoked"),
    "a second answer": (
        _events("0 invoke read", "0 ok read 1", "0 ok read 2"), 2, "never invoked",
    ),
    "an answer to something else": (
        _events("0 invoke read", "0 ok cas"), 1, "invoked 'read', completed 'cas'",
    ),
    "an answer about another key": (
        _events("0 invoke read /x", "0 ok read 1 /y"), 1, "completes on another key",
    ),
    "a failure about another key": (
        _events("0 invoke write 1 /x", "0 fail write 1 /y"), 1, "completes on another key",
    ),
    "another value was written": (
        _events("0 invoke write 1", "0 ok write 2"), 1, "completes with another value",
    ),
    "another swap was made": (
        _events("0 invoke cas [1,2]", "0 ok cas [1,3]"), 1, "completes with another value",
    ),
    "another text was appended": (
        _events('0 invoke append "a"', '0 ok append "b"'), 1, "completes with another value",
    ),
    "an index twice": (_events("0 invoke read #0", "0 ok read #0"), 0, "comes after index 0"),
    "an index out of order": (
        _events("0 invoke read #0", "1 invoke read #5", "0 ok read #3"), 3, "comes after index 5",
    ),
    "an index out of order at a fault": (
        _events("0 invoke read #1", "net info cut #0"), 0, "comes after index 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_run_can_have_is_refused_in_the_same_words(case: str) -> None:
    events, index, said = REFUSED[case]
    with pytest.raises(MalformedHistory, match=said) as live:
        _ = History(events).operations
    with pytest.raises(MalformedHistory, match=said) as read:
        read_history(_file(events))

    assert (live.value.index, read.value.index) == (index, index)
    assert str(read.value) == str(live.value)


MENDED: dict[str, tuple[list[Event], str]] = {
    "a process goes on after info": (
        _events("0 invoke write 1", "0 info write", "0 invoke read", "0 ok read 1"),
        "1 times a process goes on after an info, first at event 2",
    ),
    "a process goes on twice": (
        _events("3 invoke write 1", "3 info write", "3 invoke write 2", "3 info write 2",
                "3 invoke read", "0 invoke read", "3 ok read 1"),
        "2 times a process goes on",
    ),
    "times run backwards within a process": (
        _events("0 invoke write 1 @9", "0 ok write 1 @4", "0 invoke read @5", "0 ok read 1 @20"),
        "2 events are dated before the one above, first event 1",
    ),
    "times run backwards across processes": (
        _events("0 invoke write 1 @9", "1 invoke read @4", "0 ok write 1 @30", "1 ok read 1 @31"),
        "1 events are dated before the one above, first event 1",
    ),
    "a fault is dated before what was before it": (
        _events("0 invoke write 1 @9", "net info cut @4", "0 ok write 1 @30"),
        "1 events are dated before the one above, first event 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MENDED)
def test_what_can_be_mended_is_mended_alike_and_noted(case: str) -> None:
    events, said = MENDED[case]

    live, read = History(events), read_history(_file(events))

    assert read.history.operations == live.operations
    assert read.history.events == live.events
    assert read.history.faults == live.faults
    assert read.history.duration_ns == live.duration_ns
    assert read.notes == live.notes
    assert said in read.notes[0]
    assert [event.time for event in live] == sorted(event.time for event in live)
    assert len(History(read.history.events).operations) == len(live.operations)


def test_sound_histories_have_no_notes() -> None:
    events = _events("0 invoke write 1 @0", "0 ok write 1 @5", "0 invoke read @5", "0 ok read 1 @5")

    assert History(events).notes == read_history(_file(events)).notes == ()
    assert History(events).events == tuple(events)


def test_an_answer_may_say_less_than_its_question() -> None:
    """No key, no value, or an answer where the value stands, are no contradiction."""
    events = _events(
        "0 invoke write 1 /x", "0 ok write", "1 invoke cas [1,2] /x", "1 ok cas true /x",
        "2 invoke write 3 /x", '2 fail write "late"',
    )  # fmt: skip

    assert len(read_history(_file(events)).history.operations) == 3
    assert read_history(_file(events)).history.operations == History(events).operations


@pytest.mark.parametrize(
    ("indices", "misnumbered", "note"),
    [
        ((0, 1, 2, 3), None, None),
        ((1, 2, 3, 4), 0, None),
        ((0, 1, 3, 4), 2, "the index leaves numbers out 1 times, first after 1"),
        ((0, 2, 3, 5), 1, "the index leaves numbers out 2 times, first after 0"),
    ],
)
def test_index_that_is_no_position_is_told(
    indices: tuple[int, ...], misnumbered: int | None, note: str | None
) -> None:
    lines = ("0 invoke write 1", "0 ok write 1", "0 invoke read", "0 ok read 1")
    events = _events(*(f"{line} #{index}" for line, index in zip(lines, indices, strict=True)))

    loaded = read_history(_file(events))

    assert loaded.misnumbered == misnumbered
    assert [note in each for each in loaded.notes] == ([True] if note else [])


def test_lines_of_one_process_after_the_other_are_refused() -> None:
    """Logs of several clients, one after another: their times say another order than the lines."""
    events = _events(
        "0 invoke write 1 @0", "0 ok write 1 @9", "1 invoke read @2", "1 ok read @3",
    )  # fmt: skip

    with pytest.raises(MalformedHistory, match="sort the lines by time"):
        read_history(_file(events))


def test_event_without_a_time_comes_after_the_one_before() -> None:
    data = b"""{:process 0 :type :invoke :f :read :time 5000000000}
        {:process 0 :type :ok :f :read}
        {:process 0 :type :invoke :f :read :time 6000000000}"""

    loaded = read_history(data)

    assert [event.time for event in loaded.history] == [5 * 10**9, 5_001_000_000, 6 * 10**9]
    assert loaded.notes == ("1 events have no time: each counts as 1 ms after the one before",)


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_any_events_is_treated_alike(seed: int) -> None:
    """A few events at random: mostly contradictory; a file and a history of events agree."""
    rng = Random(seed)
    for _ in range(100):
        lines = [
            f"{rng.randrange(3)} {rng.choice(['invoke', 'invoke', 'ok', 'fail', 'info'])} "
            f"{rng.choice(['write', 'write', 'read'])} {rng.randrange(2)} @{rng.randrange(6)}"
            for _ in range(rng.randrange(1, 6))
        ]
        events = _events(*lines)
        live, read = _read_live(events), _read_file(events)
        if "sort the lines by time" not in str(read):
            assert read == live, lines


def _read_live(events: list[Event]) -> Any:
    history = History(events)
    try:
        columns = history.columns
    except MalformedHistory as error:
        return str(error), error.index
    return _shown(history, columns), history.notes


def _read_file(events: list[Event]) -> Any:
    try:
        loaded = read_history(_file(events))
    except MalformedHistory as error:
        return str(error), error.index
    return _shown(loaded.history, loaded.history.columns), loaded.notes


def _shown(history: History, columns: Any) -> Any:
    names = [name for name in TYPE_CODES if name not in ("value_in", "value_out", "a", "b", "f")]
    return history.events, [list(getattr(columns, name)) for name in names if name != "key"]
