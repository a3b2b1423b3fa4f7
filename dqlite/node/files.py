"""
The files of raft in a data directory, read without libdqlite.

Nothing is changed, and nothing is believed: names, sizes and checksums are looked at first, and no
more is kept in memory than one batch's headers. What libdqlite would refuse is refused, and so are
names that make some of its versions abort the process.

Source: `dqlite/src/raft/uv.c`, `uv_list.c`, `uv_metadata.c`, `uv_segment.c`, `uv_snapshot.c`.
"""

import errno
import os
import re
import stat
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from dqlite.errors import DamagedFiles
from dqlite.node import entries
from dqlite.node.entries import EntryHeader, EntryType

if TYPE_CHECKING:
    from dqlite.wire.schema import Member

_Decoded = TypeVar("_Decoded")

SEGMENT_BYTES_MAX = (1 << 32) + (16 << 20)
"""A segment has 8 MiB, or one entry of less than 4 GiB more."""
NAME_BYTES_MAX = 127
METADATA = ("metadata1", "metadata2")
INTERRUPTED = ("recovery.new", "recovery.ready")
"""Folders of a recovery that was interrupted while it exchanged the files."""

_CHUNK_BYTES = 1 << 20
_METADATA_BYTES = 32
_CLOSED = re.compile(r"(\d{16})-(\d{16})")
_OPEN = re.compile(r"open-(0|[1-9]\d{0,18})")
_SNAPSHOT = re.compile(r"snapshot-(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})(\.meta)?")
_LIKE_OURS = re.compile(r"\s*[+-]?\d+-\s*[+-]?\d+|open-\s*[+-]?\d+|snapshot-\s*[+-]?\d.*")
"""What scanf, with which the library reads names, takes for one of ours."""


@dataclass(frozen=True, order=True, slots=True)
class LastEntryInfo:
    """
    The end of a node's log. Later ends are greater: by term, then by index.

    >>> ends = [LastEntryInfo(2, 2), LastEntryInfo(1, 2), LastEntryInfo(2, 1), LastEntryInfo(1, 1)]
    >>> [(end.term, end.index) for end in sorted(ends)]
    [(1, 1), (1, 2), (2, 1), (2, 2)]

    (0, 0) is the end of an empty log.
    """

    term: int
    index: int

    def before(self, other: "LastEntryInfo") -> bool:
        """Whether `other` is more up to date."""
        return self < other


