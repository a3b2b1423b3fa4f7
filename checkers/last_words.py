"""
The last words of a process: the end of what it wrote, from its last line that is fatal.

Lines come from a node, so all that would drive a terminal is written as its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.run_checker import NodeLog
from dissever.harness.values import printable, shorten

LINES_READ: Final = 500
LINES_MAX: Final = 12
CHARACTERS_MAX: Final = 400

FATAL: Final = re.compile(
    r"Assertion|assert(?:ion)? failed|ended by signal|AddressSanitizer|runtime error"
    r"|\bpanic(?:ked)?\b|[Ff]atal|FATAL|SIG(?:SEGV|ABRT|BUS|ILL|FPE)|Segmentation fault|\bAborted\b"
)
"""A line with which the last words of a process begin."""

COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m")
"""What sets the colour of a terminal. It ends in a letter, which is no part of the next word."""

STDERR: Final = "stderr"


@dataclass(frozen=True, slots=True)
class LastWords:
    """
    Some lines of a log: the first is line `first` of the file at `path`, counted from 1.

    `fatal` is the position of the line that says what was fatal; None: no line does.
    """

    path: str = ""
    first: int = 1
    lines: tuple[str, ...] = ()
    fatal: int | None = None


def last_words(node: str, incarnation: int, logs: Sequence[NodeLog]) -> LastWords:
    """
    What a process wrote last: a log with a fatal line first, then stderr, then any other.

    Where no log belongs to one process alone, those of its node are read, for a fatal line only:
    nobody knows which process wrote the others.
    """
    own = [log for log in logs if log.node == node]
    of_process = [log for log in own if log.path.endswith(f"-{incarnation}.log")]
    found = [words for log in of_process or own if (words := _of(log)).lines]
    fatal = [words for words in found if words.fatal is not None]
    of_stderr = [words for words in found if STDERR in words.path.rpartition("/")[2]]
    return next(iter([*fatal, *((of_stderr or found) if of_process else ())]), LastWords())


def cited(words: LastWords) -> Iterator[str]:
    """Each line from the fatal one on, with its place; none without a fatal one."""
    if words.fatal is not None:
        for number, line in enumerate(words.lines[words.fatal :], words.first + words.fatal):
            yield f"{words.path}:{number}: {line}"


def _of(log: NodeLog) -> LastWords:
    """The end of a log, without what stands before its last fatal line unless there is room."""
    lines = log.last(2 * LINES_READ)  # More than are read: blank ones at the end do not count.
    while lines and not lines[-1][1].strip():
        lines.pop()
    lines = lines[-LINES_READ:]
    places = reversed(range(len(lines)))
    fatal = next((place for place in places if _is_fatal(lines[place][1])), None)
    begin = max(0, len(lines) - LINES_MAX)
    if fatal is not None:
        begin = min(begin, fatal)
    shown = lines[begin : begin + LINES_MAX]
    return LastWords(
        log.path,
        shown[0][0] if shown else 1,
        tuple(shorten(printable(line.rstrip(), keep="\t"), CHARACTERS_MAX) for _, line in shown),
        None if fatal is None else fatal - begin,
    )


def _is_fatal(line: str) -> bool:
    return FATAL.search(COLOUR.sub("", line)) is not None
