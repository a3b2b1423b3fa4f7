"""A run as Trace Event JSON: it keeps the rules of the format, and says what happened."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Result, Results, Verdict, merge
from dissever.reports import Subject
from dissever.reports.exports.record import Record
from dissever.reports.exports.trace import write_trace
from tests.reports.exports.trace_format import breaches

S = 1_000_000_000


def crashed() -> Results:
    """Of a run in which n2 crashed at 5 s, and ran again at 6 s."""
    end = {
        "what": "n2 ended",
        "why": None,
        "node": "n2",
        "time_ns": 5 * S,
        "signal": "SIGSEGV",
        "next_ns": 6 * S,
        "last_words": {"path": "nodes/n2/1.log", "first": 1, "lines": ["one", "two"]},
    }
    details = {"unasked": [end, {"what": "nobody knows when", "why": ""}]}
    return merge([Result(checker="nodes", verdict=Verdict.VALID, why="", details=details)])


def trace_of(
    history: History, results: Results | None = None, subject: Subject | None = None
) -> dict[str, Any]:
    subject = subject or Subject(system="own", workload="register", command="", nodes=("n1", "n2"))
    text = b"".join(write_trace([Record(subject, history, results, "00")]))
    document: dict[str, Any] = json.loads(text)
    return document


def of_phase(document: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in document["traceEvents"] if event["ph"] == phase]


@pytest.fixture
def document(invalid_run: Any) -> dict[str, Any]:
    return trace_of(invalid_run.history, invalid_run.results, invalid_run.subject)


@pytest.mark.parametrize("name", ["invalid_run", "valid_run", "unknown_run", "empty_run"])
def test_trace_keeps_the_rules_of_the_format(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    document = trace_of(run.history, run.results, run.subject)

    assert list(breaches(document)) == []
    assert len(of_phase(document, "X")) == len(run.history.operations)


def test_operation_is_on_the_thread_of_its_client_and_in_the_process_of_its_node(
    document: dict[str, Any], invalid_run: Any
) -> None:
    processes = {
        event["pid"]: event["args"]["name"]
        for event in of_phase(document, "M")
        if event["name"] == "process_name"
    }
    threads = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in of_phase(document, "M")
        if event["name"] == "thread_name"
    }
    workers = invalid_run.subject.concurrency
    found = of_phase(document, "X")

    assert [processes[event["pid"]] for event in found] == [
        operation.invocation.node for operation in invalid_run.history.operations
    ]
    assert [threads[event["pid"], event["tid"]] for event in found] == [
        f"client {operation.process % workers}" for operation in invalid_run.history.operations
    ]
    assert [round(event["ts"] * 1000) for event in found] == [
        operation.invocation.time for operation in invalid_run.history.operations
    ]


def test_fault_is_a_span_of_its_own_and_on_each_node_that_it_struck(
    document: dict[str, Any],
) -> None:
    begun = of_phase(document, "b")
    faults = [event for event in begun if event["pid"] == 2]
    struck = sum(len(event["args"]["targets"].split(", ")) for event in faults)

    assert faults
    assert len([event for event in begun if event["pid"] >= 10]) == struck
    assert len({event["id"] for event in begun}) == len(begun)


def test_anomaly_is_a_flow_through_its_operations(document: dict[str, Any]) -> None:
    through = [event for event in document["traceEvents"] if event["ph"] in "stf"]

    assert {event["name"] for event in through} == {"stale-read"}
    assert [event["name"] for event in of_phase(document, "i") if event["cat"] == "anomaly"] == [
        "stale-read"
    ]


def test_process_that_ended_by_itself_is_marked_on_its_node(valid_run: Any) -> None:
    document = trace_of(valid_run.history, crashed(), valid_run.subject)
    marks = [event for event in of_phase(document, "i") if event["cat"] == "crash"]

    assert list(breaches(document)) == []
    assert [(event["name"], event["ts"], event["pid"]) for event in marks] == [
        ("ended: SIGSEGV", 5e6, 11),
        ("running again", 6e6, 11),
    ]
    assert marks[0]["args"] == {"what": "n2 ended", "last words": "one\ntwo"}


def test_operations_that_overlap_get_threads_of_their_own() -> None:
    """The first is open to the end of the run, and its client goes on as another process."""
    history = History(
        [
            Event(0, 0, 0, Type.INVOKE, "write", 1, node="n1"),
            Event(1, 1 * S, 2, Type.INVOKE, "read", node="n1"),
            Event(2, 2 * S, 2, Type.OK, "read", 1, node="n1"),
        ]
    )
    document = trace_of(history, subject=Subject(
        system="own", workload="register", command="", concurrency=2
    ))  # fmt: skip

    assert list(breaches(document)) == []
    assert len({event["tid"] for event in of_phase(document, "X")}) == 2


def test_counters_say_how_many_ended_in_a_second_and_how_many_were_open() -> None:
    history = History(
        [
            Event(0, 0, 0, Type.INVOKE, "read"),
            Event(1, 1, 1, Type.INVOKE, "read"),
            Event(2, S + 1, 0, Type.OK, "read"),
            Event(3, 3 * S, 1, Type.FAIL, "read"),
        ]
    )
    counters = [
        (event["name"].rpartition(" ")[2], event["ts"], *event["args"].values())
        for event in of_phase(trace_of(history), "C")
    ]

    assert counters == [
        ("second", 1e6, 1, 0, 0),
        ("second", 2e6, 0, 0, 0),
        ("second", 3e6, 0, 1, 0),
        ("second", 4e6, 0, 0, 0),
        ("flight", 1e6, 2),
        ("flight", 2e6, 1),
        ("flight", 4e6, 0),
    ]


def test_hostile_texts_stay_inside_of_their_fields() -> None:
    hostile = '"}],"traceEvents":[{"ph":"\x1b[31m\u2028</script>\ud800'
    history = History([Event(0, 0, 0, Type.INVOKE, hostile, hostile, node=hostile, key=hostile)])
    anomaly = Anomaly(name=hostile, summary=hostile, indices=(0,))
    results = merge([Result(checker="c", verdict=Verdict.INVALID, why="", anomalies=(anomaly,))])
    document = trace_of(history, results)

    assert list(breaches(document)) == []
    (operation,) = of_phase(document, "X")
    assert operation["name"] == hostile


def test_numbers_of_any_size_are_written() -> None:
    history = History([Event(0, 0, 0, Type.INVOKE, "write", 1 << 90, key=1 << 90)])

    assert of_phase(trace_of(history), "X")[0]["args"]["key"] == 1 << 90


def _change(phase: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        event = of_phase(document, phase)[0]
        event.update(fields)

    return change


def _drop(phase: str, at: int = 0) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["traceEvents"].remove(of_phase(document, phase)[at])

    return change


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (_change("X", dur=-1), "needs a duration"),
        (_change("X", dur=1e9), "overlap"),
        (_change("X", ts="0"), "ts must be a number"),
        (_change("X", name=""), "no name"),
        (_change("X", pid="n1"), "must be integers"),
        (_change("X", pid=99), "process 99 has no name"),
        (_change("X", ph="B"), "unknown phase"),
        (_change("i", s="x"), "needs a scope"),
        (_change("C", args={"ok": "3"}), "needs numbers"),
        (_change("M", args={}), "without its value"),
        (_drop("e"), "never ends"),
        (_drop("b"), "never began"),
        (_change("b", id=None), "no id"),
        (_change("e", name="other"), "ends as another"),
        (_change("e", ts=-1), "ends before it begins"),
        (_drop("s"), "not one start"),
        (_change("f", ts=-1), "goes back in time"),
        (_change("s", tid=0), "touches no slice"),
        (_change("f", bp=None), "next slice"),
    ],
)
def test_checker_of_the_format_refuses(
    change: Callable[[dict[str, Any]], None], breach: str, document: dict[str, Any]
) -> None:
    broken = copy.deepcopy(document)
    change(broken)

    assert any(breach in found for found in breaches(broken))
