"""A run as spans: what the protocol asks of its JSON, and what the spans say."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Result, Verdict, merge
from dissever.reports import Subject
from dissever.reports.exports.otlp import SPANS_MAX, write_otlp
from dissever.reports.exports.record import Record
from tests.reports.exports.test_trace import crashed

FIELDS = {
    *("traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano"),
    *("endTimeUnixNano", "attributes", "events", "links", "status"),
}
VALUES = {"stringValue": str, "intValue": str, "boolValue": bool, "arrayValue": dict}


def lines_of(record: Record) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(write_otlp([record])).splitlines()]


def spans_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        span
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def said(span: dict[str, Any], name: str) -> Any:
    """The value of an attribute, or None."""
    found = [each["value"] for each in span["attributes"] if each["key"] == name]
    return _plain(found[0]) if found else None


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return [_plain(each) for each in content["values"]]
    return int(content) if kind == "intValue" else content


def breaches(lines: list[dict[str, Any]]) -> Iterator[str]:
    """
    A sentence for each rule that is broken.

    Source: OTLP, "JSON Protobuf Encoding": identities in hexadecimal, enums as integers, integers
    of 64 bits as decimal texts, names in lowerCamelCase; `trace.proto`: what a field may be.
    """
    identities = set()
    for line in lines:
        if set(line) != {"resourceSpans"}:
            yield "a line is one TracesData"
    for span in spans_of(lines):
        if not set(span) <= FIELDS:
            yield "unknown field"
        if span["spanId"] in identities:
            yield "a span has the identity of another"
        identities.add(span["spanId"])
        yield from _of_identities([span, *span.get("links", ())])
        if not re.fullmatch("[0-9a-f]{16}", span.get("parentSpanId", "a" * 16)):
            yield "a parent is no identity"
        if type(span["kind"]) is not int or span["kind"] not in range(1, 6):
            yield "kind is no integer of the enum"
        if type(span["status"]["code"]) is not int or span["status"]["code"] not in (0, 1, 2):
            yield "status is no integer of the enum"
        times = [span["startTimeUnixNano"], span["endTimeUnixNano"]]
        times += [event["timeUnixNano"] for event in span.get("events", ())]
        if not all(isinstance(time, str) and time.isdecimal() for time in times):
            yield "a time is no decimal text"
        elif not all(int(times[0]) <= int(time) <= int(times[1]) for time in times):
            yield "a time is outside of its span"
        holders = [span, *span.get("events", ()), *span.get("links", ())]
        for attributes in (holder.get("attributes", []) for holder in holders):
            yield from _of_attributes(attributes)


def _of_identities(holders: list[dict[str, Any]]) -> Iterator[str]:
    for holder in holders:
        for name, digits in (("traceId", 32), ("spanId", 16)):
            if not re.fullmatch(f"[0-9a-f]{{{digits}}}", holder[name]):
                yield f"{name} is not {digits} hexadecimal digits"
            elif not int(holder[name], 16):
                yield f"{name} is zero"


def _of_attributes(attributes: list[dict[str, Any]]) -> Iterator[str]:
    if len({each["key"] for each in attributes}) < len(attributes):
        yield "two attributes have one key"
    for each in attributes:
        ((kind, content),) = each["value"].items()
        if kind not in VALUES or not isinstance(content, VALUES[kind]):
            yield f"{each['key']} has no value of a kind that there is"


@pytest.fixture
def lines(invalid_run: Any) -> list[dict[str, Any]]:
    return lines_of(Record(invalid_run.subject, invalid_run.history, invalid_run.results, "ab"))


@pytest.mark.parametrize("name", ["invalid_run", "valid_run", "unknown_run", "empty_run"])
def test_lines_keep_the_rules_of_the_protocol(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    lines = lines_of(Record(run.subject, run.history, run.results, "ab"))

    assert list(breaches(lines)) == []
    assert len(lines) == -(-len(spans_of(lines)) // SPANS_MAX)


def test_protobuf_of_opentelemetry_reads_every_line(lines: list[dict[str, Any]]) -> None:
    formats = pytest.importorskip("google.protobuf.json_format")
    protocol = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    for line in lines:
        data = formats.ParseDict(line, protocol.TracesData())

        assert len(data.resource_spans[0].scope_spans[0].spans) == len(spans_of([line]))


def test_operation_is_a_trace_of_its_own_with_its_outcome(
    lines: list[dict[str, Any]], invalid_run: Any
) -> None:
    operations = [span for span in spans_of(lines) if span["kind"] == 3]
    asked = invalid_run.history.operations

    assert len({span["traceId"] for span in operations}) == len(asked)
    assert [said(span, "dissever.index") for span in operations] == [
        operation.invocation.index for operation in asked
    ]
    assert [span["status"]["code"] for span in operations] == [
        1 if operation.type is Type.OK else 2 for operation in asked
    ]
    first = int(operations[0]["startTimeUnixNano"])
    assert first == 1_795_254_685 * 10**9 + asked[0].invocation.time


def test_operation_names_the_faults_that_were_in_force(lines: list[dict[str, Any]]) -> None:
    spans = spans_of(lines)
    faults = [span for span in spans if span["name"].startswith("fault ")]
    run = next(span for span in spans if said(span, "dissever.verdict"))
    for span in (span for span in spans if span["kind"] == 3):
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        expected = {
            said(fault, "dissever.fault")
            for fault in faults
            if int(fault["startTimeUnixNano"]) <= end and int(fault["endTimeUnixNano"]) > start
        }

        assert set(said(span, "dissever.faults") or ()) == expected
    assert faults
    assert all(fault["parentSpanId"] == run["spanId"] for fault in faults)
    assert all(fault["traceId"] == run["traceId"] for fault in faults)


def test_operations_of_an_anomaly_link_to_each_other() -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, "write", 1),
        Event(1, 1, 0, Type.OK, "write", 1),
        Event(2, 2, 1, Type.INVOKE, "read"),
        Event(3, 3, 1, Type.OK, "read"),
        Event(4, 4, 1, Type.INVOKE, "read"),
        Event(5, 5, 1, Type.OK, "read", 1),
    ]
    anomaly = Anomaly(name="stale-read", summary="", indices=(0, 1, 3))
    results = merge([Result(checker="c", verdict=Verdict.INVALID, why="", anomalies=(anomaly,))])
    subject = Subject(system="own", workload="register", command="")
    run, write, read, other = spans_of(lines_of(Record(subject, History(events), results, "ab")))

    def links(span: dict[str, Any]) -> list[str]:
        return [each["spanId"] for each in span["links"]]

    assert links(write) == [run["spanId"], read["spanId"]]
    assert links(read) == [run["spanId"], write["spanId"]]
    assert links(other) == [run["spanId"]]
    assert said(read, "dissever.anomaly") == ["stale-read"]
    assert [said(event, "dissever.anomaly") for event in run["events"]] == ["stale-read"]


def test_process_that_ended_by_itself_is_an_event_of_the_run(valid_run: Any) -> None:
    lines = lines_of(Record(valid_run.subject, valid_run.history, crashed(), "ab"))
    (event,) = spans_of(lines)[0]["events"]

    assert list(breaches(lines)) == []
    assert said(event, "server.address") == "n2"
    assert said(event, "dissever.signal") == "SIGSEGV"
    assert said(event, "dissever.last_words") == ["one", "two"]


def test_same_history_gives_the_same_spans_and_another_digest_others(valid_run: Any) -> None:
    record = Record(valid_run.subject, valid_run.history, valid_run.results, "ab")
    other = Record(valid_run.subject, valid_run.history, valid_run.results, "cd")

    assert lines_of(record) == lines_of(record)
    assert {span["spanId"] for span in spans_of(lines_of(record))}.isdisjoint(
        span["spanId"] for span in spans_of(lines_of(other))
    )


def test_hostile_and_large_values_are_only_values() -> None:
    hostile = '"}]}\n{"resourceSpans":[]}\x1b\u2028'
    history = History([Event(0, 0, 0, Type.INVOKE, hostile, 1 << 90, key=1 << 90, node=hostile)])
    subject = Subject(system=hostile, workload=hostile, command=hostile, started=hostile)
    lines = lines_of(Record(subject, history, None, "ab"))
    (_, span) = spans_of(lines)

    assert list(breaches(lines)) == []
    assert span["name"] == hostile
    assert said(span, "dissever.key") == str(1 << 90)


def _change(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda span: span.update({name: value})


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (_change("trace_id", "00"), "unknown field"),
        (_change("traceId", "0" * 32), "traceId is zero"),
        (_change("spanId", "qs2q"), "not 16 hexadecimal"),
        (_change("parentSpanId", ""), "no identity"),
        (_change("kind", "SPAN_KIND_CLIENT"), "kind is no integer"),
        (_change("status", {"code": "STATUS_CODE_OK"}), "status is no integer"),
        (_change("startTimeUnixNano", 17), "no decimal text"),
        (_change("endTimeUnixNano", "1"), "outside of its span"),
        (_change("links", [{"traceId": "", "spanId": "a" * 16}]), "not 32 hexadecimal"),
        (_change("attributes", [{"key": "a", "value": {"intValue": 5}}]), "no value of a kind"),
        (_change("attributes", [{"key": "a", "value": {"boolValue": True}}] * 2), "one key"),
    ],
)
def test_checker_of_the_protocol_refuses(
    change: Callable[[dict[str, Any]], None], breach: str, lines: list[dict[str, Any]]
) -> None:
    broken = copy.deepcopy(lines)
    change(spans_of(broken)[-1])

    assert any(breach in found for found in breaches(broken))
