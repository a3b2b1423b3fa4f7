"""The story of a small run: what is told, in which order, and which step was wrong."""

from __future__ import annotations

from pathlib import Path

from dissever.harness import store
from dissever.harness.history import Event, Type
from dissever.harness.results import Anomaly
from dissever.shrinking.story import tell
from dissever.traces import lines_of

TRACE = """
{"time":-5,"kind":"snapshot","node":"n1","index":3,"how":"taken"}
{"time":0,"kind":"server","node":"n1","role":"leader","term":2}
{"time":0,"kind":"unsynced","node":"n2","lost":2,"kept":1,"why":"power-failure"}
{"time":0,"kind":"unsynced","node":"n3","lost":0,"kept":1,"why":"kill"}
{"time":1,"kind":"violation","node":null,"name":"log-matching","text":"logs differ.","index":null}
no line of ours
{"time":1,"kind":"server","node":"n1","role":"follower","term":3}
{"time":9000000000000,"kind":"server","node":"n2","role":"leader","term":3}
"""


def test_story_ends_with_the_step_that_was_wrong(tmp_path: Path) -> None:
    (tmp_path / store.SIMULATION).write_text(TRACE)
    events = (
        Event(0, 0, 0, Type.INVOKE, "write", 1),
        Event(1, 1, 0, Type.OK, "write", 1),
        Event(2, 2, 1, Type.INVOKE, "read"),
        Event(3, 3, 1, Type.OK, "read", 0),
    )
    anomaly = Anomaly(name="stale-read", summary="it read 0", indices=(3,))
    *before, last = tell(events, anomaly, lines_of(tmp_path))

    assert [each.text.partition(" s ")[2] for each in before if "rocess" not in each.text] == [
        "n1 became leader of term 2.",
        "the power failure took 2 unsynced entries from n2.",
        "log-matching was violated: logs differ.",
        "n1 no longer led term 2.",
    ]
    assert [each.text for each in before if "rocess" in each.text] == [
        "Process 0 asked to write 1 at 0.000 s; that was acknowledged at 0.000 s.",
        "Process 1 asked to read at 0.000 s; the answer at 0.000 s was 0.",
    ]
    assert last.is_wrong
    assert last.text == "That is the step that was wrong: stale-read. It read 0."


def test_story_of_a_broken_invariant_ends_when_it_broke_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / store.SIMULATION).write_text(TRACE)
    events = (
        Event(0, 0, 0, Type.INVOKE, "write", 1),
        Event(1, 1, 0, Type.OK, "write", 1),
        Event(2, 2, 1, Type.INVOKE, "read"),
    )
    anomaly = Anomaly(name="log-matching", summary="log-matching on n1: logs differ", indices=())
    *before, last = tell(events, anomaly, lines_of(tmp_path))

    assert [each.time_ns for each in before] == [0, 0, 0, 1]
    assert not any("log-matching" in each.text for each in before)
    assert last.text == "That is the step that was wrong: log-matching on n1: logs differ."
    assert last.time_ns == 1


def test_operations_of_a_keyed_workload_are_told_with_their_key() -> None:
    events = (
        Event(0, 0, 1, Type.INVOKE, "txn", [("append", 5, "\x1b[2J")]),
        Event(1, 1, 0, Type.INVOKE, "read", key=3),
        Event(2, 2, 0, Type.OK, "read", key=3),
    )
    anomaly = Anomaly(name="stale-read", summary="it read nothing", indices=(2,))
    texts = [each.text for each in tell(events, anomaly, ())]

    assert texts[:2] == [
        'Process 1 asked to txn [["append", 5, "\\u001b[2J"]] at 0.000 s; whether or when that '
        "happened is unknown.",
        "Key 3: process 0 asked to read at 0.000 s; the answer at 0.000 s was nothing.",
    ]
