"""What raft writes, decoded; whole, cut and changed."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlite import Member, Role
from dqlite.node import entries
from dqlite.node.entries import EntryType
from tests.dqlite.node import raft_files as made

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_checksum_is_that_of_the_definition_also_in_parts(first: bytes, second: bytes) -> None:
    assert entries.crc32(first) == made.crc(first)
    assert entries.crc32(second, entries.crc32(first)) == made.crc(first + second)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 2**64 - 1), NAMES, st.integers(0, 2)),
        max_size=8,
        unique_by=(lambda member: member[0], lambda member: member[1]),
    )
)
def test_members_come_back_with_their_roles(members: list[tuple[int, str, int]]) -> None:
    expected = tuple(Member(node_id, name, Role(role)) for node_id, name, role in members)

    assert entries.decode_members(made.configuration(*members)) == expected


def test_first_segment_of_a_real_node_is_read() -> None:
    # libdqlite 1.11.1, a node with id 1 at 127.0.0.1:29741.
    segment = bytes.fromhex(
        "0100000000000000 2d99f986 ab5e3767 0100000000000000 0100000000000000 0300000028000000"
        "01010000000000000001000000000000003132372e302e302e313a32393734310001000000000000"
    )
    checksums = struct.unpack_from("<II", segment, 8)
    header, data = segment[16:40], segment[40:]

    assert (entries.crc32(header), entries.crc32(data)) == checksums
    assert entries.decode_batch_header(header) == (entries.EntryHeader(1, EntryType.CHANGE, 40),)
    assert entries.decode_members(data) == (Member(1, "127.0.0.1:29741", Role.VOTER),)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (((1, "a", 0), (1, "b", 0)), "twice"),
        (((1, "a", 0), (2, "a", 0)), "twice"),
    ],
)
def test_members_that_are_there_twice_are_refused(
    members: tuple[tuple[int, str, int], ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        entries.decode_members(made.configuration(*members))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "got 0 bytes"),
        (b"\2" + bytes(8), "format 1, got 2"),
        (b"\1" + b"\xff" * 8, "at most"),
        (b"\1" + struct.pack("<Q", 1), "1 members, got 0"),
        (b"\1" + struct.pack("<QQ", 1, 1) + b"endless", "1 members, got 0"),
        (b"\1" + struct.pack("<QQ", 1, 1) + b"a\0\7", "role of 0 to 2 for node 1, got 7"),
    ],
)
def test_configuration_that_is_none_says_why(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        entries.decode_members(data)


@settings(deadline=None)
@given(NAMES, st.lists(st.integers(1, 2**40), max_size=5), st.sampled_from([512, 4096]))
def test_frames_name_their_database_and_pages(name: str, pages: list[int], size: int) -> None:
    command = entries.decode_command(made.frames(name, pages, size))

    assert command == entries.FramesCommand(name, 0, 0, True, size, tuple(pages))


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (b"\1\1" + bytes(6) + b"db" + bytes(6), entries.OpenCommand("db")),
        (b"\1\3" + bytes(6) + struct.pack("<Q", 9), entries.UndoCommand(9)),
        (b"\1\4" + bytes(6) + b"eightlet" + bytes(8), entries.CheckpointCommand("eightlet")),
    ],
)
def test_commands_without_effect_are_known(data: bytes, command: entries.Command) -> None:
    assert entries.decode_command(data) == command


@settings(deadline=None)
@given(st.data())
def test_whatever_is_cut_or_changed_is_decoded_or_refused(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                made.frames("a name", [1, 2, 3]),
                made.configuration((1, "a", 0), (2, "b", 1), (3, "c", 2)),
            ]
        )
    )
    spoiled = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3)) if spoiled else 0):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))

    for decode in (entries.decode_command, entries.decode_members, entries.decode_batch_header):
        with suppress(ValueError):
            decode(bytes(spoiled))