@dataclass(frozen=True, slots=True)
class Metadata:
    """The term that a node has reached, and its vote in it: an id, or 0."""

    version: int
    term: int
    voted_for: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    The newest snapshot: the state after `index`, and the members then.

    Attributes:
        path: Of the file with the databases, perhaps compressed.
        timestamp: Of its name, in ms of an unknown clock.
        configuration_index: The entry that made these the members.
        size: In bytes, on disk.
    """

    path: Path
    term: int
    index: int
    timestamp: int
    configuration_index: int
    members: "tuple[Member, ...]"
    size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log. A closed one names its indices, an open one only its place in a row."""

    path: Path
    first: int | None
    last: int | None
    counter: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log; its data stay in the file until they are read."""

    index: int
    term: int
    type: EntryType
    size: int
    segment: Segment
    offset: int

    def data(self) -> bytes:
        """Read the data, `size` bytes. Raises DamagedFiles when they have gone."""
        with _opened(self.segment.path) as file:
            file.seek(self.offset)
            return _read(file, self.size, self.segment.path)

    def members(self) -> "tuple[Member, ...]":
        """Return the members of a CHANGE. Raises DamagedFiles when it is malformed."""
        path = self.segment.path
        if self.size > entries.CONFIGURATION_BYTES_MAX:
            raise DamagedFiles(f"{path}: a configuration of {self.size} bytes at {self.index}")
        return _decoded(entries.decode_members, self.data(), path)

    def command(self) -> entries.Command:
        """Return what a COMMAND does; reads all of it. Raises DamagedFiles when malformed."""
        return _decoded(entries.decode_command, self.data(), self.segment.path)


@dataclass(frozen=True, slots=True)
class RaftFiles:
    """
    What a data directory holds for raft.

    Attributes:
        snapshot: The newest; None if there is none.
        start_index: Of the first entry in `segments`.
        segments: Those that count, in order.
    """

    directory: Path
    metadata: Metadata
    snapshot: Snapshot | None
    start_index: int
    segments: tuple[Segment, ...]

    def entries(self) -> Iterator[Entry]:
        """
        Yield the entries of the log in order; some may lie before the snapshot.

        Reads every byte of the segments, for the checksums.

        Raises:
            DamagedFiles: If the library would not load them.
        """
        index = self.start_index
        for segment in self.segments:
            if segment.first not in (None, index):
                raise DamagedFiles(
                    f"{segment.path}: expected a segment that begins with entry {index}"
                )
            for header, offset in _entries_of(segment):
                yield Entry(index, header.term, header.type, header.size, segment, offset)
                index += 1
            if segment.last not in (None, index - 1):
                raise DamagedFiles(f"{segment.path}: the last entry in it is {index - 1}")
        if self.snapshot is not None and index <= self.snapshot.index and self.segments:
            raise DamagedFiles(
                f"{self.directory}: the log ends with entry {index - 1}, "
                f"before the snapshot of {self.snapshot.index}"
            )

    def last(self) -> Entry | None:
        """Return the last entry in the segments; reads like `entries`, and raises like it."""
        return next(iter(deque(self.entries(), maxlen=1)), None)

    def last_entry(self) -> LastEntryInfo:
        """Return the end of the log; reads like `entries`, and raises like it."""
        last = self.last() or self.snapshot
        return LastEntryInfo(last.term, last.index) if last else LastEntryInfo(0, 0)


def read(directory: str | os.PathLike[str]) -> RaftFiles:
    """
    Look at a data directory, whose node must not run: its names, metadata, newest snapshot.

    Raises:
        DamagedFiles: If the library would not load them.
        OSError: If they cannot be read.
    """
    path = Path(directory)
    snapshots, segments = _listed(path)
    metadata = read_metadata(path)
    snapshot = _read_snapshot(path, snapshots[-1]) if snapshots else None
    if snapshot is None:
        return RaftFiles(path, metadata, None, 1, tuple(segments))
    used = _after_snapshot(segments, snapshot)
    first = used[0].first if used else None
    start_index = snapshot.index + 1 if first is None else first
    return RaftFiles(path, metadata, snapshot, start_index, used)


def check(directory: str | os.PathLike[str], *, founds: bool = False) -> None:
    """
    Look at what makes libdqlite crash the process, spoil it for other nodes, or wait for ever.

    That is: names, metadata, and open segments, which are there after a crash and have 8 MiB each.
    What auto recovery sets aside is let through.

    Args:
        founds: Whether the node founds a cluster in an empty directory. One that was killed while
            it did so has a term and no log, and would never lead.

    Raises:
        DamagedFiles: With the first that is wrong.
        OSError: If they cannot be read.
    """
    path = Path(directory)
    unfinished = [name for name in INTERRUPTED if (path / name).exists()]
    if unfinished:
        raise DamagedFiles(
            f"{path}: a recovery was interrupted here ({unfinished[0]}): do it again to end it"
        )
    snapshots, segments = _listed(path)
    if read_metadata(path).term and founds and not (snapshots or segments):
        raise DamagedFiles(
            f"{path}: expected the log of the node that founded the cluster, got its term alone. "
            "It was killed while it founded the cluster, or lost its log. If it served nobody, "
            f"remove {' and '.join(METADATA)}"
        )
    for segment in segments:
        if segment.first is None and _has_format(segment.path):
            deque(_entries_of(segment), maxlen=0)


def read_metadata(directory: Path) -> Metadata:
    """Return the newer metadata; (0, 0, 0) in a new directory. Raises like `read`."""
    found = [each for name in METADATA if (each := _read_metadata(directory / name))]
    if len(found) == 2 and found[0].version == found[1].version:
        raise DamagedFiles(f"{directory}: both metadata files have version {found[0].version}")
    return max(found, key=lambda each: each.version, default=Metadata(0, 0, 0))


def is_raft_file(name: str) -> bool:
    """Whether a name in a data directory is one of raft's."""
    return name in METADATA or any(
        pattern.fullmatch(name) for pattern in (_CLOSED, _OPEN, _SNAPSHOT)
    )


