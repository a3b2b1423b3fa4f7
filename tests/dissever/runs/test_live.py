"""A run that goes on, seen from its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dissever.harness import store
from dissever.harness.history import Event, Type
from dissever.runs import State
from dissever.runs.live import Watched

Keep = Callable[..., Path]
S = 1_000_000_000


def operation(index: int, second: float, kind: Type = Type.OK) -> list[Event]:
    start = int(second * S)
    return [
        Event(index, start, 0, Type.INVOKE, "read"),
        Event(index + 1, start + 5_000_000, 0, kind, "read"),
    ]


KILL = [
    Event(100, 2 * S, "kill", Type.INVOKE, "kill", {"spec": "one"}),
    Event(101, 2 * S, "kill", Type.INFO, "kill", {"targets": ["n2"], "evidence": {"held": True}}),
]
START = [
    Event(200, 4 * S, "kill", Type.INVOKE, "start"),
    Event(
        201, 4 * S, "kill", Type.INFO, "start", {"targets": ["n2"], "evidence": {"healed": True}}
    ),
]


def write(run: Path, events: list[Event]) -> None:
    with (run / store.HISTORY).open("ab") as file:
        file.write(msgspec.json.Encoder().encode_lines(events))


@pytest.fixture
def run(tmp_path: Path, keep_run: Keep) -> Path:
    return keep_run(tmp_path, 1, None, has_outcome=False)


@pytest.fixture
def watched(run: Path, tmp_path: Path) -> Watched:
    return Watched(tmp_path, str(run.relative_to(tmp_path)))


def test_figures_grow_with_the_history(run: Path, watched: Watched) -> None:
    with store.being_made(run):
        assert watched.look().size_bytes == 0
        write(run, operation(0, 1.1))
        first = watched.look()
        write(run, [*operation(2, 2.1), *operation(4, 2.2, Type.FAIL), *operation(6, 3.5)])
        second = watched.look()

    assert (first.state, first.ok) == (State.RUNNING, 1)
    assert (second.ok, second.fail, second.info) == (3, 1, 0)
    assert second.rate == pytest.approx(3 / 3)
    assert second.p50_ns == 5_000_000
    assert [each.at_s for each in second.seconds] == [1, 2, 3]


def test_faults_in_force_and_nodes_that_they_stopped(run: Path, watched: Watched) -> None:
    write(run, KILL)
    during = watched.look()
    write(run, START)
    after = watched.look()

    assert during.faults == ("kill n2",)
    assert {node.name: node.state for node in during.nodes}["n2"] == "killed"
    assert {node.name: node.state for node in during.nodes}["n1"] == ""
    assert after.faults == ()
    assert all(node.state == "" for node in after.nodes)


def seen(run: Path, node: str, state: str, leads: bool | None, starts: int = 1) -> None:
    line = {"time": 1, "kind": "node", "node": node, "state": state, "leads": leads}
    with (run / store.NODE_STATES).open("ab") as file:
        file.write(msgspec.json.encode({**line, "incarnation": starts}) + b"\n")


def test_nodes_are_what_the_harness_saw_of_them(run: Path, watched: Watched) -> None:
    (run / store.NODE_STATES).write_bytes(b'{"time":0,"kind":"clock","unix_ns":5}\n')
    for node in ("n1", "n2", "n3"):
        seen(run, node, "running", node == "n1")
    first = watched.look().nodes
    seen(run, "n1", "gone", None)
    seen(run, "n3", "running", True, starts=2)
    write(run, KILL)
    second = watched.look().nodes

    assert [(node.state, node.leads) for node in first[:3]] == [
        ("", True),
        ("", False),
        ("", False),
    ]
    assert [(node.state, node.leads) for node in second[:3]] == [
        *(("gone", None), ("killed", None), ("", True))
    ]
    assert [node.starts for node in second] == [1, 1, 2, 0, 0]


def test_faults_that_healed_are_forgotten_and_those_in_force_are_not(
    run: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.runs.live.FAULT_EVENTS_KEPT", 3)
    other = [
        Event(10, S, "kill", Type.INVOKE, "kill"),
        Event(11, S, "kill", Type.INFO, "kill", {"targets": ["n5"], "evidence": {"held": True}}),
    ]
    write(run, other)
    found = []
    for events in (KILL, START, KILL, KILL[:1]):
        write(run, events)
        look = watched.look()
        down = [node.name for node in look.nodes if node.state]
        found.append((look.faults, down, len(watched._series.faults)))

    assert found == [
        (("kill n5", "kill n2"), ["n2", "n5"], 4),
        ((), ["n5"], 0),
        (("kill n2",), ["n2", "n5"], 2),
        (("kill n2", "kill"), ["n2", "n5"], 3),
    ]


@pytest.mark.parametrize("line", [b"nonsense", b'{"kind": 5}', b"\xff", b"[" * 100_000])
def test_broken_states_of_nodes_are_said(line: bytes, run: Path, watched: Watched) -> None:
    (run / store.NODE_STATES).write_bytes(line + b"\n")
    write(run, operation(0, 1.0))
    look = watched.look()

    assert store.NODE_STATES in look.trouble
    assert look.ok == 1

    write(run, operation(2, 2.0))
    assert watched.look().ok == 2


def test_last_lines_are_of_the_log_that_was_written_last(run: Path, watched: Watched) -> None:
    directory = run / "nodes" / "n1"
    (directory / "stderr-2.log").write_text("\n".join(f"line {n}" for n in range(1000)) + "\n\n")
    os.utime(directory / "stderr-1.log", (0, 0))
    (directory / "stderr-3.log").symlink_to("/etc/passwd")
    nodes = {node.name: node.lines for node in watched.look().nodes}

    assert nodes["n1"] == ("line 997", "line 998", "line 999")
    assert nodes["n2"] == ("n2 says hello",)


def test_hostile_lines_are_shown_as_text(run: Path, watched: Watched) -> None:
    (run / "nodes" / "n1" / "stderr-1.log").write_bytes(
        b"\x1b[31m\xff\x00" + b"x" * 100_000 + b"\n"
    )
    (line,) = watched.look().nodes[0].lines

    assert line.isprintable()
    assert len(line) < 1000


def test_history_is_read_in_parts(
    run: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(50):
        write(run, operation(2 * second, second))
    size = (run / store.HISTORY).stat().st_size
    monkeypatch.setattr("dissever.runs.following.Follower.look.__defaults__", (1000,))
    looks = [watched.look() for _ in range(-(-size // 1000))]

    assert [look.read_bytes for look in looks[:2]] == [1000, 2000]
    assert looks[-1].read_bytes == size
    assert looks[-1].ok == 50


def test_broken_line_is_said_and_figures_stay(run: Path, watched: Watched) -> None:
    write(run, operation(0, 1.0))
    with (run / store.HISTORY).open("ab") as file:
        file.write(b"nonsense\n")
    look = watched.look()

    assert look.ok == 1
    assert store.HISTORY in look.trouble


def test_run_that_has_ended_has_a_verdict(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    look = Watched(tmp_path, str(run.relative_to(tmp_path))).look()

    assert (look.state, look.verdict, look.has_report) == (State.JUDGED, "valid", True)


def test_run_that_is_gone_is_an_error(run: Path, watched: Watched) -> None:
    run.rename(run.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        watched.look()
