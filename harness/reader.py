"""
Histories in files, of every size: our own JSON lines, JSON, EDN, logs, and Porcupine's texts.

The content of a file decides its format, and whether it is compressed. Every error names its place;
what was left out, changed or made up is noted. A file without times gets 1 ms an event, because the
position is the order.

Source: `native/load/load.h`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dissever.harness.compression import CompressionError, decompressed
from dissever.harness.history import History, MalformedHistory, Rows
from dissever.native.load import LoadError, load


class Format(StrEnum):
    """What can be read. EDN is maps or tuples one after another, or vectors of them."""

    JSON_LINES = "json lines"
    JSON_ARRAY = "json array"
    EDN = "edn"
    LOG = "log"
    JSON_OBJECTS = "json objects"
    DBCOP_JSON = "dbcop json"
    DBCOP_TEXT = "dbcop text"
    PLUME = "plume text"


class FormatError(ValueError):
    """A file that is no history, with line and column, counted from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A history, the format it came in, and what was dropped or made up, one sentence each.

    `nodes` are those that events name, by first use. `open_max` is how many operations were open
    at once, at most. `misnumbered` is the first position of an event whose index is another number;
    None when there is none, as in a whole journal of ours. `cut_line` is the last line, where it is
    cut off: then the end of the history is missing.
    """

    history: History
    format: Format
    notes: tuple[str, ...]
    nodes: tuple[str, ...]
    open_max: int
    misnumbered: int | None
    cut_line: int | None


def read_history(
    source: Path | bytes, *, keyed: bool = False, transactions: bool | None = None
) -> Loaded:
    """
    Read a file, or the bytes of one. A last JSON line that is cut off is left out, and noted.

    Args:
        keyed: Values of clients are pairs [key value] of many independent objects.
        transactions: Whether values of clients are lists of micro-operations, so that
            `History.micro` is made while the file is read. None: as the first operation looks; if
            another is none, it is an ordinary history.

    Raises:
        OSError: When the file cannot be read.
        FormatError: When it is no history.
        MalformedHistory: When no run can have recorded it.
    """
    try:
        with _bytes_of(source) as data:
            plain = decompressed(data)
            loaded = load(
                plain or data,
                keyed=keyed,
                transactions=transactions,
                is_mapped=not plain and isinstance(data, memoryview),
            )
    except CompressionError as error:
        raise FormatError(str(error), 1, 1) from error
    except LoadError as error:
        if error.index is None:
            raise FormatError(error.message, error.line, error.column) from error
        raise MalformedHistory(error.message, error.index) from error
    return Loaded(
        History(rows=Rows.of(loaded), is_timed=loaded.is_timed),
        Format(loaded.format),
        loaded.notes,
        loaded.nodes,
        loaded.open_max,
        loaded.misnumbered,
        loaded.cut_line,
    )


@contextmanager
def _bytes_of(source: Path | bytes) -> Iterator[bytes | memoryview]:
    """The bytes; a file is mapped, so that its text takes no memory of ours."""
    if isinstance(source, bytes):
        yield source
    elif not source.is_file() or source.stat().st_size == 0:  # A pipe cannot be mapped.
        yield source.read_bytes()
    else:
        with (
            source.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
        ):
            yield view
