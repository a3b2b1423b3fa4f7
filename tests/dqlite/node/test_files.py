"""Data directories made by hand: sound ones, cut ones, changed ones, and hostile names."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlite import DamagedFiles, LastEntryInfo, Member, Role
from dqlite.node import entries, files
from tests.dqlite.node import raft_files as made
from tests.dqlite.node.raft_files import Made

ONE = (1, "127.0.0.1:9001", 0)


def test_empty_directory_has_an_empty_log(tmp_path: Path) -> None:
    log = files.read(tmp_path)

    assert (log.last_entry(), log.snapshot, list(log.entries())) == (LastEntryInfo(0, 0), None, [])
    assert log.metadata == files.Metadata(0, 0, 0)


def test_log_is_closed_segments_then_open_ones(tmp_path: Path) -> None:
    made.metadata(tmp_path, 1, 3, 2, 5)
    made.metadata(tmp_path, 2, 2, 1)
    made.closed(tmp_path, 1, [made.change(1, ONE)])
    made.closed(tmp_path, 2, [Made(1), Made(1, 2, b"")], [Made(2)])
    (tmp_path / "open-9").write_bytes(made.segment([Made(2)], [Made(3), Made(3)], zeros=4096))
    (tmp_path / "open-10").write_bytes(bytes(8192))
    (tmp_path / "open-11").write_bytes(b"")
    (tmp_path / "info.yaml").write_text("not raft's")

    log = files.read(tmp_path)
    found = list(log.entries())

    assert [(each.index, each.term, each.type.value) for each in found] == [
        *((1, 1, 3), (2, 1, 1), (3, 1, 2), (4, 2, 1)),
        *((5, 2, 1), (6, 3, 1), (7, 3, 1)),
    ]
    assert found[0].members() == (Member(1, "127.0.0.1:9001", Role.VOTER),)
    assert found[4].command() == entries.OpenCommand("db")
    assert log.last_entry() == LastEntryInfo(term=3, index=7)
    assert log.metadata == files.Metadata(version=3, term=2, voted_for=5)


def test_open_segments_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    for counter, term in ((2, 4), (10, 5), (9, 4)):
        (tmp_path / f"open-{counter}").write_bytes(made.segment([Made(term)], zeros=64))

    assert [each.term for each in files.read(tmp_path).entries()] == [4, 4, 5]


def test_open_segment_ends_at_the_first_batch_that_was_not_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "open-1"
    path.write_bytes(made.segment([Made(1)], [Made(1)], [Made(1)], zeros=512))
    content = bytearray(path.read_bytes())
    content[-520] ^= 1  # In the data of the third batch.
    path.write_bytes(content)

    assert files.read(tmp_path).last_entry() == LastEntryInfo(1, 2)


def test_snapshot_is_the_end_of_a_log_without_entries(tmp_path: Path) -> None:
    made.snapshot(tmp_path, 2, 100, ONE, (2, "b", 2))
    made.snapshot(tmp_path, 1, 900, ONE)
    (tmp_path / "snapshot-3-1000-7").write_bytes(b"without its other half")
    (tmp_path / "snapshot-3-2000-7.meta").write_bytes(b"without its other half")
    made.snapshot(tmp_path, 3, 3000, ONE).write_bytes(b"")

    log = files.read(tmp_path)

    assert log.snapshot is not None
    assert log.snapshot.members[1] == Member(2, "b", Role.SPARE)
    assert log.last_entry() == LastEntryInfo(term=2, index=100)


def test_segments_before_the_snapshot_and_before_a_gap_do_not_count(tmp_path: Path) -> None:
    made.snapshot(tmp_path, 2, 10, ONE)
    made.closed(tmp_path, 1, [Made(1)])
    made.closed(tmp_path, 6, [Made(2)] * 3)
    made.closed(tmp_path, 9, [Made(2)] * 4)

    log = files.read(tmp_path)

    assert log.start_index == 6
    assert log.last_entry() == LastEntryInfo(2, 12)


def test_closed_segments_that_end_before_the_snapshot_are_left_out(tmp_path: Path) -> None:
    made.snapshot(tmp_path, 2, 10, ONE)
    made.closed(tmp_path, 1, [Made(1)])

    assert files.read(tmp_path).last_entry() == LastEntryInfo(2, 10)


def spoil(change: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def spoiled(directory: Path) -> None:
        path = made.closed(directory, 1, [Made(1), Made(1)], [Made(2)])
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return spoiled


def write(name: str, content: bytes = b"") -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_bytes(content)


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (spoil(lambda content: content.__setitem__(0, 2)), "format 1, got 2"),
        (spoil(lambda content: content.__setitem__(8, 99)), "a checksum is wrong"),
        (spoil(lambda content: content.__setitem__(12, 99)), "a checksum is wrong"),
        (spoil(lambda content: content.__setitem__(-1, 1)), "a checksum is wrong"),
        (spoil(lambda content: content.extend(bytes(7))), "16 bytes at the end, got 7"),
        (spoil(lambda content: content.extend(bytes(64))), "a checksum is wrong"),
        (spoil(lambda content: content.__delitem__(slice(-16, None))), "expected 16 bytes from"),
        (spoil(lambda content: content.__delitem__(slice(-40, None))), "at the end"),
        (spoil(lambda content: content.clear()), "8 bytes at the end, got 0"),
        (write("0000000000000001-0000000000000002", made.segment([Made(1)])), "last entry in it"),
        (
            write("0000000000000002-0000000000000002", made.segment([Made(1)])),
            "begins with entry 1",
        ),
        (write("0000000000000003-0000000000000002"), "first index of 1 to 2"),
        (write("0000000000000000-0000000000000002"), "first index of 1 to 2, got 0"),
        (write("open-1", struct.pack("<Q", 7)), "format 1, got 7"),
        (write("open-1", bytes(8) + b"x"), "format 1, got 0"),
        (write("open-1", made.segment([Made(1, 9)])), "type 1 to 3, got 9"),
        (write("open-1", made.segment([Made(1, 1, b"odd")])), "whole words, got 3"),
        (write("open-1", made.segment([Made(1)])[:-8]), "expected 16 bytes"),
        (write("open-1", made.segment([Made(0)])), "term above 0"),
        (write("open-01"), "no name that raft gives"),
        (write("1-2"), "no name that raft gives"),
        (write("2026-11"), "no name that raft gives"),
        (write("snapshot-1-+2-3"), "no name that raft gives"),
        (write("snapshot-1-2-" + "3" * 20), "no name that raft gives"),
        (write("x" * 128), "longer than 127"),
        (write("metadata1", bytes(33)), "expected 32 bytes, got more"),
        (write("metadata1", struct.pack("<4Q", 2, 1, 1, 0)), "got format 2"),
        (write("metadata2", struct.pack("<4Q", 1, 0, 1, 0)), "version 0"),
        (lambda at: [made.metadata(at, number, 4, 1) for number in (1, 2)], "both .* version 4"),
        (lambda at: (at / "metadata1").mkdir(), "plain file"),
        (lambda at: os.mkfifo(at / "open-1"), "plain file"),
        (lambda at: (at / "open-1").symlink_to("/dev/zero"), "got a link"),
        (
            lambda at: [made.snapshot(at, 1, 5, ONE), made.closed(at, 7, [Made(1)])],
            "entries are missing",
        ),
        (
            lambda at: [made.snapshot(at, 1, 5, ONE), write("open-1", made.segment([Made(1)]))(at)],
            None,
        ),
        (
            lambda at: [
                made.snapshot(at, 1, 5, ONE),
                made.closed(at, 1, [Made(1)]),
                write("open-1", made.segment([Made(1)]))(at),
            ],
            "before the snapshot of 5",
        ),
    ],
)
def test_damage_is_one_clear_error(
    tmp_path: Path, prepare: Callable[[Path], object], says: str | None
) -> None:
    prepare(tmp_path)

    if says is None:
        files.read(tmp_path).last_entry()
    else:
        with pytest.raises(DamagedFiles, match=says) as caught:
            files.read(tmp_path).last_entry()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "byte", "says"),
    [(0, 2, "format 1"), (8, 1, "checksum"), (16, 9, "checksum"), (30, 1, "configuration of 1 to")],
)
def test_damaged_snapshot_is_one_clear_error(
    tmp_path: Path, offset: int, byte: int, says: str
) -> None:
    path = made.snapshot(tmp_path, 1, 5, ONE).with_name("snapshot-1-5-7.meta")
    content = bytearray(path.read_bytes())
    content[offset] = byte
    path.write_bytes(content)

    with pytest.raises(DamagedFiles, match=says):
        files.read(tmp_path)


def test_metadata_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    made.metadata(tmp_path, 1, 1, 4)
    (tmp_path / "metadata2").write_bytes(bytes(31))

    assert files.read_metadata(tmp_path).term == 4


def test_count_of_entries_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "open-1"
    path.write_bytes(made.segment() + struct.pack("<IIQ", 0, 0, 2**63))
    with path.open("r+b") as file:
        file.truncate(8 << 20)

    assert files.read(tmp_path).last_entry() == LastEntryInfo(0, 0)


def test_segment_larger_than_any_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open-1"
    path.write_bytes(bytes(8))
    os.truncate(path, files.SEGMENT_BYTES_MAX + 1)

    with pytest.raises(DamagedFiles, match="at most"):
        files.read(tmp_path).last_entry()


@given(st.data())
@settings(deadline=None)
def test_whatever_is_cut_or_changed_is_a_shorter_log_or_an_error(data: st.DataObject) -> None:
    terms = sorted(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=12)))
    batches = [[Made(term, data=bytes(8 * (term % 3)))] for term in terms]
    whole = made.segment(*batches, zeros=data.draw(st.sampled_from([0, 16, 600])))
    spoiled = bytearray(whole)
    if data.draw(st.booleans()):
        del spoiled[data.draw(st.integers(0, len(spoiled))) :]
    for _ in range(data.draw(st.integers(0, 2)) if spoiled else 0):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "open-1").write_bytes(spoiled)
        found = None
        with suppress(DamagedFiles):
            found = [each.term for each in files.read(folder).entries()]

    assert found is None or found == terms[: len(found)]
    assert spoiled != whole or found == terms


def test_ends_are_ordered_by_term_then_index() -> None:
    older = LastEntryInfo(term=1, index=9)
    newer = LastEntryInfo(term=2, index=1)

    assert sorted([newer, older, LastEntryInfo(0, 0)]) == [LastEntryInfo(0, 0), older, newer]
    assert older.before(newer)
    assert older < LastEntryInfo(term=1, index=10)
    assert not newer.before(newer)
