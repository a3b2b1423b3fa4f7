"""What of the nodes' logs is read for the page, whatever nodes left in their folders."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from dissever.harness import store
from dissever.harness.cluster import Exit
from dissever.harness.history import Event, History, Type
from dissever.harness.log_file import LogFile
from dissever.harness.plan import Options, Plan
from dissever.harness.results import Results, merge
from dissever.node_logs import TEXT_BYTES_MAX, read_logs, read_node_states
from dissever.reports.node_logs import LogsRead, logs_view
from dissever.reports.node_states import NodeStates

BEGAN_S = 1_796_071_500
CLOCK = f'{{"time":0,"kind":"clock","unix_ns":{BEGAN_S}000000000}}\n'
LINE = b"2026-11-30T20:%02d:%02d.%03dZ INFO replication of entry %08d to every other node\n"
END_S = 600


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of two nodes, without logs."""
    for node in ("n1", "n2"):
        store.node_directory(tmp_path, node).mkdir(parents=True)
    (tmp_path / store.NODE_STATES).write_text(CLOCK)
    (tmp_path / store.HISTORY).write_text("")
    return tmp_path


def history(*faults_s: float) -> History:
    """A history of ten minutes, with faults at these seconds."""
    events = [
        Event(0, 0, 0, Type.INVOKE, "read"),
        *(
            Event(1 + i, round(second * 1e9), "kill", Type.INFO, "kill")
            for i, second in enumerate(faults_s)
        ),
        Event(1 + len(faults_s), END_S * 10**9, 0, Type.OK, "read"),
    ]
    return History(events)


def read(run: Path, *faults_s: float, results: Results | None = None) -> LogsRead:
    options = Options(system="x", workload="register", nodes=("n1", "n2"))
    plan = Plan(options=options, command="", started="2026-11-30T20:44:59+00:00")
    return read_logs(run, plan, history(*faults_s), results or merge([]), read_node_states(run))


def log_at(run: Path, node: str = "n1", name: str = "stderr-1.log") -> Path:
    return store.node_directory(run, node) / name


def fill(path: Path, megabytes: int, *, at: dict[int, bytes] | None = None) -> int:
    """Lines of ten minutes, evenly; returns how many. `at`: other lines, by number."""
    count = megabytes * 1_000_000 // len(LINE % (0, 0, 0, 0))
    with path.open("wb") as file:
        for number in range(1, count + 1):
            ms = number * END_S * 1000 // count
            minute, second = 45 + ms // 60_000, ms // 1000 % 60
            line = (at or {}).get(number) or LINE % (minute % 60, second, ms % 1000, number)
            file.write(line)
            if minute >= 60:
                raise AssertionError("the lines leave the hour")
    return count


def test_small_logs_are_read_whole(run: Path) -> None:
    log_at(run).write_bytes(b"a\nb\n")
    log_at(run, "n2", "stdout-2.log").write_bytes(b"c")
    texts = read(run).texts

    assert [(t.node, t.stream, t.incarnation, t.lines, t.read) for t in texts] == [
        ("n1", "stderr", 1, 2, 2),
        ("n2", "stdout", 2, 1, 1),
    ]
    assert texts[0].pieces[0].lines == ("a", "b")