def _listed(directory: Path) -> tuple[Sequence[tuple[int, int, int]], Sequence[Segment]]:
    """Return term, index and timestamp of whole snapshots, and segments, both in order."""
    names = {path.name for path in directory.iterdir()}
    segments = []
    snapshots = []
    for name in names:
        if len(os.fsencode(name)) > NAME_BYTES_MAX:
            raise DamagedFiles(f"{directory}: a name is longer than {NAME_BYTES_MAX}: {name}")
        path = directory / name
        if closed := _CLOSED.fullmatch(name):
            first, last = int(closed[1]), int(closed[2])
            if not 0 < first <= last:
                raise DamagedFiles(f"{path}: expected a first index of 1 to {last}, got {first}")
            segments.append(Segment(path, first, last, 0))
        elif opened := _OPEN.fullmatch(name):
            segments.append(Segment(path, None, None, int(opened[1])))
        elif snapshot := _SNAPSHOT.fullmatch(name):
            data = directory / name.removesuffix(".meta")
            if snapshot[4] and data.name in names and data.stat().st_size:
                snapshots.append((int(snapshot[1]), int(snapshot[2]), int(snapshot[3])))
        elif _LIKE_OURS.fullmatch(name):
            raise DamagedFiles(f"{path}: this is no name that raft gives, but one that it reads")
    return sorted(snapshots), sorted(segments, key=_order)


def _order(segment: Segment) -> tuple[bool, int]:
    """Closed ones by index, then open ones by counter."""
    return segment.first is None, segment.first or segment.counter


def _after_snapshot(segments: Sequence[Segment], snapshot: Snapshot) -> tuple[Segment, ...]:
    """Return the closed segments without a gap up to the last one, and the open ones."""
    closed = [each for each in segments if each.first is not None]
    opened = [each for each in segments if each.first is None]
    if not closed:
        return tuple(opened)
    if (closed[-1].last or 0) < snapshot.index and not opened:
        return ()
    kept = [closed[-1]]
    for older in reversed(closed[:-1]):
        if (older.last or 0) + 1 != kept[0].first:
            break
        kept.insert(0, older)
    if (kept[0].first or 0) > snapshot.index + 1:
        raise DamagedFiles(
            f"{kept[0].path}: entries are missing between the snapshot of {snapshot.index} and it"
        )
    return (*kept, *opened)


def _read_metadata(path: Path) -> Metadata | None:
    """Return one file's; None if there is none, or it was cut short by a crash."""
    try:
        with _opened(path) as file:
            content = file.read(_METADATA_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) < _METADATA_BYTES:
        return None
    if len(content) > _METADATA_BYTES:
        raise DamagedFiles(f"{path}: expected {_METADATA_BYTES} bytes, got more")
    form, version, term, voted_for = struct.unpack("<4Q", content)
    if form != entries.FORMAT or version == 0:
        raise DamagedFiles(
            f"{path}: expected format {entries.FORMAT} and a version above 0, "
            f"got format {form}, version {version}"
        )
    return Metadata(version, term, voted_for)


