"""An end of a node that nobody asked for is a crash, unless a fault explains it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from dissever.checkers import NodeEnd, NodeEnds, NodeLog
from dissever.checkers.node_ends import EXPLAINED, LOST_NS, SIGNALS
from dissever.harness.history import History
from dissever.harness.results import Budget, Result, Verdict

Notation = Callable[[str], History]

MS = 1_000_000

CALM = "@0 0 invoke read\n@1 0 ok read"


def _struck(fault: str, more: str = "", targets: str = "['n2']") -> str:
    """A fault from 100 ms to 200 ms."""
    return f"""
        @90  {fault} invoke start-{fault}
        @100 {fault} info   start-{fault} {{'targets': {targets}{more}}}
        @190 {fault} invoke stop-{fault}
        @200 {fault} info   stop-{fault} {{'targets': {targets}}}
        @9000 0 invoke read
        @9001 0 ok read
    """


def _judge(history: History, *ends: NodeEnd, lost_ns: int | None = None) -> Result:
    return NodeEnds(ends, lost_ns=lost_ns)(history, Budget())


def _end(status: int, at_ms: int | None = 150, *, is_asked: bool = False) -> NodeEnd:
    return NodeEnd("n2", 3, status, is_asked, None if at_ms is None else at_ms * MS)


@pytest.mark.parametrize("status", [-9, -11, -7, -6, -15, -2, -34, 0, 1, 3, 137])
def test_end_that_nobody_asked_for_is_a_crash(history: Notation, status: int) -> None:
    crashed = _judge(history(CALM), _end(status))
    asked = _judge(history(CALM), _end(status, is_asked=True))

    assert crashed.verdict is Verdict.INVALID
    assert [each.name for each in crashed.anomalies] == ["crash"]
    assert asked.verdict is Verdict.VALID


def test_crash_says_who_how_and_when(history: Notation) -> None:
    summaries = [
        _judge(history(CALM), _end(status)).why for status in (-signal.SIGBUS, 1, -signal.SIGRTMIN)
    ]

    assert summaries == [
        "n2: process 3 ended by SIGBUS at 0.150 s, and nobody asked for that",
        "n2: process 3 ended with exit status 1 at 0.150 s, and nobody asked for that",
        "n2: process 3 ended by signal 34 at 0.150 s, and nobody asked for that",
    ]
    assert all(signal.Signals(number).name == name for number, name in SIGNALS.items())


def test_every_crash_is_told_not_only_the_first(history: Notation) -> None:
    result = _judge(history(CALM), _end(-9), NodeEnd("n1", 1, 1, is_asked=False, time_ns=0))

    assert [each.summary[:3] for each in result.anomalies] == ["n2:", "n1:"]


@pytest.mark.parametrize(
    ("fault", "status", "verdict"),
    [
        ("disk-full", 1, "valid"),
        ("disk-error", 1, "valid"),
        ("disk-error", -6, "invalid"),
        ("disk-error", -11, "invalid"),
        ("disk-full", -7, "invalid"),
        ("limit-memory", -9, "valid"),
        ("limit-memory", -11, "invalid"),
        ("limit-memory", 1, "invalid"),
        ("disk-slow", -9, "invalid"),
        ("partition", 1, "invalid"),
        ("clock-jump", -6, "invalid"),
    ],
)
def test_fault_in_force_explains_what_the_system_does_not_promise(
    history: Notation, fault: str, status: int, verdict: str
) -> None:
    result = _judge(history(_struck(fault)), _end(status))

    assert result.verdict is Verdict(verdict), result.why
    if verdict == "valid":
        assert fault in result.why
        (end,) = result.details["unasked"]
        assert result.why == f"{end['what']}: {end['why']}"


@pytest.mark.parametrize("at_ms", [20, 5000])
def test_fault_explains_nothing_before_and_after_it(history: Notation, at_ms: int) -> None:
    assert _judge(history(_struck("disk-full")), _end(1, at_ms)).verdict is Verdict.INVALID


def test_fault_explains_nothing_of_other_nodes(history: Notation) -> None:
    struck = history(_struck("disk-full", targets="['n1', 'n3']"))

    assert _judge(struck, _end(1)).verdict is Verdict.INVALID


def test_damage_of_a_disk_explains_a_refusal_for_good_and_never_a_signal(history: Notation) -> None:
    struck = history(_struck("disk-flip", ", 'damages_disk': True"))

    assert _judge(struck, _end(1, 5000)).verdict is Verdict.VALID
    assert _judge(struck, _end(1, 20)).verdict is Verdict.INVALID
    assert _judge(struck, _end(-6, 5000)).verdict is Verdict.INVALID


def test_signal_that_a_fault_sent_is_no_crash(history: Notation) -> None:
    struck = history(_struck("stab", ", 'signal': 11"))

    assert _judge(struck, _end(-11)).verdict is Verdict.VALID
    assert _judge(struck, _end(-6)).verdict is Verdict.INVALID


def test_end_that_a_lost_part_of_the_harness_may_have_caused_is_not_held_against_the_system(
    history: Notation,
) -> None:
    lost_ns = 20_000 * MS
    late, early = (lost_ns - 1_000 * MS) // MS, (lost_ns - LOST_NS) // MS - 1

    assert _judge(history(CALM), _end(-9, late), lost_ns=lost_ns).verdict is Verdict.VALID
    assert _judge(history(CALM), _end(-9, early), lost_ns=lost_ns).verdict is Verdict.INVALID


def test_end_at_an_unknown_time_is_explained_by_any_fault_that_could(history: Notation) -> None:
    assert _judge(history(_struck("disk-full")), _end(1, None)).verdict is Verdict.VALID
    assert _judge(history(_struck("disk-full")), _end(-9, None)).verdict is Verdict.INVALID


def test_table_names_faults_that_there_are() -> None:
    from dissever.nemesis import FAULTS

    assert set(EXPLAINED) - {"damages_disk"} <= set(FAULTS)


def test_the_last_words_of_a_process_that_crashed_are_told(history: Notation) -> None:
    lines = [
        "a fatal mistake",
        "x.c:7: f: Assertion `x' failed.",
        "abort",
        *["later"] * 9,
    ]
    logs = [
        NodeLog("n1", "nodes/n1/stderr-1.log", ["Assertion of another process"]),
        NodeLog("n1", "nodes/n1/stderr-2.log", lines),
        NodeLog("n2", "nodes/n2/stderr-2.log", ["panic: of another node"]),
    ]
    end = NodeEnd("n1", 2, -6, False, 5)
    (crashed,) = NodeEnds([end], logs=logs)(history(CALM), Budget()).anomalies

    assert [step.text for step in crashed.steps[1:]] == [
        "nodes/n1/stderr-2.log:2: x.c:7: f: Assertion `x' failed.",
        "nodes/n1/stderr-2.log:3: abort",
        *(f"nodes/n1/stderr-2.log:{number}: later" for number in (4, 5, 6)),
    ]


def test_a_process_that_said_nothing_has_no_last_words(history: Notation) -> None:
    logs = [NodeLog("n1", "nodes/n1/stderr-1.log", ["hello", "in good health"])]
    (crashed,) = NodeEnds([NodeEnd("n1", 1, -11, False, 5)], logs=logs)(
        history(CALM), Budget()
    ).anomalies

    assert len(crashed.steps) == 1


def test_end_that_nobody_asked_for_is_a_fact_with_what_followed(history: Notation) -> None:
    logs = [NodeLog("n2", "nodes/n2/stderr-3.log", ["starting", "panic: \x1b[31mout of luck"])]
    ends = [_end(-11), NodeEnd("n1", 1, 1, False, 7 * MS, next_ns=9 * MS)]
    crashed, left = NodeEnds(ends, logs=logs)(history(CALM), Budget()).details["unasked"]

    assert crashed == {
        "what": "n2: process 3 ended by SIGSEGV at 0.150 s",
        "node": "n2",
        "process": 3,
        "time_ns": 150 * MS,
        "exit_status": -11,
        "signal": "SIGSEGV",
        "is_restarted": False,
        "next_ns": None,
        "why": None,
        "last_words": {
            "path": "nodes/n2/stderr-3.log",
            "first": 1,
            "lines": ("starting", "panic: \\x1b[31mout of luck"),
            "fatal": 1,
        },
    }
    assert (left["signal"], left["is_restarted"], left["next_ns"]) == (None, True, 9 * MS)


def test_node_that_a_fault_started_later_was_restarted(history: Notation) -> None:
    killed = history("""
        @100 nemesis invoke kill
        @101 nemesis info   kill  {'targets': ['n2']}
        @900 nemesis invoke start
        @910 nemesis info   start {'targets': ['n2']}
    """)
    before, after = (_judge(killed, _end(1, at_ms)).details["unasked"][0] for at_ms in (500, 950))

    assert (before["is_restarted"], before["next_ns"]) == (True, 910 * MS)
    assert (after["is_restarted"], after["next_ns"]) == (False, None)


def test_node_whose_later_process_ended_was_restarted_at_an_unknown_time(
    history: Notation,
) -> None:
    again = NodeEnd("n2", 4, -9, is_asked=True, time_ns=900 * MS)
    (end,) = _judge(history(CALM), _end(1), again).details["unasked"]

    assert (end["is_restarted"], end["next_ns"]) == (True, None)