def test_large_log_is_shown_in_parts_and_what_tells_most_is_in_them(run: Path) -> None:
    trouble = b"2026-11-30T20:49:00.000Z ERROR the disk is on fire\n"
    count = fill(log_at(run), 12, at={50_000: trouble})
    tracemalloc.start()
    text = read(run, 450.0).texts[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines = {p.first + i: line for p in text.pieces for i, line in enumerate(p.lines)}

    assert text.lines == count
    assert lines[1].endswith("entry 00000001 to every other node")
    assert lines[count].endswith(f"entry {count:08} to every other node")
    assert lines[50_000] == trouble.decode().strip()
    assert any(line.startswith("2026-11-30T20:52:30.") for line in lines.values())
    assert sum(map(len, lines.values())) < TEXT_BYTES_MAX
    assert peak < 40_000_000
    for number, line in lines.items():
        assert number == 50_000 or f"entry {number:08} " in line


def test_two_large_logs_share_the_room_that_a_small_one_leaves(run: Path) -> None:
    log_at(run).write_bytes(b"small\n")
    fill(log_at(run, name="stdout-1.log"), 6)
    fill(log_at(run, "n2"), 6)
    sizes = {
        text.path: sum(len(line) + 1 for piece in text.pieces for line in piece.lines)
        for text in read(run).texts
    }

    assert sizes["nodes/n1/stderr-1.log"] == 6
    assert 1_000_000 < sizes["nodes/n1/stdout-1.log"] < TEXT_BYTES_MAX / 2
    assert sum(sizes.values()) < TEXT_BYTES_MAX


def test_line_of_100_mb_is_cut_and_its_neighbours_are_whole(run: Path) -> None:
    with log_at(run).open("wb") as file:
        file.write(b"first\n")
        file.seek(100_000_000)
        file.write(b"\nlast\n")
    tracemalloc.start()
    text = read(run).texts[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines = [line for piece in text.pieces for line in piece.lines]

    assert text.lines == 3
    assert lines[0] == "first"
    assert lines[-1] == "last"
    assert text.pieces[-1].first + len(text.pieces[-1].lines) - 1 == 3
    assert max(map(len, lines)) < 5000
    assert peak < 40_000_000


def test_hostile_bytes_become_text(run: Path) -> None:
    log_at(run).write_bytes(b"\xff\xfe\0\x1b[31m\r\n\xed\xa0\x80\n\n\n")
    view = logs_view(read(run), end_ns=END_S * 10**9)

    assert [line.text for line in view.merged] == ["��\\x00\\x1b[31m", "���", "", ""]


def test_what_a_node_put_there_instead_of_a_log_is_named_and_not_read(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    log_at(run).symlink_to(tmp_path / "secret")
    os.mkfifo(log_at(run, "n2"))
    log_at(run, "n2", "stdout-1.log").mkdir()
    found = read(run)

    assert found.texts == ()
    assert [note.split(" cannot be read: ")[0] for note in found.notes] == [
        "nodes/n1/stderr-1.log",
        "nodes/n2/stderr-1.log",
        "nodes/n2/stdout-1.log",
    ]


def test_logs_of_programs_of_ours_are_counted_apart(run: Path) -> None:
    log_at(run, name="toxiproxy.log").write_bytes(b"x" * 10)
    log_at(run, name="client-1.log").write_bytes(b"")
    (run / store.NODES / "keeper.log").write_bytes(b"xy")
    found = read(run)

    assert found.texts == ()
    assert found.others == (("nodes/keeper.log", 2), ("nodes/n1/toxiproxy.log", 10))


def test_fake_times_lead_nowhere_else_than_to_other_lines(run: Path) -> None:
    fake = dict.fromkeys(range(1, 200000, 3), b"1999-01-01T00:00:00Z ERROR fake\n")
    count = fill(log_at(run), 9, at=fake)
    text = read(run, 100.0, 200.0, 599.0).texts[0]
    view = logs_view(read(run, 100.0), end_ns=END_S * 10**9)

    assert text.lines == count
    assert text.read < count
    assert all(-(10**10) < line.time_ns < 700 * 10**9 for line in view.merged)


def test_processes_lived_from_the_end_of_the_one_before(run: Path) -> None:
    ends = [Exit("n1", 1, -9, True, 5, 7), Exit("n1", 2, 1, False, 20)]
    store.write_exits(store.node_directory(run, "n1"), ends)
    lives = read(run).lives

    assert {key: (life.start_ns, life.end_ns, life.is_crash) for key, life in lives.items()} == {
        ("n1", 1): (None, 5, False),
        ("n1", 2): (7, 20, True),
        ("n1", 3): (20, None, False),
    }


def test_run_that_does_not_say_when_it_began_is_placed_by_its_last_event(run: Path) -> None:
    (run / store.NODE_STATES).unlink()
    os.utime(run / store.HISTORY, ns=(0, (BEGAN_S + END_S) * 10**9))
    found = read(run)

    assert read_node_states(run) == NodeStates()
    assert (found.began_unix_ns, found.is_exact) == (BEGAN_S * 10**9, False)


def test_copy_that_lost_its_times_is_placed_by_its_plan(run: Path) -> None:
    (run / store.NODE_STATES).unlink()
    os.utime(run / store.HISTORY, ns=(0, 0))

    assert read(run).began_unix_ns == (BEGAN_S - 1) * 10**9


def test_broken_files_explain_nothing_and_stop_nothing(run: Path) -> None:
    (run / store.NODE_STATES).write_bytes(b"\xff\0{")
    (store.node_directory(run, "n1") / store.EXITS).write_text("{")
    log_at(run).write_bytes(b"a\n")
    found = read(run)

    assert len(found.texts) == 1
    assert found.lives == {}
    assert not found.is_exact


def test_log_is_not_read_whole_to_count_its_lines(run: Path) -> None:
    fill(log_at(run), 3)
    log = LogFile(log_at(run))
    tracemalloc.start()
    count = len(log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count > 30_000
    assert peak < 2_500_000
