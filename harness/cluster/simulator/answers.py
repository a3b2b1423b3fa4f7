"""
What a simulator says: frames decoded into values. Pure.

What it sends is not trusted: kinds, sizes and numbers are checked. Nodes are numbers, and times are
ns of the simulation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from dissever.harness.cluster import Traffic
from dissever.harness.cluster.simulator.frames import ClosedBy, Kind, Member, ServerRole


class BadFrame(ValueError):
    """A simulator sent what is no frame: what was expected, and what came."""


# Answers.


class Done(msgspec.Struct, frozen=True, gc=False):
    """The harness was heard, and there is nothing to say."""


class Refused(msgspec.Struct, frozen=True, gc=False):
    why: str


class Ready(msgspec.Struct, frozen=True, gc=False):
    """`library`: its name and version."""

    library: str


class Now(msgspec.Struct, frozen=True, gc=False):
    """How far the time has come; `is_idle`: nothing is left to happen."""

    time_ns: int
    is_idle: bool


class Summary(msgspec.Struct, frozen=True):
    values: dict[str, str]


class Killed(msgspec.Struct, frozen=True, gc=False):
    """How many unsynced writes were lost, and how many survived."""

    lost: int
    kept: int


class Server(msgspec.Struct, frozen=True):
    """
    A server as it is. `leader` and `vote`: a node, or NOBODY. `installed`: how many snapshots it
    got from others. `digest`: of all that it has applied.
    """

    is_running: bool
    is_paused: bool
    incarnation: int
    role: ServerRole
    leader: int
    term: int
    vote: int
    first: int
    last: int
    stored: int
    commit: int
    applied: int
    snapshot: int
    installed: int
    members: dict[int, Member]
    digest: int


class Counts(msgspec.Struct, frozen=True):
    """(source, destination) -> what went over the link, and how much of it was cut."""

    links: dict[tuple[int, int], tuple[Traffic, int]]


def since(before: Traffic, now: Traffic) -> Traffic:
    """What went over a link between two counts."""
    pairs = zip(msgspec.structs.astuple(now), msgspec.structs.astuple(before), strict=True)
    return Traffic(*(count - counted for count, counted in pairs))


class Hits(msgspec.Struct, frozen=True):
    """Rule -> how many calls it has hit."""

    rules: dict[str, int]


class Offset(msgspec.Struct, frozen=True, gc=False):
    offset_s: float


class Failed(msgspec.Struct, frozen=True, gc=False):
    """How many allocations have failed."""

    count: int


# What happened, each with its moment.


class Opened(msgspec.Struct, frozen=True, gc=False):
    time_ns: int
    connection: int


class Received(msgspec.Struct, frozen=True, gc=False):
    time_ns: int
    connection: int
    data: bytes


class Closed(msgspec.Struct, frozen=True, gc=False):
    time_ns: int
    connection: int
    by: ClosedBy


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A node's process has ended; `status` is negative for a signal."""

    time_ns: int
    node: int
    incarnation: int
    status: int
    is_asked: bool


