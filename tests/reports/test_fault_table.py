"""Lines of faults and their summary: what each says, in which order, and what it leaves blank."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.windows import Around, Window
from dissever.reports.details import UnaskedEnd
from dissever.reports.fault_roles import leading_at, looks_of
from dissever.reports.fault_summary import summary_rows
from dissever.reports.fault_table import fault_rows, rate_text, share_text
from dissever.reports.insight import Insight
from dissever.reports.node_states import NodeState, NodeStates
from dissever.reports.simulation import Simulation, State

MS = 1_000_000
HELD = {"held": True}
HEALED = {"healed": True}


def strike(
    at_ms: int, process: str, *, targets: list[str] | None = None, **evidence: Any
) -> list[Event]:
    """An injection and its healing 50 ms later, each of which takes 1 ms."""
    struck = {"targets": targets or ["n1"], "evidence": {**HELD, **evidence}}
    healed = {"targets": targets or ["n1"], "evidence": HEALED}
    times = (at_ms, at_ms + 1, at_ms + 50, at_ms + 51)
    parts = zip(
        times,
        (Type.INVOKE, Type.INFO, Type.INVOKE, Type.INFO),
        ("start", "start", "stop", "stop"),
        (None, struck, None, healed),
        strict=True,
    )
    return [Event(0, time * MS, process, kind, f, value) for time, kind, f, value in parts]


def found(*strikes: list[Event]) -> Episodes:
    events = sorted((event for each in strikes for event in each), key=lambda event: event.time)
    rows = enumerate(events)
    return episodes_of(
        History([Event(i, e.time, e.process, e.type, e.f, e.value) for i, e in rows])
    )


def window(asked: int, ok: int, *, others: int = 0) -> Window:
    return Window(0, 1000 * MS, asked, ok, ok, 3 * MS, 9 * MS, others)


def test_missing_evidence_stands_first_then_what_met_nothing_then_the_rest_by_time() -> None:
    unseen = strike(300, "c")
    unseen[1] = Event(0, unseen[1].time, "c", Type.INFO, "start", {"targets": ["n1"]})
    idle = strike(200, "b")
    met_nothing = {"targets": ["n1"], "evidence": {**HEALED, "idle": True}}
    idle[3] = Event(0, idle[3].time, "b", Type.INFO, "stop", met_nothing)
    rows = fault_rows(found(strike(100, "a"), idle, unseen, strike(50, "d"))).lines

    assert [row.fault for row in rows] == ["c", "b", "d", "a"]
    assert [row.state for row in rows] == ["in doubt", "idle", "held", "held"]
    assert [row.held.text for row in rows if row.held] == ["no evidence", "idle", "held", "held"]


def test_strike_whose_target_ended_while_it_was_injected_is_not_idle() -> None:
    idle = strike(200, "b")
    idle[0] = Event(0, 190 * MS, "b", Type.INVOKE, "start")
    met_nothing = {"targets": ["n1"], "evidence": {**HEALED, "idle": True}}
    idle[3] = Event(0, idle[3].time, "b", Type.INFO, "stop", met_nothing)
    episodes = found(strike(50, "d"), idle)
    end = UnaskedEnd("n1: process 1 ended", "", node="n1", time_ns=195 * MS, signal="SIGSEGV")
    (row, other) = (rows := fault_rows(episodes, ends=(end,))).lines

    assert row.ended == ("n1 ended by SIGSEGV at 0.195 s, while the fault was being injected",)
    assert (row.asked_ns, row.state) == (190 * MS, "in doubt")
    assert row.held is not None
    assert row.held.text == "node ended"
    assert rows.counts == (
        "1 was seen to take effect",
        "in 1 a node ended before an effect could be seen",
    )
    assert other.ended == ()


@pytest.mark.parametrize(("node", "time_ms"), [("n2", 195), ("n1", 189), ("n1", 202)])
def test_end_of_another_node_or_at_another_time_leaves_a_strike_idle(
    node: str, time_ms: int
) -> None:
    idle = strike(200, "b")
    idle[0] = Event(0, 190 * MS, "b", Type.INVOKE, "start")
    met_nothing = {"targets": ["n1"], "evidence": {**HEALED, "idle": True}}
    idle[3] = Event(0, idle[3].time, "b", Type.INFO, "stop", met_nothing)
    end = UnaskedEnd("", "", node=node, time_ns=time_ms * MS, signal="SIGSEGV")
    rows = fault_rows(found(idle), ends=(end,))

    assert rows.lines[0].state == "idle"
    assert rows.counts == ("none was seen to take effect", "1 had nothing to act on")


def test_target_that_ended_under_a_fault_that_is_seen_to_hold_is_named_and_not_in_doubt() -> None:
    struck = strike(200, "b")
    struck[0] = Event(0, 190 * MS, "b", Type.INVOKE, "start")
    end = UnaskedEnd("", "", node="n1", time_ns=195 * MS, signal="SIGABRT")
    rows = fault_rows(found(struck), ends=(end,))

    assert (rows.lines[0].state, len(rows.lines[0].ended)) == ("held", 1)
    assert rows.counts == ("1 was seen to take effect",)


def test_strike_that_was_left_out_says_why_and_is_not_flagged() -> None:
    value = {"targets": [], "skipped": "the budget is spent", "evidence": {"held": None}}
    left_out = strike(10, "a")
    left_out[1] = Event(0, 11 * MS, "a", Type.INFO, "start", value)
    lines = fault_rows(found(left_out))

    assert [(row.state, row.skipped) for row in lines.lines] == [
        ("left out", "the budget is spent")
    ]
    assert not lines.lines[0].is_flagged
    assert [row.f for row in lines.calm] == ["stop"]
    (total,) = summary_rows(lines.strikes)
    assert (total.strikes, total.skipped, total.during) == (0, 1, None)


def test_healing_that_failed_is_a_line_and_one_with_nothing_to_heal_is_not() -> None:
    failed = strike(100, "a")[2:]
    failed[1] = Event(0, failed[1].time, "a", Type.INFO, "stop", {"evidence": {"healed": False}})
    lines = fault_rows(found(strike(10, "a"), failed, strike(300, "a")[2:]))

    assert [(row.f, row.is_flagged) for row in lines.lines] == [("stop", True), ("start", False)]
    assert lines.lines[0].held is not None
    assert lines.lines[0].held.text == "did not heal"
    assert len(lines.calm) == 1


def test_end_of_the_run_is_no_line_of_a_fault() -> None:
    asked = {"waited_ms": 3, "evidence": {"held": False}}
    steps = [
        Event(0, 500 * MS, "recovery", Type.INVOKE, "await-ready"),
        Event(0, 600 * MS, "recovery", Type.INFO, "await-ready", asked),
        Event(0, 601 * MS, "recovery", Type.INVOKE, "restart-all"),
        Event(0, 602 * MS, "recovery", Type.INFO, "restart-all", {"skipped": "every node serves"}),
    ]
    unseen = [
        Event(0, 603 * MS, "recovery", Type.INVOKE, "compare-replicas"),
        Event(0, 604 * MS, "recovery", Type.INFO, "compare-replicas", {"waited_ms": 1}),
    ]
    cut = strike(480, "majority-only")
    rows = fault_rows(found(strike(10, "a"), steps, unseen, cut))

    assert [row.fault for row in rows.lines] == ["a"]
    assert [(s.name, s.badge.text, s.lasted_ns) for s in rows.steps] == [
        ("majority-only", "held", 50 * MS),
        ("await-ready", "did not come", 100 * MS),
        ("restart-all", "not needed", MS),
        ("compare-replicas", "no evidence", MS),
    ]


@pytest.mark.parametrize(
    ("targets", "leading", "role", "met"),
    [
        (["n1"], ["n1"], "leader", "leader"),
        (["n2"], ["n1"], "followers", "follower"),
        (["n2", "n3"], ["n1"], "followers", "followers"),
        (["n1", "n2"], ["n1"], "leader and followers", "leader too"),
        (["n1"], [], "", ""),
        (["n1"], None, "", ""),
        (["n1"], "n1", "", ""),
    ],
)
def test_role_is_whom_the_evidence_says_that_a_strike_met(
    targets: list[str], leading: Any, role: str, met: str
) -> None:
    told = {} if leading is None else {"leading": leading}
    (row,) = fault_rows(found(strike(10, "a", targets=targets, **told))).lines

    assert (row.role, row.met) == (role, met)


def test_role_comes_from_a_simulation_where_the_evidence_does_not_say() -> None:
    def state(time_ms: int, node: str, role: str) -> State:
        return State(time_ms * MS, node, role, 1, "", "", 0, 0, 0, 0, 0, 0)

    states = (state(1, "n1", "leader"), state(30, "n1", "follower"), state(30, "n2", "leader"))
    simulation = Simulation(("n1", "n2"), (), states, (), ())
    episodes = found(strike(10, "a"), strike(40, "b"))
    rows = fault_rows(episodes, leading=leading_at(episodes, looks_of(Insight(simulation)))).lines

    assert [row.role for row in rows] == ["leader", "followers"]


def test_role_comes_from_what_real_hosts_answered_where_the_evidence_does_not_say() -> None:
    states = (
        NodeState(1 * MS, "n1", "running", 1, True),
        NodeState(30 * MS, "n1", "running", 1, None),
    )
    episodes = found(strike(10, "a"), strike(40, "b"))
    looks = looks_of(Insight(states=NodeStates(states)))
    rows = fault_rows(episodes, leading=leading_at(episodes, looks)).lines

    assert [row.role for row in rows] == ["leader", ""]


def test_leader_of_whom_nothing_is_known_any_more_is_not_told() -> None:
    episodes = found(strike(10, "a"), strike(40, "b"), strike(90, "c"))
    looks = [(1, "n1", True), (20 * MS, "n1", None), (60 * MS, "n2", True), (99 * MS, "n1", True)]
    rows = fault_rows(episodes, leading=leading_at(episodes, looks)).lines

    assert [row.role for row in rows] == ["leader", "", "followers"]


def test_summary_adds_operations_up_and_takes_the_middle_and_the_most() -> None:
    episodes = found(
        strike(10, "a", leading=["n1"]), strike(100, "a", leading=["n2"]), strike(200, "a")
    )
    first, second, third = (each.injection.invocation.index for each in episodes.strikes)
    measured = {
        first: Around(window(100, 100), window(10, 0), None, 4 * MS, 5 * MS, 40 * MS),
        second: Around(None, window(30, 30, others=1), window(0, 0), 8 * MS, None, 10 * MS),
        third: Around(first_ok_ns=6 * MS),
    }
    rows = fault_rows(episodes, measured)
    every, followers, leader = summary_rows(rows.strikes)

    assert (every.role, every.strikes, every.held, every.apart) == ("", 3, 3, 1)
    assert (every.before, every.during, every.after) == (1.0, 0.75, None)
    assert (every.first_ok_ns, every.recovered_ns) == ((6 * MS, 8 * MS), (5 * MS, 5 * MS))
    assert every.silence_ns == 40 * MS
    assert (leader.role, leader.strikes, leader.during) == ("leader", 1, 0.0)
    assert (followers.role, followers.during, followers.recovered_ns) == ("followers", 1.0, None)


def test_what_was_not_measured_is_blank_on_the_line() -> None:
    episodes = found(strike(10, "a"))
    index = episodes.strikes[0].injection.invocation.index
    (unknown,) = fault_rows(episodes).lines
    (partly,) = fault_rows(episodes, {index: Around(None, window(8, 6), window(0, 0))}).lines

    assert (unknown.shares, unknown.windows) == ("", ())
    assert partly.shares == "– → 75 → – %"
    assert [(each.name, each.share) for each in partly.windows] == [
        ("during", "75 %"),
        ("after", ""),
    ]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (1.0, "100"),
        (0.9999, "99.9"),
        (0.994, "99.4"),
        (0.004, "0.4"),
        (0.0001, "0.1"),
    ],
)
def test_share_shows_a_failure_that_whole_percents_would_hide(
    share: float | None, text: str
) -> None:
    assert share_text(share) == text


def test_rate_of_nothing_is_zero_and_of_no_time_is_blank() -> None:
    assert [rate_text(each) for each in (0.0, 0.25, 1234.4, None)] == ["0", "0.2", "1,234", ""]
