"""The streams of a program: its stdout as lines, its stderr in a file. Both have a bound."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import IO, Final

TAIL_BYTES_MAX: Final = 2000
"""What is kept of a log's end for messages."""

_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)
"""The folder belongs to a node, which may have put a link or a pipe there."""


class TooLong(Exception):
    """A line is longer than it may be."""


class Lines(asyncio.Protocol):
    """Bytes that come, as lines. One task reads them."""

    def __init__(self, bytes_max: int) -> None:
        """`bytes_max`: nothing more is read when this many bytes wait to be taken."""
        self._bytes_max = bytes_max
        self._bytes = bytearray()
        self._searched = 0
        self._has_ended = False
        self._news: asyncio.Future[None] | None = None
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if len(self._bytes) > self._bytes_max and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._has_ended = True
        self._wake()

    @property
    def waiting(self) -> bytes:
        """What has come and was not taken."""
        return bytes(self._bytes)

    async def next(self) -> bytes:
        """
        The next line, without its end.

        Raises:
            EOFError: When the stream ends before a line does; `waiting` has what came.
            TooLong: When more than `bytes_max` bytes come before its end.
        """
        while (end := self._bytes.find(b"\n", self._searched)) < 0:
            self._searched = len(self._bytes)
            if len(self._bytes) > self._bytes_max:
                raise TooLong
            if self._has_ended:
                raise EOFError
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Log(asyncio.Protocol):
    """
    Bytes that come, appended to a file, which is made when the first comes.

    When the file has `bytes_max` bytes, what follows is read and dropped, so that nobody who writes
    to it has to wait. A disk that refuses them is treated alike.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file: IO[bytes] | None = None
        self._is_full = False
        self._tail = b""
        self.has_ended = False

    @property
    def last_line(self) -> str:
        """The last line that was said and is not blank; empty without one."""
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def data_received(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-TAIL_BYTES_MAX:]
        if not self._is_full:
            try:
                self._append(data)
            except OSError:
                self._is_full = True

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = self._is_full = True
        if self._file is not None:
            self._file.close()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = os.fdopen(os.open(self._path, _FLAGS, 0o644), "ab", buffering=0)
        room = self._bytes_max - self._file.seek(0, os.SEEK_END)
        self._file.write(data[: max(room, 0)])
        if len(data) >= room:
            self._is_full = True
            if room > 0:
                words = f"\n(the rest is left out: the file has {self._bytes_max:,} bytes)\n"
                self._file.write(words.encode())
