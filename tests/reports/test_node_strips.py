"""The role of a node, from either source, when it was paused and down, and what a table says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from dissever.harness.episodes import Effect, NodeChange
from dissever.reports import Insight, render_html
from dissever.reports.node_logs import LogsRead, logs_view
from dissever.reports.node_roles import Seen, seen_by_asking, seen_by_simulation
from dissever.reports.node_states import STATES_MAX, NodeStates, read_states
from dissever.reports.node_strips import SPANS_MAX, NodeStrips, node_strips, strips_data
from dissever.reports.simulation import read_simulation
from dissever.reports.timeline_view import Down

S = 10**9
END_NS = 20 * S


def states(*lines: str) -> NodeStates:
    return read_states(line.encode() for line in lines)


def state(second: float, node: str, leads: str, snapshots: str = "[]") -> str:
    return (
        f'{{"time":{round(second * S)},"kind":"node","node":"{node}","state":"running",'
        f'"incarnation":1,"leads":{leads},"snapshots":{snapshots}}}'
    )


def strips(
    seen: NodeStates, *changes: NodeChange, downs: tuple[Down, ...] = (), has_ends: bool = True
) -> NodeStrips:
    nodes = ("n1", "n2")
    return strips_of(
        seen_by_asking(seen, nodes, end_ns=END_NS), *changes, downs=downs, has_ends=has_ends
    )


def strips_of(
    seen: Seen, *changes: NodeChange, downs: tuple[Down, ...] = (), has_ends: bool = True
) -> NodeStrips:
    logs = logs_view(LogsRead(), end_ns=END_NS)
    nodes = ("n1", "n2")
    return node_strips(nodes, seen, changes, downs, logs, end_ns=END_NS, has_ends=has_ends)


def server(second: float, node: str, role: str, term: int, **more: Any) -> bytes:
    line = {"time": round(second * S), "kind": "server", "node": node, "role": role, "term": term}
    return json.dumps(line | more).encode()


def simulated(*lines: bytes) -> Seen:
    return seen_by_simulation(read_simulation(lines), ("n1", "n2"), end_ns=END_NS)


def test_a_node_without_a_process_does_not_lead() -> None:
    seen = states(state(0, "n1", "true"), state(9, "n1", "false"))
    downs = (
        Down("n1", 2 * S, 3 * S, is_asked=False, is_back=True, what="it ended"),
        Down("n2", 4 * S, 5 * S, is_asked=True, is_back=True, what="it was killed"),
        Down("n1", 8 * S, 12 * S, is_asked=True, is_back=True, what="it was killed"),
    )

    made = strips(seen, downs=downs)

    led = [(each.start_ns // S, each.end_ns // S) for each in made.seen.reigns]
    assert led == [(0, 2), (3, 8)]
    assert (made.rows[0].led_ns, made.rows[0].reigns) == (7 * S, 2)


def test_reigns_last_until_another_answer_or_the_end() -> None:
    seen = states(
        state(1, "n1", "true"), state(2, "n2", "false"), state(5, "n1", "false"),
        state(6, "n2", "true"), state(9, "n2", "null"), state(11, "n2", "true"),
    )  # fmt: skip
    drawn = strips(seen)

    reigns = drawn.seen.reigns
    spans = [(each.node, each.start_ns // S, each.end_ns // S, each.role) for each in reigns]
    assert spans == [
        ("n1", 1, 5, "leader"), ("n2", 6, 9, "leader"), ("n2", 9, 11, "unknown"),
        ("n2", 11, 20, "leader"),
    ]  # fmt: skip
    assert {each.term for each in reigns} == {None}
    assert [(row.led_ns, row.reigns) for row in drawn.rows] == [(4 * S, 1), (12 * S, 2)]


def test_who_was_never_asked_is_not_said_to_have_followed() -> None:
    drawn = strips(states(state(1, "n1", "null")))

    assert not drawn.seen.was_asked
    assert drawn.seen.reigns == ()
    assert drawn.rows[0].led_ns is None


def test_run_without_the_file_has_strips_all_the_same() -> None:
    pause = NodeChange(2 * S, "n1", Effect.PAUSED), NodeChange(3 * S, "n1", Effect.KILLED)
    down = Down("n1", 3 * S, 5 * S, True, True, "killed")
    drawn = strips(NodeStates(), *pause, downs=(down,))

    assert not drawn.seen.was_watched
    assert [(each.start_ns, each.end_ns) for each in drawn.pauses] == [(2 * S, 3 * S)]
    assert (drawn.rows[0].ends, drawn.rows[0].unasked, drawn.rows[0].down_ns) == (1, 0, 2 * S)
    assert drawn.rows[0].snapshots is None


def test_pause_that_nothing_ends_lasts_to_the_end() -> None:
    drawn = strips(NodeStates(), NodeChange(2 * S, "n2", Effect.PAUSED))

    assert [(each.node, each.end_ns) for each in drawn.pauses] == [("n2", END_NS)]


def test_end_that_a_fault_explains_is_unasked_and_no_crash() -> None:
    downs = (
        Down("n1", 1 * S, 2 * S, False, True, "ended", "the disk was full"),
        Down("n1", 4 * S, 5 * S, False, True, "ended"),
    )
    (row, _) = strips(NodeStates(), downs=downs).rows

    assert (row.ends, row.unasked, row.crashes) == (2, 2, 1)
    assert strips(NodeStates(), has_ends=False).rows[0].unasked is None


def test_snapshots_that_were_there_before_are_not_new() -> None:
    seen = states(
        state(1, "n1", "true", '["snapshot-1-10-5.meta"]'),
        state(6, "n1", "true", '["snapshot-1-10-5.meta","snapshot-2-20-9.meta","odd"]'),
        state(9, "n1", "true", '["snapshot-2-20-9.meta"]'),
    )
    taken = strips(seen).seen.snapshots

    assert [(each.time_ns // S, each.text, each.is_installed) for each in taken] == [
        (6, "snapshot-2-20-9.meta: term 2, up to entry 20", False), (6, "odd", False),
    ]  # fmt: skip


def test_simulation_tells_roles_terms_and_snapshots_in_the_same_strips() -> None:
    seen = simulated(
        server(-1, "n1", "follower", 1), server(2, "n1", "candidate", 2),
        server(3, "n1", "leader", 2), server(4, "n1", "leader", 2, commit=7),
        server(6, "n1", "leader", 3), server(1, "n2", "follower", 2),
        json.dumps({"time": 5 * S, "kind": "snapshot", "node": "n1", "index": 7}).encode(),
        json.dumps({"time": 7 * S, "kind": "snapshot", "node": "n2", "how": "installed"}).encode(),
    )  # fmt: skip
    drawn = strips_of(seen)

    told = [(r.node, r.start_ns // S, r.end_ns // S, r.role, r.term) for r in seen.reigns]
    assert told == [
        ("n1", 0, 2, "follower", 1), ("n1", 2, 3, "candidate", 2), ("n1", 3, 6, "leader", 2),
        ("n1", 6, 20, "leader", 3), ("n2", 1, 20, "follower", 2),
    ]  # fmt: skip
    assert [(each.node, each.is_installed) for each in seen.snapshots] == [
        ("n1", False), ("n2", True),
    ]  # fmt: skip
    assert [(row.led_ns, row.reigns, row.snapshots) for row in drawn.rows] == [
        (17 * S, 2, 1), (0, 0, 1),
    ]  # fmt: skip


def test_both_sources_are_embedded_alike_and_what_has_no_room_is_counted() -> None:
    asked = strips(states(state(1, "n1", "true")))
    told = strips_of(simulated(server(1, "n1", "leader", 4)))
    many = strips_of(simulated(*(server(i / 200, "n1", "leader", i) for i in range(SPANS_MAX + 7))))

    first = {"node": "n1", "start": 1_000_000, "end": 20_000_000, "role": "leader"}
    assert strips_data(asked)["reigns"] == [first | {"term": None}]
    assert strips_data(told)["reigns"] == [first | {"term": 4}]
    assert strips_data(asked).keys() == strips_data(told).keys()
    assert (told.left_out, many.left_out) == (0, 7)


def test_page_says_what_of_the_record_is_not_in_it(invalid_run: Any) -> None:
    many = read_states(state(i / 1000, "n1", "true").encode() for i in range(STATES_MAX + 3))
    run, cut = invalid_run, replace(many, broken=2)
    whole, part = (
        render_html(run.subject, run.history, run.results, insight=Insight(states=each))
        for each in (states(state(1, "n1", "true")), cut)
    )

    assert (len(many.states), many.left_out) == (STATES_MAX, 3)
    assert "2 lines of nodes.jsonl could not be read." in part
    assert "Only the first 20,000 changes of nodes.jsonl" in part
    assert "of nodes.jsonl" not in whole


def test_broken_lines_are_passed_over_and_counted() -> None:
    seen = states(
        '{"time":0,"kind":"clock","unix_ns":17}', "", "[1]", "{", '{"time":"x","kind":"node"}',
        '{"time":5,"kind":"node"}', '{"time":5,"kind":"strange"}', state(1, "n\\u001b1", "true"),
    )  # fmt: skip

    assert (seen.began_unix_ns, seen.broken, len(seen.states)) == (17, 4, 1)
    assert seen.states[0].node == "n\\x1b1"
