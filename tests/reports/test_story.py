"""The top of a report: what was found, in true sentences and compact tables, causes first."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dissever.checkers import Bank, GrowOnlySet, Linearizable, NodeEnd, NodeEnds
from dissever.checkers.linearizability.models import REGISTER
from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.latency import Successes
from dissever.harness.results import Anomaly, Budget, Edge, Result, Verdict, merge
from dissever.reports import Subject, render_html, render_junit, summary
from dissever.reports.anomaly_view import explained, findings, operations_by_index
from dissever.reports.crash_card import crash_card
from dissever.reports.details import unasked_ends
from dissever.reports.headlines import Headline, headlines
from dissever.reports.meaning import Family, does_not_mean, family_of, means

S = 1_000_000_000
SUBJECT = Subject(system="dqlite", workload="set", command="dissever test", nodes=("n1", "n2"))


def _history(*rows: tuple[Any, ...]) -> History:
    """Each row: the process, the type, f, the value, and the key; one event a second."""
    return History(
        Event(index, index * S, process, Type(kind), f, value, key, "n1")
        for index, (process, kind, f, value, key) in enumerate(rows)
    )


STALE = _history(
    (0, "invoke", "write", 1, 7),
    (0, "ok", "write", 1, 7),
    (0, "invoke", "write", 2, 7),
    (0, "ok", "write", 2, 7),
    (1, "invoke", "read", None, 7),
    (1, "ok", "read", 1, 7),
    (1, "invoke", "write", 1, 8),
    (1, "ok", "write", 1, 8),
    (1, "invoke", "read", None, 8),
    (1, "ok", "read", 1, 8),
)


def _headlines(history: History, *results: Result) -> tuple[Headline, ...]:
    found = episodes_of(history)
    told = findings(merge(results), history, found, nodes=SUBJECT.nodes)
    return headlines(told, operations_by_index(history), found)


def _invalid(checker: str, *names: str) -> Result:
    anomalies = tuple(Anomaly(name=name, summary=f"{name} happened", indices=()) for name in names)
    return Result(checker=checker, verdict=Verdict.INVALID, why=checker, anomalies=anomalies)


def test_stale_registers_are_counted_and_each_has_a_row() -> None:
    (headline,) = _headlines(STALE, Linearizable(REGISTER)(STALE, Budget()))

    assert headline.title == "1 of 2 registers returned stale values"
    assert headline.columns == (
        *("Key", "Node", "Asked at", "Value read", "Overwritten before that by", "Fault in force"),
    )
    assert [row.cells for row in headline.rows] == [
        ("7", "n1", "4.000 s", "1", "process 0 on n1: write 2, acknowledged at 3.000 s", "none")
    ]
    assert headline.more == 0


def test_lost_elements_are_counted_and_named() -> None:
    history = _history(
        (0, "invoke", "add", 1, None),
        (0, "ok", "add", 1, None),
        (0, "invoke", "add", 2, None),
        (0, "ok", "add", 2, None),
        (1, "invoke", "read", None, None),
        (1, "ok", "read", [2], None),
    )
    lost, *_ = _headlines(history, GrowOnlySet()(history, Budget()))

    assert lost.title == "1 of 2 acknowledged elements was missing from a final read"
    assert lost.rows[0].cells[2:4] == ("1", "process 0 on n1: add 1, acknowledged at 1.000 s")


def test_crashes_are_told_in_the_order_of_time() -> None:
    ends = [
        NodeEnd("n1", 1, -6, is_asked=False, time_ns=5 * S),
        NodeEnd("n2", 1, -6, is_asked=False, time_ns=3 * S),
    ]
    (crashes,) = _headlines(STALE, NodeEnds(ends)(STALE, Budget()))

    assert [row.cells[0] for row in crashes.rows] == ["n2", "n1"]


def test_fault_of_a_lost_element_is_that_of_its_acknowledgement() -> None:
    rows: tuple[tuple[int | str, str, str, Any], ...] = (
        ("kill", "invoke", "start-kill", None),
        ("kill", "info", "start-kill", {"targets": ["n1"]}),
        (0, "invoke", "add", 1),
        (0, "ok", "add", 1),
        ("kill", "invoke", "stop-kill", None),
        ("kill", "info", "stop-kill", None),
        ("pause", "invoke", "start-pause", None),
        ("pause", "info", "start-pause", {"targets": ["n2"]}),
        (1, "invoke", "read", None),
        (1, "ok", "read", []),
    )
    history = _history(*((*row, None) for row in rows))
    lost, *_ = _headlines(history, GrowOnlySet()(history, Budget()))

    assert lost.columns[-1] == "Fault when acknowledged"
    assert lost.rows[0].cells[-1] == "kill (n1)"


def test_wrong_totals_are_told_with_the_right_one() -> None:
    history = _history(
        (0, "invoke", "read", None, None),
        (0, "ok", "read", {"a": 5, "b": 5}, None),
        (0, "invoke", "transfer", {"from": "a", "to": "b", "amount": 1}, None),
        (0, "ok", "transfer", {"from": "a", "to": "b", "amount": 1}, None),
        (0, "invoke", "read", None, None),
        (0, "ok", "read", {"a": 4, "b": 5}, None),
    )
    (headline,) = _headlines(history, Bank()(history, Budget()))

    assert headline.title == "1 of 2 reads of all accounts added up to a wrong total"
    assert headline.columns[2:4] == ("Total read", "Right would be")
    assert headline.rows[0].cells[2:4] == ("9", "10")


@pytest.mark.parametrize(
    ("checker", "name", "family", "true", "false"),
    [
        ("linearizable", "stale-read", Family.ANSWERS, "given these answers", "process ended"),
        ("nodes", "crash", Family.CRASH, "ended by itself", "answers"),
        ("liveness", "no-progress", Family.STUCK, "did not come back", "answers"),
        ("liveness", "diverged", Family.REPLICAS, "different data", "answers"),
        ("logs", "assertion", Family.LOGS, "no healthy node writes", "answers"),
        ("invariants", "durability", Family.INVARIANTS, "must always hold", "answers"),
    ],
)
def test_sentence_under_the_verdict_is_that_of_the_kind(
    checker: str, name: str, family: Family, true: str, false: str
) -> None:
    results = merge([_invalid(checker, name)])
    text = " ".join(summary(SUBJECT, STALE, results, None).plain.split())
    page = render_html(SUBJECT, STALE, results)

    assert family_of(checker, name) is family
    assert true in means(results)
    assert false not in means(results)
    assert means(results) in text
    assert f'<p class="why">{means(results).replace(chr(39), "&#39;")}</p>' in page
    assert does_not_mean(results) != does_not_mean(merge([]))


def test_several_kinds_are_one_sentence_that_claims_nothing_of_causes() -> None:
    results = merge([_invalid("liveness", "no-recovery"), _invalid("nodes", "crash")])

    assert means(results) == (
        "Several things went wrong: a node's process ended by itself, and the system did not come "
        "back once all faults had healed."
    )
    assert "caused another" in does_not_mean(results)


def test_a_crash_comes_before_what_may_follow_from_it_in_every_report() -> None:
    crash = NodeEnds([NodeEnd("n2", 1, -11, is_asked=False, time_ns=S)])(STALE, Budget())
    results = merge(
        [Linearizable(REGISTER)(STALE, Budget()), _invalid("liveness", "no-recovery"), crash]
    )
    text = summary(SUBJECT, STALE, results, None).plain
    page = render_html(SUBJECT, STALE, results)
    junit = ET.fromstring(render_junit(SUBJECT, STALE, results, "x"))
    titles = re.findall(r'<p class="title"><a href="#a\d">([^<]*)', page)

    assert [part.split(":")[0] for part in results.why.split("; ")] == [
        *("nodes", "linearizable", "liveness"),
    ]
    assert titles[0] == "A process of n2 ended by itself"
    assert len(titles) == 3
    assert text.index("A process of n2") < text.index("registers returned stale")
    assert text.index("\n  crash:") > 0
    assert [case.get("name") for case in junit.iter("testcase")] == [
        *("nodes", "linearizable", "liveness"),
    ]


def test_unknown_run_keeps_the_order_of_its_reasons() -> None:
    reasons = [Result(checker=name, verdict=Verdict.UNKNOWN, why="?") for name in ("set", "nodes")]

    assert merge(reasons).why == "set: ?; nodes: ?"


def _card(end: NodeEnd, *more: tuple[Any, ...], ends: tuple[NodeEnd, ...] = ()) -> Any:
    history = _history((0, "invoke", "read", None, None), (0, "ok", "read", None, None), *more)
    results = merge([NodeEnds((end, *ends))(history, Budget())])
    told = unasked_ends(results)[0]
    return crash_card(told, episodes_of(history), Successes([(2 * S, 3 * S)]))


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (NodeEnd("n2", 1, 3, False, S), "n2 was never started again."),
        (NodeEnd("n2", 1, 3, False, S, 2 * S), "n2 was started again at 2.000 s, 1.00 s later."),
        (NodeEnd("n2", 1, 3, False, None, 2 * S), "n2 was started again at 2.000 s."),
    ],
)
def test_card_of_a_crash_says_whether_the_node_came_back(end: NodeEnd, told: str) -> None:
    card = _card(end)

    assert card.how == "exit status 3"
    assert card.followed[0] == told


def test_card_of_a_crash_says_when_clients_were_answered_again_and_how_the_recovery_failed() -> (
    None
):
    seen = {"evidence": {"held": False, "gone": ["n2"]}}
    failed = (
        ("recovery", "invoke", "await-ready", None, None),
        ("recovery", "info", "await-ready", seen, None),
    )
    other = {"evidence": {"held": False, "gone": ["n3"]}}
    innocent = (
        ("recovery", "invoke", "await-ready", None, None),
        ("recovery", "info", "await-ready", other, None),
    )
    end = NodeEnd("n2", 1, -6, False, S)

    assert _card(end, *failed).followed[1:] == (
        "The next operation that was ok was answered 2.00 s after the end.",
        "The recovery failed because of it: await-ready at 2.000 s found that n2 did not run.",
    )
    assert len(_card(end, *innocent).followed) == 2


def test_results_of_earlier_versions_have_a_page_without_a_card() -> None:
    old = Result(
        checker="nodes",
        verdict=Verdict.INVALID,
        why="n2: process 1 ended by SIGSEGV",
        anomalies=(
            Anomaly(name="crash", summary="n2: process 1 ended by SIGSEGV, and nobody", indices=()),
        ),
        details={"unasked": [{"what": "n2: process 1 ended by SIGSEGV", "why": None}]},
    )
    page = render_html(SUBJECT, STALE, merge([old]))

    assert "A process of n2 ended by itself" in page
    assert 'class="card crash"' not in page


def test_like_anomalies_fold_and_the_first_of_each_kind_is_open(many_run: Any) -> None:
    page = render_html(many_run.subject, many_run.history, many_run.results)

    assert re.findall(r'<(article|details) class="anomaly[^"]*" id="(a\d)"', page) == [
        ("article", "a1"),
        ("details", "a2"),
        ("article", "a3"),
    ]


def test_each_chip_of_an_argument_is_another_operation(many_run: Any) -> None:
    page = render_html(many_run.subject, many_run.history, many_run.results)
    steps = page[page.index('<ol class="steps">') :]
    chips = re.findall(r'class="op" href="#i(\d+)"', steps[: steps.index("</ol>")])

    assert len(chips) == len(set(chips)) > 1


def test_stuck_recovery_has_a_card_with_each_node(crash_run: Any) -> None:
    page = render_html(crash_run.subject, crash_run.history, crash_run.results)
    card = page[page.index('class="card stuck"') :]
    told = " ".join(re.sub(r"<[^>]*>", " ", card[: card.index("</article>")]).split())

    assert "Waited for every node to serve" in told
    assert "n2 ✗ did not run its process ended by itself (SIGSEGV at 3.000 s)" in told
    assert "n1 acknowledged a write when asked alone" in told


def test_terminal_tells_the_last_words_of_a_crash_and_is_short(crash_run: Any) -> None:
    text = summary(crash_run.subject, crash_run.history, crash_run.results, None).plain
    lines = text.splitlines()

    assert "its last words (nodes/n2/stderr-1.log):" in text
    assert "panic: <b>out of luck</b>" in text
    assert len(lines) < 40


def test_cycles_are_rows_of_transactions() -> None:
    history = _history(
        (0, "invoke", "txn", [["append", 1, 1]], None),
        (0, "ok", "txn", [["append", 1, 1]], None),
        (1, "invoke", "txn", [["r", 1, None]], None),
        (1, "ok", "txn", [["r", 1, []]], None),
    )
    edges = (Edge(source=0, target=2, kind="realtime"), Edge(source=2, target=0, kind="rw", key=1))
    found = Anomaly(name="G-single", summary="a cycle", indices=(0, 1, 2, 3), cycle=edges)
    result = Result(checker="transactions", verdict=Verdict.INVALID, why="", anomalies=(found,))
    (headline,) = _headlines(history, result)

    assert headline.title == "1 cycle of transactions: one missed a write that came before it"
    assert headline.rows[0].cells[:5] == (
        *("#0 → #2 → #0", "realtime, rw", "1", "0.000 s", "3.000 s"),
    )


def test_kinds_after_the_first_have_few_rows() -> None:
    many = [_invalid("logs", *["assertion"] * 9), _invalid("liveness", *["no-recovery"] * 9)]
    first, second = _headlines(STALE, *many)

    assert (len(first.rows), first.more) == (8, 1)
    assert (len(second.rows), second.more) == (3, 6)


def test_the_first_of_each_signature_is_explained_before_more_of_the_same() -> None:
    many = merge([_invalid("logs", *["assertion"] * 5), _invalid("liveness", "no-recovery")])

    assert explained(many, 3) == (1, 2, 6)
    assert explained(many, 9) == (1, 2, 3, 4, 5, 6)
    assert explained(merge([]), 3) == ()
