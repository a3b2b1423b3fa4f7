"""Sessions of transactions from dbcop, Plume and PolySI: formats without events and times."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from dissever.harness.events import Type
from dissever.harness.reader import Format, read_history
from dissever.native.load import LoadError, load

JSON = """{"params": {"id": 0, "n_node": 2}, "info": "x", "start": "2026", "end": "2027", "data": [
 [{"events": [{"Write": {"variable": 0, "version": 1}}, {"Read": {"version": null, "variable": 1}}],
   "committed": true},
  {"committed": false, "events": [{"Read": {"variable": 0, "version": 1}}]}],
 [],
 [{"events": [{"Read": {"variable": 0, "version": 1}}]}]
]}"""
TEXT = """// two sessions
[0:=1 1==?]
[0==1]!
----
--
[0==1]
"""
LINES = """w(0,1,0,0)
r(1,0,0,0)
r(0,1,0,-1)

r(0, 1, 2, 7)"""

FIRST, SECOND, THIRD = ["w", 0, 1], ["r", 1, None], ["r", 0, 1]
UNKNOWN = ["r", 0, None]


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        (JSON, Format.DBCOP_JSON),
        (json.dumps(json.loads(JSON)["data"]), Format.DBCOP_JSON),
        (TEXT, Format.DBCOP_TEXT),
        (LINES, Format.PLUME),
    ],
)
def test_sessions_become_processes_in_their_order(text: str, format_: Format) -> None:
    loaded = read_history(text.encode())
    history = loaded.history

    assert loaded.format is format_
    assert [
        (each.process, each.type, each.invocation.value, each.value) for each in history.operations
    ] == [
        (0, Type.OK, [FIRST, SECOND], [FIRST, SECOND]),
        (0, Type.FAIL, [UNKNOWN], [UNKNOWN]),
        (2, Type.OK, [UNKNOWN], [THIRD]),
    ]
    assert history.has_transactions
    assert not history.is_timed
    assert not history.chosen([0]).is_timed
    assert loaded.notes[:2] == (
        "the format has no times: the order of the transactions of one session is known, and "
        "nothing of the order of different sessions",
        "1 transactions are not committed: each counts as aborted",
    )


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("w(1,5,0,0)\nr(2,0,1,1)", [[["r", 2, None]]]),
        ("w(1,0,0,0)\nr(2,0,1,1)", [[["r", 2, 0]]]),
        ("[x:=5]\n-\n[y==0]", [[["r", "y", None]]]),
        ("[x:=0]\n-\n[y==0]", [[["r", "y", 0]]]),
    ],
)
def test_zero_is_the_initial_value_unless_it_is_written(text: str, answers: list[Any]) -> None:
    loaded = read_history(text.encode())

    assert [each.value for each in loaded.history.operations[1:]] == answers
    assert any("reads of 0" in note for note in loaded.notes) == (answers[0][0][2] is None)


def test_the_three_formats_say_the_same() -> None:
    rng = Random(1)
    for _ in range(50):
        sessions, as_lines, as_text, number = [], [], [], 0
        for session in range(rng.randrange(1, 4)):
            transactions = []
            for _ in range(rng.randrange(4)):
                number += 1
                is_committed = rng.random() < 0.8
                events = []
                for _ in range(rng.randrange(1, 4)):
                    key, version = rng.randrange(3), rng.randrange(1, 9)
                    kind = rng.choice(["Read", "Write"])
                    events.append({kind: {"variable": key, "version": version}})
                    ended = number if is_committed else -number
                    as_lines.append(f"{kind[0].lower()}({key},{version},{session},{ended})")
                transactions.append({"events": events, "committed": is_committed})
            sessions.append(transactions)
            as_text.append("\n".join(map(_in_text, transactions)))
        histories = [
            read_history(text.encode()).history
            for text in (json.dumps(sessions), "\n---\n".join(as_text), "\n".join(as_lines))
            if number
        ]

        assert all(each.events == histories[0].events for each in histories)


def _in_text(transaction: dict[str, Any]) -> str:
    events = []
    for event in transaction["events"]:
        ((kind, parts),) = event.items()
        sign = ":=" if kind == "Write" else "=="
        events.append(f"{parts['variable']}{sign}{parts['version']}")
    return f"[{' '.join(events)}]{'' if transaction['committed'] else '!'}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("w(1,5,0)", "line 1, column 1: expected r(key,value,session,transaction)"),
        ("w(1,5,0,0)\nw(1,x,0,0)", "line 2, column 1: expected r(key"),
        ("w(1,5,0,0)\nw(1,6,1,0)\nw(1,7,0,0)", "line 3, column 1: transaction 0 of session 0"),
        ("w(1,5,4294967296,0)", "a process of 32 bits"),
        ("[x:=1 y]", "line 1, column 7: expected x:=1, x==2 or x==?"),
        ("[x:=1\n", "'[' is never closed"),
        ("[x:=1]\nx", "line 2, column 1: expected a transaction"),
        ("[x:=]", "expected a name"),
        ('[[{"events":[{"Delete":{}}]}]]', 'expected "Read" or "Write", got "Delete"'),
        ('[[{"events":[{"Read":{"version":1}}]}]]', 'expected {"variable": x, "version": v}'),
        ('[[{"events":[{"Write":{"variable":1}}]}]]', 'expected {"variable": x, "version": v}'),
        ('[[{"committed":true}]]', "a transaction has no events"),
        ('[[{"events":[],"committed":1}]]', "expected true or false as committed"),
        ('[[{"events":[],"events":[]}]]', "has the field events twice"),
        ('{"data":[],"x":"events","data":[]}', "the field data twice"),
        ('[[{"events":[]}]', "the text ends"),
        ('[[{"events":[]}]] 1', "the end of the text"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, what: str) -> None:
    with pytest.raises(LoadError) as error:
        load(text.encode())
    assert what in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "[[0 :invoke :read nil]]",
        '{"start": 1, "process": 0, "type": "invoke", "f": "read", "value": null}',
        '[{"process": 0, "type": "invoke", "f": "read", "value": null}]',
        "; a == b\n[{:process 0 :type :invoke :f :read :value nil}]",
    ],
)
def test_other_histories_are_no_sessions(text: str) -> None:
    loaded = load(text.encode())

    assert loaded.is_timed
    assert len(loaded.columns) == 1
