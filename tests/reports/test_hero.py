"""The first screen of a page: what is long folds, and every kind of anomaly is told plainly."""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from dissever.checkers.node_ends import NodeEnd, NodeEnds
from dissever.checkers.run_checker import NodeLog
from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.latency import Successes
from dissever.harness.results import Anomaly, Budget, Result, Verdict, merge
from dissever.reports.anomaly_view import findings
from dissever.reports.crash_card import NOTHING_SAID, CrashCard, crash_card
from dissever.reports.details import moment_of, unasked_ends
from dissever.reports.headlines import Headline, headlines
from dissever.reports.html import render_html

S = 1_000_000_000
CUT = {"targets": ["n2"], "evidence": {"held": True}}
HISTORY = History(
    (
        Event(0, 0, "partition", Type.INVOKE, "start-partition"),
        Event(1, 1 * S, "partition", Type.INFO, "start-partition", CUT),
        Event(2, 9 * S, "partition", Type.INVOKE, "stop-partition"),
        Event(3, 9 * S, "partition", Type.INFO, "stop-partition", {"targets": ["n2"]}),
    )
)


def test_many_faults_and_a_long_command_fold_and_nothing_is_left_out(invalid_run: Any) -> None:
    names = tuple(f"fault-{number}" for number in range(31))
    command = f"dissever test dqlite --faults {','.join(names)} --nodes 5"
    page = _page(invalid_run, names, command)

    assert 'fault-0, fault-1, fault-2 <span class="more">and 28 more</span>' in page
    assert "fault-3, fault-4, " in page
    shown = re.sub(r"</?(?:wbr|span)[^>]*>", "", page)
    assert shown.count(f">{command}</code>") == 1
    assert 'class="command long"' in page


def test_few_faults_and_a_short_command_are_all_in_sight(invalid_run: Any) -> None:
    names = ("partition", "kill", "pause", "stop", "reset")
    page = _page(invalid_run, names, "dissever test dqlite")

    assert "<dd>partition, kill, pause, stop, reset" in page
    assert 'class="command long"' not in page


def test_each_reason_of_an_unknown_run_has_a_line(invalid_run: Any) -> None:
    names = ("liveness", "faults", "stats", "logs")
    unknown = [
        Result(checker=name, verdict=Verdict.UNKNOWN, why=f"<b>{name}</b> saw nothing")
        for name in names
    ]
    known = Result(checker="nodes", verdict=Verdict.VALID, why="all ran")
    page = render_html(invalid_run.subject, HISTORY, merge([*unknown, known]))
    reasons = page.partition('<ul class="why reasons">')[2].partition("</ul>")[0]

    assert reasons.count("<li>") == 3
    assert "<b>faults</b>: &lt;b&gt;faults&lt;/b&gt; saw nothing" in reasons
    assert "and 1 more reason, under" in page
    assert "all ran" not in reasons


def _page(run: Any, names: tuple[str, ...], command: str) -> str:
    subject = replace(run.subject, faults=names, command=command)
    return render_html(subject, run.history, run.results)


def _broken(*moments: Any) -> Result:
    anomalies = tuple(
        Anomaly(name="durability", summary=f"entry {number}", indices=())
        for number, _ in enumerate(moments)
    )
    return Result(
        checker="invariants",
        verdict=Verdict.INVALID,
        why="",
        anomalies=anomalies,
        details={"moments": list(moments)},
    )


def _headline(result: Result) -> Headline:
    found = episodes_of(HISTORY)
    return headlines(findings(merge([result]), HISTORY, found), {}, found)[0]


def test_broken_rule_says_on_which_node_when_and_under_which_fault() -> None:
    headline = _headline(_broken({"node": "n1", "time_ns": 2 * S}))

    assert headline.title == "A rule that must always hold was broken"
    assert headline.columns == ("What", "Nodes", "From", "Fault in force")
    assert headline.rows[0].cells == ("entry 0", "n1", "2.000 s", "partition (n2)")


def test_column_that_nobody_can_fill_is_left_out() -> None:
    assert _headline(_broken({})).columns == ("What",)


def test_moments_of_equal_anomalies_are_told_apart_and_odd_ones_passed_over() -> None:
    twin = Anomaly(name="durability", summary="same", indices=())
    result = _broken({"time_ns": 1}, "odd")
    first = result.anomalies[0]
    moment = moment_of(result, first)

    assert moment is not None
    assert (moment.node, moment.time_ns) == ("", 1)
    assert moment_of(result, result.anomalies[1]) is None
    assert moment_of(result, twin) is None


def test_what_a_node_printed_when_it_was_ready_is_not_its_last_word() -> None:
    card = _card("nodes/n2/stdout-1.log", '{"ready": true}')

    assert card.is_silent
    assert card.last_word == NOTHING_SAID


def test_fatal_line_is_the_last_word_wherever_it_stands() -> None:
    assert _card("nodes/n2/stdout-1.log", "panic: out of luck").last_word == "panic: out of luck"
    assert _card("nodes/n2/stderr-1.log", "bye").last_word == "bye"


def _card(path: str, line: str) -> CrashCard:
    log = NodeLog("n2", path, [line])
    ends = NodeEnds((NodeEnd("n2", 1, -6, False, S),), logs=(log,))
    told = unasked_ends(merge([ends(HISTORY, Budget())]))[0]
    card = crash_card(told, episodes_of(HISTORY), Successes([]))
    assert card is not None
    return card
