"""What a format gets: a run, or a history file, with everything that is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from dissever.harness.history import History
from dissever.harness.results import Results
from dissever.reports.figures import Figures
from dissever.reports.subject import Subject

CHUNK_BYTES: Final = 1 << 16
"""A format gives its text in pieces of about this size."""


class CannotExport(Exception):
    """This cannot be written in this format here; the message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Record:
    """
    One run, or one history file.

    `results` is None where nothing was judged, and `why_unjudged` says why. `digest` is that of the
    history file, in hexadecimal. `counted` are the figures of the whole, where `history` is a part.
    `directory` and `page` are paths as the reader may use them, and `program` is what they type to
    start dissever.
    """

    subject: Subject
    history: History
    results: Results | None
    digest: str
    why_unjudged: str = ""
    counted: Figures | None = None
    directory: str = ""
    page: str | None = None
    program: str = "dissever"


Write: TypeAlias = Callable[[Sequence[Record]], Iterator[bytes]]
"""The bytes of a format in pieces. It raises CannotExport before the first piece."""


@dataclass(frozen=True, slots=True)
class Format:
    """
    What a format is: `what` is for the help of the command.

    `of_verdicts`: it tells what came of any number of runs. Else it holds the whole history of one.
    `is_text`: a terminal can show it.
    """

    what: str
    write: Write
    of_verdicts: bool = False
    is_text: bool = True


def joined(pieces: Iterator[str]) -> Iterator[bytes]:
    """Texts as bytes, put together to pieces of about CHUNK_BYTES."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield "".join(held).encode("utf-8", "surrogatepass")
            held, size = [], 0
    yield "".join(held).encode("utf-8", "surrogatepass")


def json_text(value: Any) -> str:
    """A value as JSON on one line, also with integers and texts that are no longer plain JSON."""
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, UnicodeEncodeError):  # Over 64 bits; halves of surrogate pairs.
        return json.dumps(value, separators=(",", ":"))
