"""A history as it goes by, and a file that grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissever.harness.history import Event, History, Type
from dissever.harness.latency import quantile
from dissever.runs.comparison import figures_of
from dissever.runs.following import Follower, LineTooLong, tail
from dissever.runs.reading import read_whole
from dissever.runs.series import NotEvent, Series

S = 1_000_000_000


def lines(*events: Event) -> list[bytes]:
    return [msgspec.json.encode(event) for event in events]


def ask(index: int, time: float, process: int = 0) -> Event:
    return Event(index, int(time * S), process, Type.INVOKE, "read")


def end(index: int, time: float, process: int = 0, kind: Type = Type.OK) -> Event:
    return Event(index, int(time * S), process, kind, "read")


def test_latency_counts_where_the_operation_ended() -> None:
    series = Series(S)
    series.hear(lines(ask(0, 0.5), end(1, 2.25), ask(2, 2.5), end(3, 2.75)))

    assert series.stretches.keys() == {2}
    assert list(series.stretches[2].latencies_ns) == [int(1.75 * S), S // 4]
    assert series.stretches[2].latency_ns(50) == S // 4


def test_only_ok_operations_have_a_latency() -> None:
    series = Series(S)
    series.hear(
        lines(
            *(ask(0, 0), end(1, 0.1, kind=Type.FAIL)),
            *(ask(2, 0.2), end(3, 0.3, kind=Type.INFO)),
            *(ask(4, 0.4, 1), ask(5, 0.5, 2), end(6, 0.6, 2)),
        )
    )

    assert (series.counts.ok, series.counts.fail, series.counts.info) == (1, 1, 1)
    assert series.open == 1
    assert series.latencies_ns() == [S // 10]


def test_old_stretches_are_forgotten_and_totals_stay() -> None:
    series = Series(S, stretches_max=3)
    for second in range(10):
        series.hear(lines(ask(0, second), end(1, second + 0.5)))

    assert sorted(series.stretches) == [7, 8, 9]
    assert series.counts.ok == 10


def test_faults_are_events_and_no_operations() -> None:
    series = Series(S)
    fault = Event(0, 5, "kill", Type.INVOKE, "kill", {"targets": ["n1"]})
    series.hear(lines(fault))

    assert series.faults == [fault]
    assert series.counts.total == 0


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"\xff", b'{"time":1}', b"[" * 100_000])
def test_line_that_is_no_event(line: bytes) -> None:
    with pytest.raises(NotEvent):
        Series(S).hear([line])


def test_figures_are_those_of_the_report(tmp_path: Path, dissever: Callable[..., object]) -> None:
    """The same run, read as a stream and judged as a history."""
    dissever("test", "simulated", "-t", "3", "--seed", "5", "-f", "kill", "--quiet")
    (run,) = (tmp_path / "runs").glob("simulated/*/*")
    whole = read_whole(tmp_path / "runs", str(run.relative_to(tmp_path / "runs")))
    found = figures_of(whole.series)
    events = tuple(
        msgspec.json.decode(line, type=Event)
        for line in (run / "history.jsonl").read_bytes().splitlines()
    )
    history = History(events)
    ok = [each for each in history.operations if each.type is Type.OK]
    latencies = sorted(each.completion.time - each.invocation.time for each in ok)  # type: ignore[union-attr]

    assert whole.troubles == ()
    assert (found.total, found.ok) == (len(history.operations), len(ok))
    assert found.p99_ns == quantile(latencies, 99)
    assert found.duration_ns == history.duration_ns
    assert sum(stretch.counts.total for stretch in whole.series.stretches.values()) == (
        found.total - whole.series.open
    )


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "file"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    yield path, descriptor
    os.close(descriptor)


def test_whole_lines_come_once(grown: tuple[Path, int]) -> None:
    path, descriptor = grown
    heard: list[bytes] = []
    follower = Follower(heard.extend)
    for part in (b"on", b"e\ntwo\nth", b"", b"ree\n", b"four"):
        with path.open("ab") as file:
            file.write(part)
        follower.look(descriptor)

    assert heard == [b"one", b"two", b"three"]
    assert follower.read_bytes == follower.size_bytes


def test_no_look_reads_more_than_it_may(grown: tuple[Path, int]) -> None:
    path, descriptor = grown
    path.write_bytes(b"0123456789\n" * 1000)
    heard: list[bytes] = []
    follower = Follower(heard.extend)
    sizes = []
    while not sizes or follower.read_bytes < follower.size_bytes:
        before = follower.read_bytes
        follower.look(descriptor, 4096)
        sizes.append(follower.read_bytes - before)

    assert sizes == [4096, 4096, 11_000 - 2 * 4096]
    assert heard == [b"0123456789"] * 1000


@given(content=st.binary(max_size=300), step=st.integers(1, 40))
def test_however_it_is_cut_the_lines_are_the_same(content: bytes, step: int) -> None:
    descriptor = os.memfd_create("file")
    try:
        os.write(descriptor, content)
        heard: list[bytes] = []
        follower = Follower(heard.extend)
        while follower.read_bytes < len(content):
            follower.look(descriptor, step)
    finally:
        os.close(descriptor)

    assert heard == content.split(b"\n")[:-1]


def test_line_that_does_not_end_is_refused(
    grown: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, descriptor = grown
    monkeypatch.setattr("dissever.runs.following.LINE_BYTES_MAX", 1000)
    path.write_bytes(b"x" * 2000)
    with pytest.raises(LineTooLong):
        Follower(lambda _: None).look(descriptor)


def test_file_that_was_cut_is_no_reason_to_wait(grown: tuple[Path, int]) -> None:
    path, descriptor = grown
    path.write_bytes(b"a\nb\n")
    heard: list[bytes] = []
    follower = Follower(heard.extend)
    follower.look(descriptor)
    path.write_bytes(b"")
    follower.look(descriptor)

    assert heard == [b"a", b"b"]


def test_tail_is_the_end(grown: tuple[Path, int]) -> None:
    path, descriptor = grown
    path.write_bytes(b"0123456789")

    assert tail(descriptor, 4) == b"6789"
    assert tail(descriptor, 100) == b"0123456789"
