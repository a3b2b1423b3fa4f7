"""
What raft writes into its files, as data; no files are touched here.

A batch of log entries has a header with its own checksum, so a header can be believed before the
data are read. Roles have other numbers than on the wire.

Source: `dqlite/src/raft/uv_encoding.c`, `uv_segment.c`, `configuration.c`; `dqlite/src/command.c`.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dqlite.wire.schema import Member

FORMAT = 1
WORD = 8
PREAMBLE_BYTES = 16
"""Of a batch: checksum of the header, checksum of the data, number of entries."""
ENTRY_HEADER_BYTES = 16
ENTRIES_MAX = (8 << 20) // 32
"""Of a batch; as many as the library takes."""
CONFIGURATION_BYTES_MAX = 1 << 20
MEMBERS_MAX = CONFIGURATION_BYTES_MAX // 10

_ROLES = ("STANDBY", "VOTER", "SPARE")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONES = 0xFFFFFFFF


class EntryType(IntEnum):
    """What an entry of the log is."""

    COMMAND = 1  # for the databases
    BARRIER = 2  # nothing, or raft's own
    CHANGE = 3  # of the configuration: who the members are


@dataclass(frozen=True, slots=True)
class EntryHeader:
    """Of one entry of a batch; `size` in bytes is that of its data."""

    term: int
    type: EntryType
    size: int


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """Open a database; it has no effect any more."""

    database: str


@dataclass(frozen=True, slots=True)
class FramesCommand:
    """
    The pages that a transaction wrote.

    Attributes:
        transaction, truncate: Of former versions; nothing reads them.
        page_size: In bytes.
        pages: Their numbers, from 1, in the order of their content.
    """

    database: str
    transaction: int
    truncate: int
    is_commit: bool
    page_size: int
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UndoCommand:
    """Undo a transaction; it has no effect any more."""

    transaction: int


@dataclass(frozen=True, slots=True)
class CheckpointCommand:
    """Checkpoint a database; it has no effect any more."""

    database: str


Command: TypeAlias = OpenCommand | FramesCommand | UndoCommand | CheckpointCommand


def crc32(data: bytes, start: int = 0) -> int:
    """
    Return raft's checksum of `data`, continuing that of what stands before: polynomial 0x04C11DB7,
    the first bit of a byte is its highest, nothing is inverted.

    zlib's has the same polynomial, the bits of each byte reversed, and is inverted at both ends.
    """
    reversed_start = _reverse(start) ^ _ONES
    return _reverse(zlib.crc32(data.translate(_REVERSED), reversed_start) ^ _ONES)


def decode_batch_header(header: bytes) -> tuple[EntryHeader, ...]:
    """
    Return the headers of a batch's entries.

    Args:
        header: From the number of entries on, whole.

    Raises:
        ValueError: If it is malformed, or a type is unknown.
    """
    if len(header) % ENTRY_HEADER_BYTES != WORD:
        raise ValueError(f"expected a whole header of a batch, got {len(header)} bytes")
    (count,) = struct.unpack_from("<Q", header)
    found = []
    for term, kind, size in struct.iter_unpack("<QB3xI", header[WORD:]):
        if kind not in (1, 2, 3):
            raise ValueError(f"expected an entry of type 1 to 3, got {kind}")
        if not term:
            raise ValueError("expected an entry of a term above 0, got 0")
        if size % WORD:
            raise ValueError(f"expected an entry of whole words, got {size} bytes")
        found.append(EntryHeader(term, EntryType(kind), size))
    if len(found) != count:
        raise ValueError(f"expected {count} headers of entries, got {len(found)}")
    return tuple(found)


def decode_members(data: bytes) -> "tuple[Member, ...]":
    """
    Return the members in the data of a change, or of a snapshot.

    Raises:
        ValueError: If they are malformed, or no configuration that raft makes.
    """
    from dqlite.wire.schema import Member, Role  # its classes take long to make; a start needs none

    if len(data) < 9:
        raise ValueError(f"expected a configuration, got {len(data)} bytes")
    form, count = struct.unpack_from("<BQ", data)
    if form != FORMAT:
        raise ValueError(f"expected a configuration of format {FORMAT}, got {form}")
    if count > MEMBERS_MAX:
        raise ValueError(f"expected at most {MEMBERS_MAX} members, got {count}")
    members: dict[int, Member] = {}
    addresses = set()
    offset = 9
    for _ in range(count):
        end = data.find(b"\0", offset + WORD)
        if end < 0 or end + 1 >= len(data):
            raise ValueError(f"expected {count} members, got {len(members)}")
        (node_id,) = struct.unpack_from("<Q", data, offset)
        address = data[offset + WORD : end].decode(errors="backslashreplace")
        if data[end + 1] >= len(_ROLES):
            raise ValueError(f"expected a role of 0 to 2 for node {node_id}, got {data[end + 1]}")
        role = Role[_ROLES[data[end + 1]]]
        if node_id in members or address in addresses:
            raise ValueError(f"node {node_id} at {address!r} or its address is there twice")
        members[node_id] = Member(node_id, address, role)
        addresses.add(address)
        offset = end + 2
    return tuple(members.values())


def decode_command(data: bytes) -> Command:
    """
    Return what an entry of type COMMAND does.

    Raises:
        ValueError: If it is malformed.
    """
    if len(data) < WORD:
        raise ValueError(f"expected a command, got {len(data)} bytes")
    form, kind = data[0], data[1]
    if form != FORMAT:
        raise ValueError(f"expected a command of format {FORMAT}, got {form}")
    try:
        if kind == 3:
            return UndoCommand(*struct.unpack_from("<Q", data, WORD))
        if kind not in (1, 2, 4):
            raise ValueError(f"expected a command of type 1 to 4, got {kind}")
        database, offset = _decode_text(data, WORD)
        if kind == 1:
            return OpenCommand(database)
        if kind == 4:
            return CheckpointCommand(database)
        transaction, truncate, is_commit = struct.unpack_from("<QIB3x", data, offset)
        offset += 16
        count, page_size = struct.unpack_from("<IH2x", data, offset)
        offset += WORD
        if offset + count * (WORD + page_size) > len(data):
            raise ValueError(f"expected {count} pages of {page_size} bytes, got {len(data)} bytes")
        pages = struct.unpack_from(f"<{count}Q", data, offset)
    except struct.error as cause:
        raise ValueError(f"a command of type {kind} is cut off at {len(data)} bytes") from cause
    return FramesCommand(database, transaction, truncate, bool(is_commit), page_size, pages)


def _decode_text(data: bytes, offset: int) -> tuple[str, int]:
    """Return a text, and the offset behind its padding."""
    end = data.find(b"\0", offset)
    if end < 0:
        raise ValueError("a name in a command does not end")
    return data[offset:end].decode(errors="backslashreplace"), (end // WORD + 1) * WORD


def _reverse(number: int) -> int:
    """Reverse 32 bits."""
    return int(f"{number:032b}"[::-1], 2)
