"""What a simulation saw: read from lines that nobody vouches for, chosen, and put on the page."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from dissever.harness.results import Anomaly, Result, Results, Verdict, merge
from dissever.reports import Insight, lamport, read_insight, render_html, simulation
from dissever.reports.curve import HEIGHT, WIDTH, curve_of
from dissever.reports.inside_view import inside_views, violation_view
from dissever.reports.lamport import Span, choose_messages, choose_states, embedded_simulation
from dissever.reports.packing import packed_bytes
from dissever.reports.simulation import LINES_MAX, Message, Simulation, State, read_simulation
from tests.reports.traces import MS, trace_lines

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J\u202e"
SERVER = {"kind": "server", "node": "n1", "role": "leader", "term": 2}


def read(*lines: dict[str, Any] | bytes) -> Simulation:
    return read_simulation(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )


def send(number: int, time: int, text: str = "commit 1", to: str = "n2") -> dict[str, Any]:
    return {
        "time": time, "kind": "send", "id": number, "from": "n1", "to": to,
        "what": "AppendEntries", "term": 2, "text": text,
    }  # fmt: skip


def receive(number: int, time: int) -> dict[str, Any]:
    return {"time": time, "kind": "receive", "id": number}


def lost(number: int, time: int, why: str = "cut") -> dict[str, Any]:
    return {"time": time, "kind": "lost", "id": number, "why": why}


def test_message_arrives_is_lost_comes_twice_or_is_on_its_way() -> None:
    found = read(
        send(1, 10), send(2, 11, "a"), send(3, 12, "b"), send(4, 13, "c"),
        receive(1, 20), lost(2, 21), receive(3, 22), receive(3, 30),
    )  # fmt: skip

    ends = [(each.start_ns, each.end_ns, each.why, each.is_copy) for each in found.messages]
    assert ends == [
        (10, 20, "", False), (11, 21, "cut", False), (12, 22, "", False), (12, 30, "", True),
        (13, None, "", False),
    ]  # fmt: skip
    assert found.nodes == ("n1", "n2")
    assert found.notes == ()


@pytest.mark.parametrize(
    ("lines", "repeats"),
    [
        ([send(1, 1), receive(1, 2), send(2, 5), receive(2, 6)], [False, True]),
        ([send(1, 1), receive(1, 2), send(2, 5, "commit 2"), receive(2, 6)], [False, False]),
        ([send(1, 1), receive(1, 2), send(2, 5, to="n3"), receive(2, 6)], [False, False]),
        ([send(1, 1), receive(1, 2), send(2, 5), lost(2, 6)], [False, False]),
        ([send(1, 1), lost(1, 2), send(2, 5), lost(2, 6)], [False, True]),
        ([send(1, 1), lost(1, 2), send(2, 5), lost(2, 6, "loss")], [False, False]),
        ([send(1, 1), receive(1, 2), send(2, 5)], [False, False]),
        (
            [
                *(send(1, 1), receive(1, 2), send(2, 5), receive(2, 6)),
                {**SERVER, "time": 6, "node": "n2"},
            ],
            [False, False],
        ),
    ],
    ids=["same", "text", "link", "lost-first", "lost-again", "other-fate", "open", "changed"],
)
def test_repeat_says_the_same_and_changes_nothing(
    lines: list[dict[str, Any]], repeats: list[bool]
) -> None:
    assert [each.is_repeat for each in read(*lines).messages] == repeats


@pytest.mark.parametrize(
    "line",
    [
        b"no json", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"time": 1, "kind": "send"}',
        {"time": "soon", "kind": "note"}, {"time": 1, "kind": "wonder"},
        {"time": 2**60, "kind": "note"}, {**SERVER, "time": 1, "term": -1},
        {**SERVER, "time": 1, "role": "king"}, {**SERVER, "time": 1, "commit": 2**70},
        {"time": 1, "kind": "synced", "node": "n1", "to": "n2"}, send(1, 1, to=""),
        {"time": 1, "kind": "note", "text": "x" * 70_000}, {"time": True, "kind": "note"},
        {"time": 1.5, "kind": "note"}, {"time": 1, "kind": "violation", "logs": []},
    ],
    ids=lambda line: repr(line)[:40],
)  # fmt: skip
def test_line_that_is_none_is_counted(line: Any) -> None:
    found = read(line, {**SERVER, "time": 2})

    assert found.notes == ("1 of its lines could not be understood.",)
    assert len(found.states) == 1


def test_arrival_of_what_was_never_sent_is_counted() -> None:
    assert read(receive(7, 3)).notes == (
        "1 of its lines speak of messages that were never sent.",
    )  # fmt: skip


def test_what_happened_before_the_run_stands_at_its_beginning() -> None:
    found = read(
        {**SERVER, "time": -9, "term": 1}, {**SERVER, "time": -3}, {**SERVER, "time": 4, "term": 3},
        send(1, -8), receive(1, -7), send(2, -2), receive(2, 5),
        {"time": -5, "kind": "note", "text": "early"},
    )  # fmt: skip

    assert [(each.time_ns, each.term) for each in found.states] == [(0, 2), (4, 3)]
    assert [(each.start_ns, each.end_ns) for each in found.messages] == [(0, 5)]
    assert found.moments == ()


def test_violation_is_read_past_the_limit_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "LINES_MAX", 2)
    broken = {"time": 9, "kind": "violation", "node": "n1", "name": "election-safety", "text": "x"}
    found = read({**SERVER, "time": 1}, {**SERVER, "time": 2}, {**SERVER, "time": 3}, broken)

    assert len(found.states) == 2
    assert [each.name for each in found.violations] == ["election-safety"]
    assert found.notes == ("It has more than 2 lines; the later ones were not read.",)


def test_violation_before_the_run_keeps_its_time_and_shows_its_beginning(invalid_run: Any) -> None:
    broken = {"time": -5, "kind": "violation", "node": "n1", "name": "vote-not-stored", "text": "x"}
    found = read({**SERVER, "time": -9}, broken)
    anomaly = Anomaly(name="vote-not-stored", summary="broken", indices=())
    result = Result(checker="invariants", verdict=Verdict.INVALID, why="", anomalies=(anomaly,))
    (view,) = inside_views(found, merge([result]), invalid_run.history, count_max=1)

    assert view.violation is not None
    assert view.violation.violation.time_ns == -5
    assert view.violation.servers[0].state is not None
    assert view.span.start_ns == 0
    assert view.span.end_ns > 0


def message(time_ns: int, *, is_repeat: bool = False) -> Message:
    return Message(time_ns, time_ns + 1, "n1", "n2", "A", 1, "", is_repeat=is_repeat)


def test_messages_of_a_window_stay_and_repeats_go_first() -> None:
    every = [message(time, is_repeat=time % 2 == 1) for time in range(10_000)]
    span = Span(5000, 5100, (), "")
    chosen = choose_messages(every, [span], count_max=1000, window_max=500)
    times = [each.start_ns for each in chosen]

    assert 900 < len(chosen) <= 1000
    assert set(range(5000, 5100)) <= set(times)
    assert times == sorted(times)
    away = [each for each in chosen if not 4900 <= each.start_ns <= 5200]
    assert away
    assert not any(each.is_repeat for each in away)


def test_changes_of_role_stay_and_the_first_and_last_state() -> None:
    def state(time_ns: int) -> State:
        role, term = ("leader", 2) if 700 <= time_ns < 710 else ("follower", 1)
        return State(time_ns, "n1", role, term, "", "", 1, time_ns, time_ns, 0, 0, 0)

    every = [state(time) for time in range(1000)]
    chosen = choose_states(every, [Span(300, 310, (), "")], count_max=50)
    times = {each.time_ns for each in chosen}

    assert len(chosen) <= 50
    assert {0, 700, 710, 999} <= times
    assert len(times & set(range(290, 321))) >= 15


def test_trace_whose_texts_do_not_pack_keeps_the_limit_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lamport, "SIMULATION_BYTES_MAX", 100_000)
    rng = random.Random(3)
    lines = [send(number, number * MS, rng.randbytes(40).hex()) for number in range(4000)]
    data = embedded_simulation(read(*lines), [])

    assert packed_bytes(data) <= 100_000
    drawn = len(data["messages"]["columns"]["start"])
    assert data["left_out"]["messages"] == 4000 - drawn
    assert drawn > 500


@pytest.fixture(scope="session")
def results_with_violation(invalid_run: Any) -> Results:
    broken = Anomaly(name="log-matching", summary="Two logs differ.", indices=())
    vague = Anomaly(name="crash", summary="n1 crashed.", indices=())
    found = Result(
        checker="invariants", verdict=Verdict.INVALID, why="broken", anomalies=(broken, vague)
    )
    return merge([*invalid_run.results.results, found])


def test_window_stands_around_what_an_anomaly_names(
    invalid_run: Any, results_with_violation: Results
) -> None:
    history = invalid_run.history
    found = read_simulation(trace_lines())
    broken, vague, stale = inside_views(found, results_with_violation, history, count_max=9)
    named = invalid_run.results.results[0].anomalies[0].indices
    times = [event.time for event in history if event.index in named]

    assert stale.span.start_ns < min(times)
    assert stale.span.end_ns > max(times)
    assert set(named[::2]) <= set(stale.span.operations)
    assert broken.span.start_ns < found.violations[0].time_ns < broken.span.end_ns
    assert vague.span.end_ns == history.duration_ns
    assert "end of the run" in vague.span.what


def test_window_with_more_messages_than_anybody_can_read_shows_the_last_ones(
    invalid_run: Any,
) -> None:
    found = read_simulation(trace_lines(17.0, step_ms=8))
    (view,) = inside_views(found, invalid_run.results, invalid_run.history, count_max=1)
    inside = [
        each
        for each in found.messages
        if view.span.start_ns <= each.start_ns <= view.span.end_ns and not each.is_repeat
    ]

    assert 10 < len(inside) < 150
    assert "its last part" in view.span.what


def test_logs_stand_side_by_side_and_what_differs_is_marked(
    invalid_run: Any, results_with_violation: Results
) -> None:
    found = read_simulation(trace_lines())
    shown = inside_views(found, results_with_violation, invalid_run.history, count_max=9)[0]

    assert shown.violation is not None
    assert shown.violation.nodes == ("n2", "n4")
    odd = [(row.index, row.is_named, [cell.is_odd for cell in row.cells])
           for row in shown.violation.rows]  # fmt: skip
    assert odd == [(11, False, [False, False]), (12, True, [True, True])]
    held = {server.node: server.state for server in shown.violation.servers}
    assert held["n2"] is not None
    assert held["n2"].role == "leader"


def test_entry_of_each_server_says_whether_it_is_on_its_disk(invalid_run: Any) -> None:
    def server(node: str, **state: int) -> dict[str, Any]:
        return {**SERVER, "time": 1, "node": node, "first": 1, **state}

    logs = {"n1": [[2, 5, "read"]], "n2": [[2, 3, "write"]], "n3": [[2, 5, "read"]]}
    found = read(
        server("n1", last=2, stored=2),
        server("n2", last=4, stored=4),
        server("n3", last=2, stored=1),
        server("n4", last=1, stored=1),
        server("n5", last=9, stored=9, snapshot=8),
        {"time": 3, "kind": "violation", "node": "n1", "name": "durability", "index": 2,
         "logs": logs},
    )  # fmt: skip
    shown = violation_view(found.violations[0], found)

    assert [(each.node, each.differs, each.disk, each.lacks) for each in shown.servers] == [
        ("n1", False, "yes", ""),
        ("n2", True, "yes", ""),
        ("n3", False, "no: its disk ends at 1", ""),
        ("n4", False, "", "nothing: its log ends at 1"),
        ("n5", False, "", "in its snapshot, which ends at 8"),
    ]


def test_broken_rule_without_an_index_claims_nothing_of_entries() -> None:
    found = read(
        {**SERVER, "time": 1},
        {"time": 3, "kind": "violation", "node": "n1", "name": "election-safety"},
    )
    (server,) = violation_view(found.violations[0], found).servers

    assert (server.entry, server.lacks, server.disk, server.differs) == (None, "", "", False)


def test_log_that_differs_from_most_is_the_odd_one(invalid_run: Any) -> None:
    logs = {"n1": [[2, 2, "x"]], "n2": [[2, 2, "x"]], "n3": [[2, 2, "y"]], "n4": []}
    broken = {"time": 5, "kind": "violation", "name": "log-matching", "index": 2, "logs": logs}
    found = read(broken)
    anomaly = Anomaly(name="log-matching", summary="broken", indices=())
    result = Result(checker="invariants", verdict=Verdict.INVALID, why="", anomalies=(anomaly,))
    (view,) = inside_views(found, merge([result]), invalid_run.history, count_max=1)

    assert view.violation is not None
    assert view.violation.nodes == ("n1", "n2", "n3")
    assert [cell.is_odd for cell in view.violation.rows[0].cells] == [False, False, True]


DOOM = {
    "format": 1,
    "runs": 40,
    "moments": [
        {"time": 10_000_000_000, "k": 18, "n": 20, "low": 0.7, "high": 0.97},
        {"time": 0, "k": 1, "n": 20, "low": 0.01, "high": 0.24},
    ],
    "named": {"fault": "partition", "text": "It jumps there.", "from": 4 * 10**9, "to": 6 * 10**9},
}
STORY = {
    "text": ["n1 led.", "n1 answered from the past."],
    "wrong": 1,
    "before": {"faults": 14, "operations": 4120},
    "after": {"faults": 2, "operations": 4},
}


def insight(doom: Any = None, story: Any = None, lines: Any = None) -> Insight:
    def text(value: Any) -> bytes | None:
        return value if value is None or isinstance(value, bytes) else json.dumps(value).encode()

    return read_insight(lines, text(doom), text(story))


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"doom": b"{"}, "doom.json could not be read"),
        ({"story": {"text": 7}}, "story.json could not be read"),
        ({"doom": {"moments": [{"time": 1, "k": 3, "n": 2, "low": 0, "high": 1}]}}, "contradict"),
        ({"doom": {"moments": [{"time": 1, "k": 1, "n": 2, "low": 0.6, "high": 1}]}}, "contradict"),
        ({"doom": {"moments": [{"time": 1, "k": 0, "n": 0, "low": 0, "high": 1}]}}, "contradict"),
    ],
)
def test_file_that_cannot_be_believed_is_named(files: dict[str, Any], note: str) -> None:
    assert note in " ".join(insight(**files).notes)


def test_curve_goes_through_its_moments_by_time() -> None:
    doom = insight(DOOM).doom
    assert doom is not None
    curve = curve_of(doom, 20_000_000_000)

    assert curve is not None
    first, last = curve.points
    assert (first.x, first.y) == (0, round(HEIGHT * 0.95, 2))
    assert (last.x, last.y) == (round(WIDTH / 1.1, 2), round(HEIGHT * 0.1, 2))
    assert curve.fault == (round(WIDTH * 4 / 11, 2), round(WIDTH * 6 / 11, 2))
    assert curve.end_ns == 11_000_000_000
    assert curve.ticks[0] == (0, "0 s")


def test_page_holds_the_story_the_curve_and_the_servers(invalid_run: Any) -> None:
    run = invalid_run
    known = insight(DOOM, STORY, trace_lines())
    page = render_html(run.subject, run.history, run.results, insight=known)

    assert "n1 answered from the past. <span" in page
    assert '<span class="note before">4,120 →</span> <b>4</b>' in page
    assert 'id="doom"' in page
    assert '<i class="step commit"></i> committed' in page
    assert 'class="lamport"' in page
    assert "18 of 20" in page


def test_page_without_insight_has_none_of_it(invalid_run: Any) -> None:
    page = render_html(invalid_run.subject, invalid_run.history, invalid_run.results)

    for name in (
        'id="doom"',
        '<i class="step commit"></i> committed',
        "unsynced writes lost</span>",
        'id="story"',
        'class="lamport"',
        ">messages<",
    ):
        assert name not in page


def test_no_text_of_a_simulation_becomes_markup(run_of: Callable[..., Any]) -> None:
    lines = [
        {**SERVER, "time": 1, "node": HOSTILE, "vote": HOSTILE},
        send(1, 1, HOSTILE, to=HOSTILE), lost(1, 2, HOSTILE),
        {"time": 3, "kind": "note", "node": None, "text": HOSTILE},
        {"time": 3, "kind": "violation", "node": HOSTILE, "name": HOSTILE, "text": HOSTILE,
         "logs": {HOSTILE: [[1, 1, HOSTILE], "x", [1]]}},
    ]  # fmt: skip
    doom = {**DOOM, "named": {**DOOM["named"], "fault": HOSTILE, "text": HOSTILE}}
    story = {"text": [HOSTILE], "from": HOSTILE, "command": HOSTILE}
    name = read(lines[-1]).violations[0].name
    broken = Anomaly(name=name, summary="broken", indices=())
    result = Result(checker="invariants", verdict=Verdict.INVALID, why="", anomalies=(broken,))
    run = run_of([], merge([result]))
    known = insight(doom, story, [json.dumps(line).encode() for line in lines])
    page = render_html(run.subject, run.history, run.results, insight=known)

    assert page.count("<script") == 3
    assert "<img" not in page
    assert "\x1b" not in page
    assert 'class="logs"' in page


def test_page_of_the_longest_trace_stays_below_its_limit(invalid_run: Any) -> None:
    lines = trace_lines(30.0, step_ms=3)
    assert len(lines) > LINES_MAX
    run = invalid_run
    page = render_html(run.subject, run.history, run.results, insight=insight(lines=lines))

    assert len(page.encode()) < 8_000_000
    assert "are left out" in page
    assert f"more than {LINES_MAX:,} lines" in page