def _read_snapshot(directory: Path, name: tuple[int, int, int]) -> Snapshot:
    term, index, timestamp = name
    path = directory / f"snapshot-{term}-{index}-{timestamp}"
    meta = directory / f"{path.name}.meta"
    with _opened(meta) as file:
        header = _read(file, 32, meta)
        form, crc, configuration_index, size = struct.unpack("<4Q", header)
        if form != entries.FORMAT:
            raise DamagedFiles(f"{meta}: expected format {entries.FORMAT}, got {form}")
        if not 0 < size <= entries.CONFIGURATION_BYTES_MAX:
            raise DamagedFiles(
                f"{meta}: expected a configuration of 1 to {entries.CONFIGURATION_BYTES_MAX} "
                f"bytes, got {size}"
            )
        configuration = _read(file, size, meta)
    if entries.crc32(configuration, entries.crc32(header[16:])) != crc & 0xFFFFFFFF:
        raise DamagedFiles(f"{meta}: the checksum is wrong")
    members = _decoded(entries.decode_members, configuration, meta)
    with _opened(path) as file:
        data_size = os.fstat(file.fileno()).st_size
    return Snapshot(path, term, index, timestamp, configuration_index, members, data_size)


def _entries_of(segment: Segment) -> Iterator[tuple[EntryHeader, int]]:
    """Yield header and offset of the data of each entry, batch by batch."""
    is_open = segment.first is None
    path = segment.path
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > SEGMENT_BYTES_MAX:
            raise DamagedFiles(f"{path}: expected at most {SEGMENT_BYTES_MAX} bytes, got {size}")
        if is_open and size == 0:
            return
        (form,) = struct.unpack("<Q", _read(file, entries.WORD, path))
        if is_open and form == 0 and _is_zero(file):
            return
        if form != entries.FORMAT:
            raise DamagedFiles(f"{path}: expected format {entries.FORMAT}, got {form}")
        while True:
            batch = _read_batch(file, size, path)
            if batch is None:
                if is_open:
                    return
                raise DamagedFiles(f"{path}: a checksum is wrong before byte {file.tell()}")
            yield from batch
            if file.tell() == size:
                return


def _has_format(path: Path) -> bool:
    with _opened(path) as file:
        return file.read(entries.WORD) == entries.FORMAT.to_bytes(entries.WORD, "little")


def _read_batch(file: BinaryIO, size: int, path: Path) -> Sequence[tuple[EntryHeader, int]] | None:
    """
    Read a batch, and check it; None if it was not written whole.

    Raises:
        DamagedFiles: If the file ends in it, or its entries are of no known type.
    """
    preamble = _read(file, entries.PREAMBLE_BYTES, path)
    header_crc, data_crc, count = struct.unpack("<IIQ", preamble)
    if not 0 < count <= entries.ENTRIES_MAX:
        return None
    header = preamble[entries.WORD :] + _read(file, count * entries.ENTRY_HEADER_BYTES, path)
    if entries.crc32(header) != header_crc:
        return None
    headers = _decoded(entries.decode_batch_header, header, path)
    offset = file.tell()
    left = sum(each.size for each in headers)
    if left > size - offset:
        raise DamagedFiles(f"{path}: expected {left} bytes from {offset} on, got {size - offset}")
    crc = 0
    while left:
        chunk = _read(file, min(left, _CHUNK_BYTES), path)
        crc = entries.crc32(chunk, crc)
        left -= len(chunk)
    if crc != data_crc:
        return None
    placed = []
    for each in headers:
        placed.append((each, offset))
        offset += each.size
    return placed


def _is_zero(file: BinaryIO) -> bool:
    """Whether nothing but zeros follows."""
    while chunk := file.read(_CHUNK_BYTES):
        if chunk.count(0) != len(chunk):
            return False
    return True


def _read(file: BinaryIO, size: int, path: Path) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise DamagedFiles(f"{path}: expected {size} bytes at the end, got {len(content)}")
    return content


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file; raises DamagedFiles for a link, a pipe or a directory."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamagedFiles(f"{path}: expected a plain file, got a link") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedFiles(f"{path}: expected a plain file")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
        yield file


def _decoded(decode: Callable[[bytes], _Decoded], content: bytes, path: Path) -> _Decoded:
    try:
        return decode(content)
    except ValueError as cause:
        raise DamagedFiles(f"{path}: {cause}") from cause
