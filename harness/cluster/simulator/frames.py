"""
What the harness and a simulator say to each other, as bytes. Pure.

A frame is u32 size, u8 kind, and its fields, little-endian. `native/simulation/frames.h` is the
contract. Here is what the harness says; `answers.py` has what it hears.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from dissever.harness.cluster import DiskCall, DiskErrorKind, DiskRule, Impairment

NOBODY: Final = 0xFF
SIZE_MAX: Final = 64 << 20
FOREVER: Final = (1 << 64) - 1
SERVERS_MAX: Final = 9


class Kind(IntEnum):
    """Of a frame; the names are those of `frames.h` without `FRAME_`."""

    BEGIN = 1
    ADVANCE = 2
    RESEED = 3
    END = 4
    OPEN = 10
    SEND = 11
    CLOSE = 12
    START = 20
    STOP = 21
    KILL = 22
    PAUSE = 23
    RESUME = 24
    LOOK = 25
    CUT = 30
    IMPAIR = 31
    COUNT = 32
    PROBE = 33
    REACH = 34
    DISK_RULE = 40
    DISK_HITS = 41
    CLOCK = 42
    CLOCK_LOOK = 43
    ALLOCATION = 44
    ALLOCATIONS = 45
    WIPE = 46
    CHANGE = 50
    OK = 100
    REFUSED = 101
    READY = 102
    NOW = 103
    SUMMARY = 104
    KILLED = 105
    SERVER = 106
    TRAFFIC = 107
    HITS = 108
    OFFSET = 109
    FAILED = 110
    OPENED = 120
    RECEIVED = 121
    CLOSED = 122
    EXIT = 123
    CHANGED = 124
    ARRIVED = 125
    VIOLATION = 126
    TRACE = 127


class ClosedBy(IntEnum):
    """Why a connection is closed."""

    NODE = 0
    REFUSED = 1
    RESET = 2


class Member(IntEnum):
    """What a member is in the configuration of raft, as in raft.h."""

    STAND_BY = 0
    VOTER = 1
    SPARE = 2


class Change(IntEnum):
    """Of the members."""

    ADD = 0
    REMOVE = 1
    ASSIGN = 2
    TRANSFER = 3


class ServerRole(IntEnum):
    """What a server is doing."""

    NONE = 0
    FOLLOWER = 1
    CANDIDATE = 2
    LEADER = 3


_HEAD: Final = struct.Struct("<IB")
_ADVANCE: Final = struct.Struct("<IBQ")
_PAIR: Final = struct.Struct("<BB")
_U8, _U16, _U32, _U64 = (struct.Struct(f"<{code}") for code in "BHIQ")


def check_nodes(nodes: Sequence[str]) -> None:
    """Raises ValueError when a simulator cannot run so many."""
    if len(nodes) > SERVERS_MAX:
        raise ValueError(f"expected 1 to {SERVERS_MAX} nodes in a simulator, got {len(nodes)}")


def frame(kind: Kind, fields: bytes = b"") -> bytes:
    """A whole frame."""
    return _HEAD.pack(len(fields) + 1, kind) + fields


def begin(seed: int, servers: int, settings: Mapping[str, str]) -> bytes:
    """The first frame. `seed`: its lowest 64 bits count."""
    head = struct.pack("<QBH", seed & FOREVER, servers, len(settings))
    words = (word for setting in settings.items() for word in setting)
    return frame(Kind.BEGIN, head + b"".join(map(_text, words)))


def advance(until_ns: int) -> bytes:
    return _ADVANCE.pack(_ADVANCE.size - 4, Kind.ADVANCE, until_ns)


def reseed(seed: int) -> bytes:
    return frame(Kind.RESEED, _U64.pack(seed & FOREVER))


def open_(connection: int, node: int) -> bytes:
    return frame(Kind.OPEN, struct.pack("<IB", connection, node))


def send(connection: int, data: bytes) -> bytes:
    """What a client sends. Raises ValueError for more than fits in a frame."""
    if len(data) > SIZE_MAX - 16:
        raise ValueError(f"expected {SIZE_MAX - 16:,} bytes at most, got {len(data):,}")
    return frame(Kind.SEND, struct.pack("<II", connection, len(data)) + data)


def close(connection: int) -> bytes:
    return frame(Kind.CLOSE, _U32.pack(connection))


def of_node(kind: Kind, node: int) -> bytes:
    """A frame about a node and nothing else."""
    return frame(kind, _U8.pack(node))


def kill(node: int, *, power: bool = False) -> bytes:
    return frame(Kind.KILL, struct.pack("<BB", node, power))


def cut(links: Iterable[tuple[int, int]]) -> bytes:
    pairs = [_PAIR.pack(*link) for link in links]
    return frame(Kind.CUT, _U16.pack(len(pairs)) + b"".join(pairs))


def impair(links: Mapping[tuple[int, int], Impairment]) -> bytes:
    rules = [
        _PAIR.pack(*link) + struct.pack("<10d", *msgspec.structs.astuple(impairment))
        for link, impairment in links.items()
    ]
    return frame(Kind.IMPAIR, _U16.pack(len(rules)) + b"".join(rules))


def probe(source: int, destination: int) -> bytes:
    return frame(Kind.PROBE, _PAIR.pack(source, destination))


def reach(source: int, destination: int) -> bytes:
    return frame(Kind.REACH, _PAIR.pack(source, destination))


_DISK_KINDS: Final = tuple(DiskErrorKind)
_DISK_CALLS: Final = tuple(DiskCall)
"""In the order of their numbers."""


def disk_rule(node: int, name: str, rule: DiskRule | None) -> bytes:
    """None: there is no such rule any more."""
    is_on, rule = rule is not None, rule or DiskRule(DiskErrorKind.SLOW)
    words = _DISK_KINDS.index(rule.kind), _DISK_CALLS.index(rule.call)
    numbers = rule.probability, rule.ms, rule.seed & FOREVER
    fields = struct.pack("<BBBddQ", is_on, *words, *numbers)
    return frame(Kind.DISK_RULE, _U8.pack(node) + _text(name) + fields)


def clock(node: int, offset_s: float, rate: float) -> bytes:
    return frame(Kind.CLOCK, struct.pack("<Bdd", node, offset_s, rate))


def allocation(node: int, number: int) -> bytes:
    return frame(Kind.ALLOCATION, struct.pack("<BQ", node, number))


def change(number: int, node: int, what: Change, member: int, role: Member) -> bytes:
    return frame(Kind.CHANGE, struct.pack("<IBBBB", number, node, what, member, role))


def _text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 0xFFFF:
        raise ValueError(f"expected a text of 65,535 bytes at most, got {len(raw):,}")
    return _U16.pack(len(raw)) + raw
