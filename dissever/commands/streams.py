"""
Standard output and standard error that never decide how a command ends.

A closed pipe, a full disk, a terminal that went away or one that knows only ASCII must not change
the exit status, which is the verdict. So what cannot be written is dropped, and characters that the
terminal does not have are written as their numbers. Rich, click and logging all write through here.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO


class Sturdy(io.TextIOBase):
    """A text stream whose `write` and `flush` never fail. `lost` says why nothing is written."""

    def __init__(self, inner: TextIO | None) -> None:
        self._inner = inner
        self.lost: OSError | ValueError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return (self._inner and self._inner.encoding) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return self._inner is not None and self._inner.isatty()
        return False

    def fileno(self) -> int:
        if self._inner is None:
            raise io.UnsupportedOperation("the stream was closed before the program began")
        return self._inner.fileno()

    @property
    def buffer(self) -> BinaryIO:
        """For bytes. Unlike here, what cannot be written there raises OSError."""
        if self._inner is None:
            raise io.UnsupportedOperation("the stream was closed before the program began")
        return self._inner.buffer

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._inner is None or self.lost is not None:
            return len(text)
        try:
            try:
                self._inner.write(text)
            except UnicodeEncodeError:
                known = text.encode(self.encoding, self.errors).decode(self.encoding)
                self._inner.write(known)
        except (OSError, ValueError) as error:  # ValueError: it was closed.
            self.lost = error
        return len(text)

    def flush(self) -> None:
        if self._inner is None or self.lost is not None:
            return
        try:
            self._inner.flush()
        except (OSError, ValueError) as error:
            self.lost = error

    def let_go(self) -> None:
        """Flush for the last time. What cannot be written is dropped, or Python would complain."""
        self.flush()
        if self.lost is None:
            return
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), self.fileno())


@contextlib.contextmanager
def sturdy_streams() -> Iterator[tuple[Sturdy, Sturdy]]:
    """Standard output and standard error that never fail, while it lasts."""
    _open_closed_descriptors()
    before = sys.stdout, sys.stderr
    out, err = Sturdy(sys.stdout), Sturdy(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before
        out.let_go()
        err.let_go()


def _open_closed_descriptors() -> None:
    """
    Put something harmless where the caller closed a standard stream (`>&-`).

    Otherwise the next file that is opened, such as a history, gets that number, and whatever a
    library prints ends up in it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
