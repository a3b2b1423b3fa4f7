"""What succeeded around faults, ends of nodes and states of evidence stand in every report."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dissever.checkers import Evidence, NodeEnd, NodeEnds, Stats
from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Result, Results, Verdict, merge
from dissever.harness.windows import Around, arounds
from dissever.reports import Subject, render_html, render_junit, summary
from dissever.reports.details import (
    UnaskedEnd,
    arounds_of,
    counts_of_faults,
    counts_of_run,
    own_details,
    unasked_ends,
)
from dissever.reports.fault_table import fault_rows
from dissever.reports.figures import figures_of

MS = 1_000_000
SUBJECT = Subject(system="dqlite", workload="set", command="dissever test dqlite")


def _history(**healed: Any) -> History:
    """Two writes before a fault of n2, one during it, three after it."""
    events: list[Event] = []

    def add(process: int | str, kind: Type, f: str, value: Any = None) -> None:
        index = len(events)
        events.append(Event(index, index * MS, process, kind, f, value))

    def write() -> None:
        add(0, Type.INVOKE, "write", 1)
        add(0, Type.OK, "write", 1)

    def fault(f: str, **seen: Any) -> None:
        add("limit-memory", Type.INVOKE, f"{f}-limit-memory")
        add("limit-memory", Type.INFO, f"{f}-limit-memory", {"targets": ["n2"], "evidence": seen})

    for _ in range(2):
        write()
    fault("start", held=True)
    write()
    fault("stop", **{"healed": True, **healed})
    for _ in range(3):
        write()
    return History(events)


def _results(history: History, *ends: NodeEnd) -> Results:
    return merge([Stats()(history, Budget()), NodeEnds(ends)(history, Budget())])


OOM = NodeEnd("n2", 1, -9, is_asked=False, time_ns=6 * MS)
CRASH = NodeEnd("n1", 4, -11, is_asked=False, time_ns=6 * MS)


def _page_text(history: History, results: Results) -> str:
    page = render_html(SUBJECT, history, results)
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", page)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_every_report_counts_what_succeeded_around_faults() -> None:
    history = _history()
    results = _results(history)
    junit = ET.fromstring(render_junit(SUBJECT, history, results, "index.html"))
    properties = {each.get("name"): each.get("value") for each in junit.iter("property")}
    text = summary(SUBJECT, history, results, None).plain

    assert "ok before the first fault, under faults, after the last: 2, 1, 3" in text
    assert "2, 1, 3" in _page_text(history, results)
    assert [properties[f"ok-{when}-faults"] for when in ("before", "during", "after")] == [
        "2",
        "1",
        "3",
    ]


def test_end_that_a_fault_explains_is_told_in_every_report() -> None:
    history = _history()
    results = _results(history, OOM)
    told = "n2: process 1 ended by SIGKILL at 0.006 s"
    text = " ".join(summary(SUBJECT, history, results, None).plain.split())

    assert results.verdict is Verdict.VALID
    assert f"{told}: the kernel kills a node that needs more memory than the limit" in text
    assert f"{told} the kernel kills a node" in _page_text(history, results)
    assert told in render_junit(SUBJECT, history, results, "index.html")


def test_crash_is_told_in_every_report_and_so_is_the_second() -> None:
    history = _history()
    results = _results(history, CRASH, NodeEnd("n3", 1, 1, is_asked=False, time_ns=7 * MS))
    page, junit = _page_text(history, results), render_junit(SUBJECT, history, results, "x")

    for told in ("n1: process 4 ended by SIGSEGV", "n3: process 1 ended with exit status 1"):
        assert page.count(told) > 1
        assert told in junit
        assert told in summary(SUBJECT, history, results, None).plain.replace("\n ", "")
    assert "nothing: it is a crash" in page


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"idle": True}, "idle: nothing met it"),
        ({"still_held": False}, "came too late: it was no longer in force"),
        ({"still_held": None}, "it is not known whether it was still in force"),
        ({"as_asked": False}, "it struck another node than was asked for"),
    ],
)
def test_state_of_the_evidence_is_on_the_page_and_flags_the_fault(
    seen: dict[str, Any], told: str
) -> None:
    history, calm = _history(**seen), _history()
    (row,) = fault_rows(episodes_of(history)).lines
    (other,) = fault_rows(episodes_of(calm)).lines

    assert told in _page_text(history, _results(history))
    assert told not in _page_text(calm, _results(calm))
    assert row.is_flagged
    assert not other.is_flagged


def test_results_of_another_shape_are_passed_over() -> None:
    details: list[dict[str, Any]] = [
        {"windows": 3, "coverage": [], "unasked": "none"},
        {"windows": [3, {"injection": "x"}, {"injection": 1}], "coverage": {"read": 3}},
        {"unasked": [None, 3]},
        {"unasked": 3},
    ]
    for each in details:
        results = merge(
            Result(checker=name, verdict=Verdict.VALID, why="", details=each)
            for name in ("stats", "nodes")
        )

        assert counts_of_faults(results) == {}
        assert counts_of_run(results) is None
        assert unasked_ends(results) == ()


def test_ends_are_typed_also_those_of_results_that_say_less() -> None:
    history = _history()
    (crash,) = unasked_ends(_results(history, CRASH))
    old = {"what": "n1: process 4 ended by SIGSEGV at 0.006 s", "why": None}
    odd = {"what": 3, "node": None, "process": "x", "time_ns": True, "last_words": {"lines": 3}}
    less = [
        unasked_ends(
            merge(
                [
                    Result(
                        checker="nodes",
                        verdict=Verdict.INVALID,
                        why="",
                        details={"unasked": [each]},
                    )
                ]
            )
        )
        for each in (old, odd)
    ]

    assert crash == UnaskedEnd(
        what=old["what"] or "",
        why="",
        node="n1",
        process=4,
        time_ns=6 * MS,
        exit_status=-11,
        signal="SIGSEGV",
        is_restarted=False,
    )
    assert less == [(UnaskedEnd(old["what"] or "", ""),), (UnaskedEnd("3", ""),)]


def test_what_the_lines_of_faults_show_is_not_shown_again_beneath_a_checker() -> None:
    history = _history()
    faults, stats = Evidence()(history, Budget()), Stats()(history, Budget())

    assert "windows" in stats.details
    assert "windows" not in own_details(stats)
    assert own_details(stats)["ok"] == stats.details["ok"]
    assert "strikes" not in own_details(faults)
    assert own_details(faults)["doubts"] == []


def test_what_clients_got_around_a_fault_comes_from_the_results() -> None:
    history = _history()
    found = episodes_of(history)
    told = arounds_of(_results(history))

    assert told == arounds(history.columns, found, end_ns=history.duration_ns)
    assert [each.during is not None for each in told.values()] == [True]


def test_results_without_windows_are_made_up_for_where_the_history_is_whole() -> None:
    history = _history()
    counted = figures_of(history)
    whole = render_html(SUBJECT, history, merge([]), counted=counted)
    part = render_html(SUBJECT, history, merge([]), counted=replace(counted, ok=counted.ok + 1))

    assert '<th scope="row">during</th>' in whole
    assert '<th scope="row">during</th>' not in part


@pytest.mark.parametrize(
    "around", [None, 3, {}, {"during": 3}, {"during": {"asked": "many"}}, {"silence_ns": "long"}]
)
def test_windows_of_another_shape_are_passed_over(around: Any) -> None:
    details = {"windows": [{"injection": 1, "around": around}, {"around": {}}, "x"]}
    results = merge([Result(checker="stats", verdict=Verdict.VALID, why="", details=details)])

    assert arounds_of(results) == ({1: Around()} if around == {} else {})