class Changed(msgspec.Struct, frozen=True, gc=False):
    """What came of a change of members; `status` 0: it is done."""

    time_ns: int
    change: int
    status: int
    why: str


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A datagram of a probe."""

    time_ns: int
    source: int
    destination: int
    sent_ns: int


class Violated(msgspec.Struct, frozen=True, gc=False):
    """An invariant is broken. `details` are more fields of its line, a JSON object, or empty."""

    time_ns: int
    name: str
    node: int
    why: str
    details: bytes


class Line(msgspec.Struct, frozen=True, gc=False):
    """Of the trace."""

    time_ns: int
    text: bytes


Event: TypeAlias = Opened | Received | Closed | Ended | Changed | Arrived | Violated | Line
Answer: TypeAlias = (
    Done | Refused | Ready | Now | Summary | Killed | Server | Counts | Hits | Offset | Failed
)
A = TypeVar("A", bound=Answer)


class _Fields:
    """The fields of one frame, from its beginning to its end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, fields: struct.Struct) -> tuple[Any, ...]:
        taken = fields.unpack_from(self._data, self._at)
        self._at += fields.size
        return taken

    def number(self, field: struct.Struct) -> Any:
        return self.take(field)[0]

    def raw(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise BadFrame(f"expected {size} bytes, got {len(self._data) - self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def text(self) -> str:
        return self.raw(self.number(_U16)).decode("utf-8", "replace")

    def blob(self) -> bytes:
        return self.raw(self.number(_U32))

    def end(self) -> None:
        if self._at != len(self._data):
            raise BadFrame(f"expected the end of the frame, got {len(self._data) - self._at} bytes")


_U8, _U16, _U32, _U64 = (struct.Struct(f"<{code}") for code in "BHIQ")
_F64: Final = struct.Struct("<d")
_SERVER: Final = struct.Struct("<BIBBQBQQQQQQQB")
_PAIR: Final = struct.Struct("<BB")
_LINK: Final = struct.Struct("<BB7Q")


def _server(fields: _Fields) -> Server:
    running, incarnation, role, leader, term, vote, *indices, count = fields.take(_SERVER)
    members: dict[int, Member] = {}
    for _ in range(count):
        node, member = fields.take(_PAIR)
        members[node] = Member(member)
    digest = fields.number(_U64)
    first, last, stored, commit, applied, snapshot, installed = indices
    return Server(
        is_running=running != 0,
        is_paused=running == 2,
        incarnation=incarnation,
        role=ServerRole(role),
        leader=leader,
        term=term,
        vote=vote,
        first=first,
        last=last,
        stored=stored,
        commit=commit,
        applied=applied,
        snapshot=snapshot,
        installed=installed,
        members=members,
        digest=digest,
    )


def _counts(fields: _Fields) -> Counts:
    links: dict[tuple[int, int], tuple[Traffic, int]] = {}
    for _ in range(fields.number(_U16)):
        source, destination, *numbers, cut = fields.take(_LINK)
        links[source, destination] = Traffic(*numbers), cut
    return Counts(links)


def _texts(fields: _Fields) -> dict[str, str]:
    return {fields.text(): fields.text() for _ in range(fields.number(_U16))}


def _hits(fields: _Fields) -> dict[str, int]:
    return {fields.text(): fields.number(_U64) for _ in range(fields.number(_U16))}


_DONE: Final = Done()
_NOW: Final = struct.Struct("<QB")
_KILLED: Final = struct.Struct("<II")
_CONNECTION: Final = struct.Struct("<QI")
_CLOSED: Final = struct.Struct("<QIB")
_ENDED: Final = struct.Struct("<QBIiB")
_CHANGED: Final = struct.Struct("<QII")
_ARRIVED: Final = struct.Struct("<QBBQ")


def _now(fields: _Fields) -> Now:
    time_ns, is_idle = fields.take(_NOW)
    return Now(time_ns, bool(is_idle))


def _closed(fields: _Fields) -> Closed:
    time_ns, connection, by = fields.take(_CLOSED)
    return Closed(time_ns, connection, ClosedBy(by))


def _ended(fields: _Fields) -> Ended:
    time_ns, node, incarnation, status, is_asked = fields.take(_ENDED)
    return Ended(time_ns, node, incarnation, status, bool(is_asked))


def _received(fields: _Fields) -> Received:
    time_ns, connection = fields.take(_CONNECTION)
    return Received(time_ns, connection, fields.blob())


def _changed(fields: _Fields) -> Changed:
    time_ns, change, status = fields.take(_CHANGED)
    return Changed(time_ns, change, status, fields.text())


_DECODE: Final[Mapping[int, Callable[[_Fields], Answer | Event]]] = {
    Kind.OK: lambda _: _DONE,
    Kind.REFUSED: lambda fields: Refused(fields.text()),
    Kind.READY: lambda fields: Ready(fields.text()),
    Kind.NOW: _now,
    Kind.SUMMARY: lambda fields: Summary(_texts(fields)),
    Kind.KILLED: lambda fields: Killed(*fields.take(_KILLED)),
    Kind.SERVER: _server,
    Kind.TRAFFIC: _counts,
    Kind.HITS: lambda fields: Hits(_hits(fields)),
    Kind.OFFSET: lambda fields: Offset(fields.number(_F64)),
    Kind.FAILED: lambda fields: Failed(fields.number(_U64)),
    Kind.OPENED: lambda fields: Opened(*fields.take(_CONNECTION)),
    Kind.RECEIVED: _received,
    Kind.CLOSED: _closed,
    Kind.EXIT: _ended,
    Kind.CHANGED: _changed,
    Kind.ARRIVED: lambda fields: Arrived(*fields.take(_ARRIVED)),
    Kind.VIOLATION: lambda fields: Violated(
        fields.number(_U64), fields.text(), fields.number(_U8), fields.text(), fields.blob()
    ),
    Kind.TRACE: lambda fields: Line(fields.number(_U64), fields.blob()),
}


_HEARD, _TIME, _DATA, _LINE = (int(kind) for kind in (Kind.OK, Kind.NOW, Kind.RECEIVED, Kind.TRACE))
"""The kinds of frequent frames as plain numbers."""

_LINE_HEAD: Final = struct.Struct("<QI")
_DATA_HEAD: Final = struct.Struct("<QII")


def decoded(body: bytes) -> Answer | Event:
    """
    What a simulator says in one frame.

    Args:
        body: The frame without its size.

    Raises:
        BadFrame: When it is none of those that a simulator sends.
    """
    if not body:
        raise BadFrame("expected a frame, got nothing")
    kind, size = body[0], len(body)
    if kind == _LINE and size >= 13:  # The most frequent ones first.
        time_ns, length = _LINE_HEAD.unpack_from(body, 1)
        if length == size - 13:
            return Line(time_ns, body[13:])
    elif kind == _TIME and size == 10:
        time_ns, is_idle = _NOW.unpack_from(body, 1)
        return Now(time_ns, is_idle != 0)
    elif kind == _DATA and size >= 17:
        time_ns, connection, length = _DATA_HEAD.unpack_from(body, 1)
        if length == size - 17:
            return Received(time_ns, connection, body[17:])
    elif kind == _HEARD and size == 1:
        return _DONE
    decode = _DECODE.get(kind)
    if decode is None:
        raise BadFrame(f"expected a frame that a simulator sends, got kind {kind}")
    fields = _Fields(body, 1)
    try:
        frame = decode(fields)
        fields.end()
    except (struct.error, ValueError) as error:
        raise BadFrame(f"{Kind(kind).name} of {size} bytes: {error}") from error
    return frame
