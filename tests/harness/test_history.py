"""Pairing, and histories that no run can have."""

from __future__ import annotations

import pytest
from msgspec.json import encode

from dissever.harness.history import Event, History, MalformedHistory, Type
from dissever.harness.reader import read_history


def history(*lines: str) -> History:
    """`0 invoke read`: process, type, f, and a value if there is one."""
    events = []
    for index, line in enumerate(lines):
        process, kind, f, *value = line.split()
        who = int(process) if process.isdigit() else process
        events.append(Event(index, index * 10, who, Type(kind), f, *value))
    return History(tuple(events))


def test_operations_pair_by_process() -> None:
    operations = history(
        "0 invoke write 1", "1 invoke read", "1 ok read 1", "0 fail write 1"
    ).operations

    assert [(o.process, o.f, o.type, o.value, o.indices) for o in operations] == [
        (0, "write", Type.FAIL, "1", (0, 3)),
        (1, "read", Type.OK, "1", (1, 2)),
    ]


def test_operation_without_completion_is_info() -> None:
    (operation,) = history("0 invoke write 1").operations

    assert operation.type is Type.INFO
    assert operation.value == "1"
    assert operation.indices == (0,)


def test_faults_pair_too_and_may_repeat() -> None:
    run = history("net invoke cut", "net info cut", "net invoke heal", "net info heal")

    assert [(fault.f, fault.indices) for fault in run.faults] == [("cut", (0, 1)), ("heal", (2, 3))]
    assert run.operations == ()


def test_fault_of_two_infos_is_read_as_jepsen_writes_it() -> None:
    run = history("nemesis info start", "nemesis info start")

    assert [fault.indices for fault in run.faults] == [(0, 1)]


@pytest.mark.parametrize(
    ("lines", "index", "complaint"),
    [
        (("0 invoke read", "0 invoke read"), 1, "already has an open operation"),
        (("0 ok read",), 0, "completes what it never invoked"),
        (("0 invoke read", "0 ok write"), 1, "invoked 'read', completed 'write'"),
    ],
)
def test_history_that_no_run_can_have_is_refused(lines, index, complaint) -> None:
    with pytest.raises(MalformedHistory, match=complaint) as caught:
        _ = history(*lines).operations

    assert caught.value.index == index


def test_by_key_keeps_indices_and_leaves_faults_out() -> None:
    events = (
        Event(0, 0, 0, Type.INVOKE, "read", key="a"),
        Event(1, 0, "net", Type.INVOKE, "cut"),
        Event(2, 0, 1, Type.INVOKE, "read", key="b"),
        Event(3, 5, 0, Type.OK, "read", key="a"),
    )

    parts = History(events).by_key()

    assert {key: [e.index for e in part] for key, part in parts.items()} == {"a": [0, 3], "b": [2]}
    assert repr(History(events)) == "<History of 4 events>"
    assert History(events).keys == ("a", "b")
    assert History(events).duration_ns == 5
    assert History(()).duration_ns == 0


def test_lone_events_of_a_nemesis_are_operations_without_a_completion() -> None:
    def event(index: int, f: str) -> Event:
        return Event(index, index, "nemesis", Type.INFO, f)

    history = History((event(0, "start"), event(1, "start"), event(2, "stop"), event(3, "start")))

    assert [fault.indices for fault in history.faults] == [(0, 1), (2,), (3,)]


def test_streamed_events_are_all_events_in_order() -> None:
    """Operations that overlap, one without a completion, and a nemesis between them."""
    history = History(
        [
            Event(0, 0, 0, Type.INVOKE, "write", 1),
            Event(1, 1, 1, Type.INVOKE, "read"),
            Event(2, 2, "kill", Type.INVOKE, "start"),
            Event(3, 3, 2, Type.INVOKE, "read"),
            Event(4, 4, 1, Type.OK, "read", 1),
            Event(5, 5, 0, Type.INFO, "write", 1, error="timeout"),
            Event(6, 6, "kill", Type.INFO, "start"),
        ]
    )
    of_file = read_history(b"\n".join(map(encode, history.events))).history

    assert tuple(history.stream_events()) == history.events
    assert tuple(of_file.stream_events()) == history.events
    assert tuple(of_file.stream_operations()) == history.operations


def test_transactions_of_a_file_are_streamed_as_they_were_recorded() -> None:
    asked = [["append", 1, 2], ["r", 1, None]]
    history = History(
        [
            Event(0, 0, 0, Type.INVOKE, "txn", asked),
            Event(1, 1, 0, Type.OK, "txn", [["append", 1, 2], ["r", 1, [2]]]),
        ]
    )
    of_file = read_history(b"\n".join(map(encode, history.events))).history

    assert of_file.has_transactions
    assert tuple(of_file.stream_events()) == history.events
