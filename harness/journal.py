"""
The history on disk while it is made: one JSON line per event, written before the run goes on.

Every line is one `write` to the operating system. When the harness is killed, at most the line that
is being written is lost; a machine that loses power may lose more, since nothing is synced.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from dissever.harness.history import Event


class NotJson(ValueError):
    """An event holds a value that no JSON file can hold; nothing of it was written."""


class Journal:
    """An open history file. Use it with `with`."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            FileExistsError: When there is a history already; a run never overwrites one.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644)
        self._encode = msgspec.json.Encoder().encode_into
        self._line = bytearray(4096)

    def __call__(self, event: Event) -> None:
        """
        Write an event.

        Raises:
            NotJson: When one of its values is not a JSON value.
            OSError: When the disk refuses it.
        """
        line = self._line
        try:
            self._encode(event, line)
        except (TypeError, ValueError, RecursionError) as error:  # Types, lone surrogates, loops.
            raise NotJson(f"event {event.index}: {error}") from error
        line += b"\n"
        if os.write(self._fd, line) != len(line):
            raise OSError(f"only part of event {event.index} fits on the disk")

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
