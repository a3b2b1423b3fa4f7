"""Synthetic runs: deterministic, with faults, evidence and a stale read, in every verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dissever.checkers import Liveness, NodeEnd, NodeEnds, NodeLog
from dissever.harness.history import Event, History, Type
from dissever.harness.plan import Options, Plan, Skipped
from dissever.harness.results import (
    Anomaly,
    Budget,
    Order,
    Result,
    Results,
    Step,
    Verdict,
    Wrong,
    merge,
)
from dissever.reports import Subject

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


NODES = ("n1", "n2", "n3", "n4", "n5")
CLIENTS = 10
MS = 1_000_000
S = 1_000_000_000


@dataclass(frozen=True)
class Run:
    """The values that a report is made of."""

    subject: Subject
    history: History
    results: Results


def build_subject(**options: Any) -> Subject:
    """The subject of a run of dqlite."""
    defaults: dict[str, Any] = {
        "system": "dqlite",
        "workload": "register",
        "faults": ("partition", "kill", "pause"),
        "seed": 7741,
    }
    plan = Plan(
        options=Options(**{**defaults, **options}),
        command="dissever run dqlite --workload register --faults partition,kill,pause --seed 7741",
        started="2026-11-21T09:51:25Z",
        versions={"dissever": "0.1.0", "python": "3.11.7", "dqlite": "1.18.2"},
        capabilities=("user namespaces", "nft in the node's namespace", "network namespaces"),
        skipped=(
            Skipped("clock", "libfaketime is not installed", "apt install libfaketime"),
            Skipped("disk", "no FUSE device", "load the fuse module"),
        ),
    )
    return Subject.of(plan)


@dataclass(frozen=True)
class Fault:
    """When a fault is injected, for how long, and what is observed of it."""

    at_s: float
    process: str
    inject: str
    heal: str
    lasts_s: float
    targets: list[str]
    evidence: dict[str, Any] | None


FAULTS = (
    Fault(
        *(3.0, "partition", "start-partition", "stop-partition", 4.0, ["n1", "n2"]),
        {
            "held": True,
            "dropped": {
                "n1": {"n3": 112, "n4": 96, "n5": 101},
                "n2": {"n3": 88, "n4": 93, "n5": 90},
            },
            "unreachable": [[a, b] for a in ("n1", "n2") for b in ("n3", "n4", "n5")],
        },
    ),
    Fault(
        *(9.0, "kill", "kill", "start", 2.5, ["n3"]),
        {"held": True, "processes": {"n3": {"pid": 4121, "state": "gone"}}, "refused": ["n3"]},
    ),
    Fault(
        *(10.2, "pause", "pause", "resume", 3.0, ["n5"]),
        {"held": True, "state": {"n5": "T (stopped)"}, "silent_ms": 1040},
    ),
    Fault(
        *(15.0, "partition", "start-partition", "stop-partition", 5.0, ["n4"]),
        {
            "held": True,
            "dropped": {"n4": {"n1": 240, "n2": 231, "n3": 250, "n5": 238}},
            "unreachable": [["n4", "n1"], ["n4", "n2"]],
        },
    ),
    Fault(*(21.0, "pause", "pause", "resume", 2.0, ["n2"]), None),
    Fault(
        *(24.5, "kill", "kill", "start", 2.0, ["n1", "n4"]),
        {"held": False, "processes": {"n1": {"pid": 77, "state": "running"}}},
    ),
)


def fault_events() -> list[dict[str, Any]]:
    """Invocations and completions of the nemeses, without an index."""
    events: list[dict[str, Any]] = []

    def add(time_s: float, process: str, kind: Type, f: str, value: Any = None) -> None:
        time_ns = int(time_s * S)
        events.append({"time": time_ns, "process": process, "type": kind, "f": f, "value": value})

    for fault in FAULTS:
        struck: dict[str, Any] = {"targets": fault.targets}
        if fault.evidence:
            struck["evidence"] = fault.evidence
        healed = {"healed": True, "reached": fault.targets, "after_ms": 140}
        end_s = fault.at_s + fault.lasts_s
        add(fault.at_s, fault.process, Type.INVOKE, fault.inject)
        add(fault.at_s + 0.25, fault.process, Type.INFO, fault.inject, struck)
        add(end_s, fault.process, Type.INVOKE, fault.heal)
        add(end_s + 0.2, fault.process, Type.INFO, fault.heal, {"evidence": healed})
    return events


def build_history(operations: int, *, duration_s: float = 30.0, seed: int = 1) -> History:
    """
    CLIENTS workers on a register per key, an info now and then, and one stale read of key 3.

    The stale read is of 41 after 42 was written and read, by another process.
    """
    rng = Random(seed)
    events = fault_events()
    per_worker = operations // CLIENTS
    gap_s = duration_s / max(1, per_worker)
    written = 100
    for worker in range(CLIENTS):
        process, now = worker, rng.random() * gap_s
        while now < duration_s - 0.2:
            is_cut = (3 < now < 7 and worker % 5 in (0, 1)) or (15 < now < 20 and worker % 5 == 3)
            took = min(0.0006 * rng.lognormvariate(1.2, 0.7), 0.9 * gap_s)
            f = rng.choices(("read", "write", "cas"), (5, 3, 2))[0]
            key, node = rng.randrange(5), NODES[worker % 5]
            asked: Any = None
            if f == "write":
                written += 1
                asked = written
            elif f == "cas":
                asked = [rng.randrange(100), rng.randrange(100)]
            outcome, answer, error = Type.OK, asked, None
            if f == "read":
                answer = rng.randrange(100)
            if f == "cas" and rng.random() < 0.35:
                outcome, error = Type.FAIL, ["not-applied", "value differs"]
            if is_cut and rng.random() < 0.6:
                outcome, answer, error = Type.INFO, asked, ["timeout", "no answer"]
                took = 0.5 + rng.random() * 0.4
            shared = {"process": process, "f": f, "key": key, "node": node}
            done = {"type": outcome, "value": answer, "error": error}
            events.append({**shared, "time": int(now * S), "type": Type.INVOKE, "value": asked})
            events.append({**shared, "time": int((now + took) * S), **done})
            if outcome is Type.INFO:
                process += CLIENTS
            now += max(took, gap_s * (0.6 + 0.8 * rng.random()))
    events.sort(key=lambda event: event["time"])
    return History(tuple(Event(index=index, **event) for index, event in enumerate(events)))


def with_stale_read(history: History) -> tuple[History, Anomaly]:
    """Turn five operations of key 3, some 16 s into the run, into a stale read."""
    chosen = [
        operation
        for operation in history.operations
        if operation.completion is not None
        and operation.type is Type.OK
        and 16 * S < operation.invocation.time < 16.6 * S
    ]
    # One after the other, by as many processes as there are.
    sequence = []
    for operation in chosen:
        assert operation.completion is not None
        if not sequence or operation.invocation.time > sequence[-1].completion.time:
            sequence.append(operation)
    asked_and_answered = [(41, 41), (42, 42), (None, 42), (None, 41), (None, 42)]
    story = [
        ("read" if asked is None else "write", asked, answer)
        for asked, answer in asked_and_answered
    ]
    changed: dict[int, dict[str, Any]] = {}
    picked = sequence[:: max(1, len(sequence) // 5)][:5]
    for operation, (f, asked, answer) in zip(picked, story, strict=True):
        assert operation.completion is not None
        changed[operation.invocation.index] = {"f": f, "key": 3, "value": asked}
        changed[operation.completion.index] = {"f": f, "key": 3, "value": answer, "error": None}
    events = tuple(
        Event(**{**_fields(event), **changed[event.index]}) if event.index in changed else event
        for event in history
    )
    indices = [operation.indices for operation in picked]
    context = tuple(index for pair in indices for index in pair)
    stale = indices[3]
    first, second, third, last = (each[0] for each in (*indices[:3], indices[4]))
    holds = {"holds": "42", "blocked": stale[0], "refused": (stale[0],)}
    anomaly = Anomaly(
        name="stale-read",
        summary="A read returned 41 although 42 had been written and seen by another client.",
        indices=(*indices[1], *stale),
        context=context,
        key=3,
        steps=(
            Step("42 was written, and the client got an ok.", indices[1]),
            Step("After that another client read 42: the write had taken effect.", indices[2]),
            Step("Later still a third client read 41, which 42 had replaced.", stale),
            Step("No order that respects real time explains all three answers.", context[2:8]),
        ),
        confirmation="confirmed by a second engine (wgl)",
        orders=(
            Order(indices=(first, second, third), states=("41", "42", "42"), **holds),
            Order(indices=(second, last), states=("42", "42"), left_out=7, **holds),
        ),
    )
    return History(events), anomaly


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def stale_results(anomaly: Anomaly) -> Results:
    """Two contented checkers and one that found the anomaly."""
    keys = {
        str(key): {"verdict": "invalid" if key == 3 else "valid", "configurations": 36_000 + key}
        for key in range(5)
    }
    linearizable = Result(
        checker="linearizable",
        verdict=Verdict.INVALID,
        why="key 3 is not linearizable: a read returned 41 after 42 was read",
        anomalies=(anomaly,),
        details={"configurations": 184_220, "elapsed_ms": 412, "keys": keys},
    )
    faults = Result(checker="faults", verdict=Verdict.VALID, why="4 of 6 faults left evidence")
    return merge([linearizable, CONTENT, faults])


CONTENT = Result(
    checker="stats",
    verdict=Verdict.VALID,
    why="every kind of operation succeeded at least once",
    details={
        "read": {"ok": 2500, "fail": 0, "info": 30},
        "write": {"ok": 1400, "fail": 0, "info": 40},
        "cas": {"ok": 600, "fail": 300, "info": 20},
    },
)


@pytest.fixture(scope="session")
def invalid_run() -> Run:
    history, anomaly = with_stale_read(build_history(5000))
    return Run(build_subject(), history, stale_results(anomaly))


@pytest.fixture(scope="session")
def many_run(invalid_run: Run) -> Run:
    """Two anomalies of one signature, and one of another."""
    (result, *others) = invalid_run.results.results
    (anomaly,) = result.anomalies
    alike = [
        replace(
            anomaly,
            signature=f"linearizable/{name}",
            name=name,
            wrong=(Wrong(answer=anomaly.indices[-2], value="41", against=anomaly.indices[0]),),
            wrong_count=1,
        )
        for name in ("stale-read", "stale-read", "lost-write")
    ]
    several = replace(result, anomalies=tuple(alike))
    return Run(invalid_run.subject, invalid_run.history, merge([several, *others]))


@pytest.fixture(scope="session")
def crash_run() -> Run:
    """n2 crashed and was never started again; the recovery found that it did not run."""
    history = build_history(2000)
    end_ns, index = history.duration_ns, len(history)
    seen = {"evidence": {"held": False, "gone": ["n2"], "silent": ["n2"]}, "missing": "n2 is down"}
    events = [
        Event(index, end_ns + 1, "recovery", Type.INVOKE, "await-ready"),
        Event(index + 1, end_ns + 40 * S, "recovery", Type.INFO, "await-ready", seen),
    ]
    whole = History((*history, *events))
    end = NodeEnd("n2", 1, -11, is_asked=False, time_ns=3 * S)
    log = NodeLog("n2", "nodes/n2/stderr-1.log", ["hello", "panic: <b>out of luck</b>", "bye"])
    checkers = (Liveness(ends=[end]), NodeEnds([end], logs=[log]))
    judged = [checker(whole, Budget()) for checker in checkers]
    return Run(build_subject(), whole, merge([*judged, CONTENT]))


@pytest.fixture(scope="session")
def valid_run() -> Run:
    why = "all 5 keys are linearizable"
    linearizable = Result(checker="linearizable", verdict=Verdict.VALID, why=why)
    return Run(build_subject(), build_history(2000), merge([linearizable, CONTENT]))


@pytest.fixture(scope="session")
def unknown_run() -> Run:
    linearizable = Result(
        checker="linearizable",
        verdict=Verdict.UNKNOWN,
        why="the budget of 20,000,000 configurations ran out at event 812 of key 2",
        details={"reached": 812},
    )
    return Run(build_subject(), build_history(2000, seed=2), merge([linearizable, CONTENT]))


@pytest.fixture(scope="session")
def empty_run() -> Run:
    return Run(build_subject(faults=()), History(()), merge([]))


@pytest.fixture(scope="session")
def large_run() -> Run:
    history, anomaly = with_stale_read(build_history(100_000))
    return Run(build_subject(rate=3334.0), history, stale_results(anomaly))


@pytest.fixture(scope="session")
def run_of() -> Callable[..., Run]:
    """A run of the given events, with the given results."""

    def build(events: list[Event], results: Results | None = None, **options: Any) -> Run:
        return Run(build_subject(**options), History(tuple(events)), results or merge([]))

    return build


@pytest.fixture
def run_of_two_anomalies(invalid_run: Run) -> Run:
    """The invalid run, whose first checker found a second anomaly."""
    first = next(each for each in invalid_run.results.results if each.anomalies)
    second = Anomaly(name="second-anomaly", summary="the second summary", indices=())
    found = replace(first, anomalies=(*first.anomalies, second))
    rest = [each for each in invalid_run.results.results if each is not first]
    return Run(invalid_run.subject, invalid_run.history, merge([found, *rest]))


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the text of a page in a browser; at the end no script has complained."""
    complaints: list[str] = []
    contexts = []

    def visit(text: str, **options: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
