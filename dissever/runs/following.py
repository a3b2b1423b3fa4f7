"""
A file that grows, read as a stream: what came since the last look, and never more than a little.

What follows a file of 1 GB has read it once, in parts, after some looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

LOOK_BYTES: Final = 8 << 20
"""How much is read at most in one look."""

PART_BYTES: Final = 1 << 20
LINE_BYTES_MAX: Final = 32 << 20


class LineTooLong(ValueError):
    """A file whose line does not end."""


class Follower:
    """Hands on the whole lines of a file, each once, as they come."""

    def __init__(self, hear: Callable[[Sequence[bytes]], None]) -> None:
        self.read_bytes = 0
        """How far it has read."""

        self.size_bytes = 0
        """Of the file, when it last looked."""

        self._hear = hear
        self._rest = b""

    def look(self, descriptor: int, bytes_max: int = LOOK_BYTES) -> None:
        """
        Read on.

        Args:
            descriptor: The open file: it need not be the same one each time.

        Raises:
            LineTooLong: When a line does not end.
            OSError: When it cannot be read.
        """
        self.size_bytes = os.fstat(descriptor).st_size
        end = min(self.size_bytes, self.read_bytes + bytes_max)
        while self.read_bytes < end:
            part = os.pread(descriptor, min(PART_BYTES, end - self.read_bytes), self.read_bytes)
            if not part:  # It was cut.
                return
            self.read_bytes += len(part)
            *lines, self._rest = (self._rest + part).split(b"\n")
            if len(self._rest) > LINE_BYTES_MAX:
                raise LineTooLong(f"expected lines of at most {LINE_BYTES_MAX:,} bytes")
            self._hear(lines)


def tail(descriptor: int, bytes_max: int) -> bytes:
    """The end of an open file."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, bytes_max, max(0, size - bytes_max))
