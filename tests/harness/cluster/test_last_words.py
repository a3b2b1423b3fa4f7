"""What a node said before it ended: short, harmless, and of the right incarnation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dissever.harness.cluster import NodeState, NodeStatus
from dissever.harness.cluster.last_words import why_it_ended


def words(folder: Path, incarnation: int = 1, exit_status: int = 1) -> str:
    cluster: Any = SimpleNamespace(directory=lambda _: folder)
    return why_it_ended(cluster, "n1", NodeStatus(NodeState.GONE, incarnation, None, exit_status))


def test_they_are_short_and_move_no_cursor(tmp_path: Path) -> None:
    said = b"early\n" * 100_000 + b"\x1b[2J\x1b]0;owned\x07 cannot start\xff\n"
    (tmp_path / "stderr-2.log").write_bytes(said)
    (tmp_path / "stderr-9.log").write_bytes(b"planted\n")
    found = words(tmp_path, incarnation=2)

    assert found.isprintable()
    assert "cannot start" in found
    assert "planted" not in found
    assert len(found) < 3000


def test_the_last_three_lines_count(tmp_path: Path) -> None:
    (tmp_path / "stderr-1.log").write_text("a\nb\n\nc\nd\n\n")

    assert words(tmp_path) == "n1 ended with status 1: b; c; d"


def test_a_node_that_said_nothing_on_stderr_may_have_on_stdout(tmp_path: Path) -> None:
    (tmp_path / "stderr-1.log").write_text("")
    (tmp_path / "stdout-1.log").write_text("port in use\n")

    assert words(tmp_path, exit_status=98) == "n1 ended with status 98: port in use"
    (tmp_path / "stdout-1.log").unlink()
    assert words(tmp_path) == "n1 ended with status 1: it said nothing"
