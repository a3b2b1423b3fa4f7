"""
The rules of the Trace Event Format that a document must keep, and which of them one breaks.

Source: Trace Event Format (Google, 2016): the JSON object format, common fields, complete, instant,
counter, nestable async, flow and metadata events. Complete events of a thread may lie in one
another; ours are those of one client, so they may not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

PHASES = frozenset("XiCMbestf")
METADATA = {
    "process_name": ("name", str),
    "thread_name": ("name", str),
    "process_sort_index": ("sort_index", int),
    "thread_sort_index": ("sort_index", int),
}
UNITS = ("ms", "ns")


def breaches(document: Any) -> Iterator[str]:
    """A sentence for each rule that is broken, and where."""
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        yield "expected an object with traceEvents"
        return
    if document.get("displayTimeUnit", "ms") not in UNITS:
        yield "displayTimeUnit is neither ms nor ns"
    events = document["traceEvents"]
    for number, event in enumerate(events):
        yield from (f"event {number}: {what}" for what in _of_event(event))
    yield from _overlaps(events)
    yield from _unbalanced(events)
    yield from _flows(events)
    yield from _names(events)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _of_event(event: dict[str, Any]) -> Iterator[str]:
    phase = event.get("ph")
    if phase not in PHASES:
        yield f"unknown phase {phase}"
        return
    if not isinstance(event.get("name"), str) or not event["name"]:
        yield "no name"
    if not all(type(event.get(name)) is int for name in ("pid", "tid")):
        yield "pid and tid must be integers"
    if not _is_number(event.get("ts")):
        yield "ts must be a number"
    if not isinstance(event.get("args", {}), dict):
        yield "args must be an object"
    if phase != "M" and phase != "C" and not isinstance(event.get("cat"), str):
        yield "no category"
    if phase == "X" and (not _is_number(event.get("dur")) or event["dur"] < 0):
        yield "a complete event needs a duration"
    if phase == "i" and event.get("s") not in ("g", "p", "t"):
        yield "an instant event needs a scope"
    if phase == "C" and not (event.get("args") and all(map(_is_number, event["args"].values()))):
        yield "a counter needs numbers"
    if phase in "bestf" and not isinstance(event.get("id"), str):
        yield "no id"
    if phase == "M":
        field, kind = METADATA.get(event["name"], ("", object))
        if not field or not isinstance(event.get("args", {}).get(field), kind):
            yield f"metadata {event['name']} without its value"


def _ns(us: float) -> int:
    return round(us * 1000)


def _overlaps(events: list[dict[str, Any]]) -> Iterator[str]:
    threads = defaultdict(list)
    for event in events:
        if event.get("ph") == "X":
            start = _ns(event["ts"])
            threads[event["pid"], event["tid"]].append((start, start + _ns(event["dur"])))
    for thread, spans in threads.items():
        for (_, end), (start, _) in pairwise(sorted(spans)):
            if end > start:
                yield f"complete events overlap on thread {thread} at {start}"


def _unbalanced(events: list[dict[str, Any]]) -> Iterator[str]:
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        if event.get("ph") not in ("b", "e"):
            continue
        key = (event["cat"], event["id"])
        if event["ph"] == "b":
            if key in begun:
                yield f"async event {key} begins twice"
            begun[key] = event
            continue
        begin = begun.pop(key, None)
        if begin is None:
            yield f"async event {key} ends and never began"
        elif (begin["name"], begin["pid"]) != (event["name"], event["pid"]):
            yield f"async event {key} ends as another"
        elif event["ts"] < begin["ts"]:
            yield f"async event {key} ends before it begins"
    yield from (f"async event {key} never ends" for key in begun)


def _flows(events: list[dict[str, Any]]) -> Iterator[str]:
    flows = defaultdict(list)
    slices = defaultdict(list)
    for event in events:
        if event.get("ph") in ("s", "t", "f"):
            flows[event["cat"], event["id"]].append(event)
        elif event.get("ph") == "X":
            start = _ns(event["ts"])
            slices[event["pid"], event["tid"]].append((start, start + _ns(event["dur"])))
    for key, steps in flows.items():
        if [each["ph"] for each in steps] != ["s", *"t" * (len(steps) - 2), "f"]:
            yield f"flow {key} is not one start, steps and one end"
        if len({each["name"] for each in steps}) > 1:
            yield f"flow {key} changes its name"
        if [each["ts"] for each in steps] != sorted(each["ts"] for each in steps):
            yield f"flow {key} goes back in time"
        if steps[-1].get("bp") != "e":
            yield f"flow {key} ends at the next slice"
        for each in steps:
            at = _ns(each["ts"])
            spans = slices[each["pid"], each["tid"]]
            if not any(start <= at <= end for start, end in spans):
                yield f"flow {key} touches no slice at {each['ts']}"


def _names(events: list[dict[str, Any]]) -> Iterator[str]:
    named = {
        (event["name"], event["pid"], event["tid"] if event["name"] == "thread_name" else 0)
        for event in events
        if event.get("ph") == "M"
    }
    for event in events:
        if event.get("ph") == "M":
            continue
        if ("process_name", event["pid"], 0) not in named:
            yield f"process {event['pid']} has no name"
        if event["tid"] and ("thread_name", event["pid"], event["tid"]) not in named:
            yield f"thread {event['tid']} has no name"
