"""
What a client asks of a server of raft, as bytes, and the connection that carries it.

The protocol is that of `native/simulation/machine.c`: registers by a number, and one
set. A request is u32 size, u32 id, u8 function and its fields; an answer u32 size, u32 id, u8
status and what the function gives. All numbers are little-endian.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from dissever.harness.client import NotApplied

ANSWER_BYTES_MAX: Final = 64 << 20
KEYS_MAX: Final = 1 << 20

CODES: Final[Mapping[int, str]] = {
    2: "bad-id",
    9: "can't-change",
    10: "not-leader",
    11: "leadership-lost",
    12: "shutdown",
    16: "too-big",
    18: "no-space",
}
"""Some of raft.h's codes by the name that an error of a client has; others are numbers."""


class Function(IntEnum):
    """
    What can be asked.

    READ_LOCAL and ELEMENTS_LOCAL a server answers from its own state, if it leads; DIGEST always.
    """

    READ = 0
    WRITE = 1
    CAS = 2
    ADD = 3
    ELEMENTS = 4
    READ_LOCAL = 5
    ELEMENTS_LOCAL = 6
    DIGEST = 7


class Unknown(OSError):
    """The server cannot say whether the request takes effect."""


class BadAnswer(OSError):
    """A server sent what is no answer: what was expected, and what came."""


class _Status(IntEnum):
    OK = 0
    FAILED = 1
    UNKNOWN = 2


_HEAD: Final = struct.Struct("<IIB")
_ERROR: Final = struct.Struct("<HBH")
_NOBODY: Final = 255
_READ: Final = struct.Struct("<Bq")
_COUNT: Final = struct.Struct("<I")
_DIGEST: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Request:
    """A function with its fields as bytes."""

    function: Function
    fields: bytes = b""

    @property
    def has_effect(self) -> bool:
        """Whether anybody could see later that it was applied."""
        return self.function in (Function.WRITE, Function.CAS, Function.ADD)


def read(key: int, *, is_local: bool = False) -> Request:
    """Keys are from 0 to `KEYS_MAX` - 1; the server closes the connection on others."""
    return Request(Function.READ_LOCAL if is_local else Function.READ, struct.pack("<I", key))


def write(key: int, value: int) -> Request:
    return Request(Function.WRITE, struct.pack("<Iq", key, value))


def compare_and_set(key: int, old: int, new: int) -> Request:
    return Request(Function.CAS, struct.pack("<Iqq", key, old, new))


def add(element: int) -> Request:
    return Request(Function.ADD, struct.pack("<q", element))


def elements(*, is_local: bool = False) -> Request:
    return Request(Function.ELEMENTS_LOCAL if is_local else Function.ELEMENTS)


def digest() -> Request:
    """Of all commands that this server has applied, in their order."""
    return Request(Function.DIGEST)


def value_of(answer: bytes) -> int | None:
    """What a read gives; None: it was never written. Raises BadAnswer."""
    is_present, value = _unpacked(_READ, answer)
    return int(value) if is_present else None


def is_done(answer: bytes) -> bool:
    """Whether a compare-and-set took effect. Raises BadAnswer."""
    if len(answer) != 1:
        raise BadAnswer(f"expected 1 byte of a compare-and-set, got {len(answer)}")
    return answer[0] != 0


def elements_of(answer: bytes) -> list[int]:
    """All elements. Raises BadAnswer."""
    (count,) = _unpacked(_COUNT, answer[: _COUNT.size])
    if len(answer) != _COUNT.size + 8 * count:
        raise BadAnswer(f"expected {count:,} elements, got {len(answer):,} bytes")
    return list(struct.unpack_from(f"<{count}q", answer, _COUNT.size))


def digest_of(answer: bytes) -> str:
    """16 digits. Raises BadAnswer."""
    (digest,) = _unpacked(_DIGEST, answer)
    return f"{digest:016x}"


def _unpacked(fields: struct.Struct, answer: bytes) -> tuple[int, ...]:
    try:
        return fields.unpack(answer)
    except struct.error as error:
        raise BadAnswer(f"expected {fields.size} bytes, got {len(answer)}") from error


class Link(asyncio.Protocol):
    """A client's end of a connection to one server; one request at a time."""

    def __init__(self) -> None:
        self.is_open = True
        self.leader: int | None = None
        """Who leads, counted from 0, as the server believed when it last refused."""

        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._id = 0
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: Request) -> bytes:
        """
        Ask, and wait for what the function gives.

        Raises:
            NotApplied: It did not take effect and never will; `code` is raft's.
            OSError: Nobody knows. `Unknown`: as the server says; another one: there was no answer.
        """
        if self._transport is None or not self.is_open:
            raise NotApplied("the connection is closed", "closed")
        self._id += 1
        size = 5 + len(request.fields)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(_HEAD.pack(size, self._id, request.function) + request.fields)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._answer = None

    def close(self) -> None:
        """Drop the connection; what is asked is not answered any more."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= 4:
            size = int.from_bytes(self._unread[:4], "little")
            if not 5 <= size <= ANSWER_BYTES_MAX:
                self._fail(BadAnswer(f"expected an answer, got one of {size:,} bytes"))
                return
            if len(self._unread) < 4 + size:
                return
            _, number, status = _HEAD.unpack_from(self._unread)
            answer, self._unread = self._unread[9 : 4 + size], self._unread[4 + size :]
            if number == self._id:
                self._settle(status, answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._fail(error or ConnectionResetError("closed by the server"))

    def _settle(self, status: int, answer: bytes) -> None:
        if self._answer is None or self._answer.done():
            return
        if status == _Status.OK:
            self._answer.set_result(answer)
            return
        try:
            code, leader, size = _ERROR.unpack_from(answer)
        except struct.error:
            self._fail(BadAnswer(f"expected an error, got {len(answer)} bytes"))
            return
        self.leader = None if leader == _NOBODY else leader
        why = answer[_ERROR.size : _ERROR.size + size].decode("utf-8", "replace")
        name = CODES.get(code, str(code))
        if status == _Status.FAILED:
            self._answer.set_exception(NotApplied(why, name))
        elif status == _Status.UNKNOWN:
            self._answer.set_exception(Unknown(f"{why} ({name})"))
        else:
            self._fail(BadAnswer(f"expected a status, got {status}"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        if isinstance(error, BadAnswer):
            self.close()
