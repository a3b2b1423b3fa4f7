"""
The log of a node as a file that is read in parts: of any size, in a few megabytes of memory.

A line ends with a line feed, and a carriage return before it belongs to its end: so the number of a
line is the one that editors, `grep -n` and `sed` know it by. Bytes that are no UTF-8 are shown as
the replacement character. A line of more than LINE_BYTES_MAX is given in part: its beginning, and
what stands around each word that was searched for.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dissever.harness.files import open_file
from dissever.native.lines import Words

CHUNK_BYTES: Final = 1 << 20
LINE_BYTES_MAX: Final = CHUNK_BYTES
TAIL_BYTES_MAX: Final = 1 << 20
"""How far from its end the last lines are looked for."""

HEAD_BYTES: Final = 4096
BEFORE_BYTES: Final = 64
AFTER_BYTES: Final = 448
PARTS_MAX: Final = 1000
"""
What is kept of a long line: its first HEAD_BYTES, and of each of its first PARTS_MAX words the
BEFORE_BYTES in front and the AFTER_BYTES from there on.
"""

CUT: Final = " … "
"""Stands where a part of a long line was left out."""


@dataclass(frozen=True, slots=True)
class Found:
    """A line that holds a word: its number from 1, the byte at which it begins, its text."""

    number: int
    place: int
    text: str


class LogFile:
    """The lines of a file, read whenever they are asked for. The file must not change meanwhile."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: When it cannot be read, or is no file: a link and a pipe are none.
        """
        self.path: Final = path
        with self._open() as file:
            self.size_bytes: Final = os.fstat(file.fileno()).st_size
        self._count: int | None = None
        self._marks: list[tuple[int, int]] = []

    def __len__(self) -> int:
        """How many lines it has. It reads the file once."""
        if self._count is None:
            place, feeds, last, marks = 0, 0, b"\n", []
            with self._open() as file:
                while chunk := file.read(CHUNK_BYTES):
                    marks.append((place, feeds + 1))
                    place += len(chunk)
                    feeds += chunk.count(b"\n")
                    last = chunk[-1:]
            self._count, self._marks = feeds + (last != b"\n"), marks
        return self._count

    def __iter__(self) -> Iterator[str]:
        """Every line."""
        long = b""
        for block, is_part, is_over in self._blocks():
            if is_part:
                long += block[: max(0, HEAD_BYTES - len(long))]
                if is_over:
                    yield text_of(long) + CUT
                    long = b""
            else:
                yield from map(text_of, _split(block))

    def containing(self, words: Collection[str]) -> Iterator[tuple[int, str]]:
        """The lines that hold one of the words, with their numbers from 1."""
        for found in self.find(words):
            yield found.number, found.text

    def find(self, words: Collection[str]) -> Iterator[Found]:
        """The lines that hold one of the words. It reads the file once, and counts its lines."""
        prepared = Words([word.encode() for word in words])
        number, place, long, last = 1, 0, _Long(prepared), b"\n"
        marks: list[tuple[int, int]] = []
        for block, is_part, is_over in self._blocks():
            last = block[-1:] or last
            marks.append((place, number))
            if is_part:
                long.take(block, is_over=is_over)
                place += len(block)
                if is_over:
                    if text := long.text:
                        yield Found(number, place - long.size_bytes, text)
                    number, place, long, last = number + 1, place + 1, _Long(prepared), b"\n"
                continue
            search = prepared.find(block)
            for hit in search:
                text = text_of(block[hit.start : hit.end])
                yield Found(number + hit.line, place + hit.start, text)
            number += search.feeds
            place += len(block)
        # A long line that the file ends with counts as one that was ended.
        self._count, self._marks = number - 1 + (last != b"\n"), marks

    def last(self, count: int) -> list[tuple[int, str]]:
        """The last lines with their numbers, at most `count`."""
        begin = max(0, self.size_bytes - TAIL_BYTES_MAX)
        block = self.read(begin, TAIL_BYTES_MAX)
        lines = _split(block)
        if begin > 0 and len(lines) > 1:
            del lines[0]  # It began further ahead.
        kept = [text_of(line) for line in lines[-count:]]
        return list(enumerate(kept, len(self) - len(kept) + 1))

    def read(self, place: int, size: int) -> bytes:
        """Bytes of the file from a place on."""
        with self._open() as file:
            file.seek(place)
            return file.read(size)

    def number_at(self, place: int) -> int:
        """
        The number of the line to which the byte at a place belongs.

        It reads the file up to there from the last place whose number is known: a chunk, or more
        inside a line that is too long.
        """
        len(self)
        if not self._marks:
            return 1
        begin, number = self._marks[bisect_right(self._marks, (place, self.size_bytes + 1)) - 1]
        return number + self.read(begin, place - begin).count(b"\n")

    def _open(self) -> BinaryIO:
        """The file: nothing that a node put there instead is followed or waited for."""
        return os.fdopen(open_file(self.path, follows_links=False), "rb", buffering=0)

    def _blocks(self) -> Iterator[tuple[bytes, bool, bool]]:
        """
        The file in blocks of whole lines, and lines that are too long in parts.

        Yields:
            The bytes; whether they are a part of a line; whether they are its last part. The line
            feed that ends such a line is in none of them.
        """
        rest, is_long = b"", False
        with self._open() as file:
            while chunk := file.read(CHUNK_BYTES):
                if is_long:
                    part, feed, chunk = chunk.partition(b"\n")
                    yield part, True, bool(feed)
                    is_long = not feed
                    if is_long:
                        continue
                rest += chunk
                end = rest.rfind(b"\n") + 1
                if end:
                    yield rest[:end], False, True
                    rest = rest[end:]
                if len(rest) > LINE_BYTES_MAX:
                    yield rest, True, False
                    rest, is_long = b"", True
        if is_long:
            yield b"", True, True
        elif rest:
            yield rest, False, True


class _Long:
    """A line that is too long: what is kept of it while it is read in parts."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._head = b""
        self._rest = b""
        self._seen = 0
        self._parts: list[bytes] = []
        self.size_bytes = 0

    @property
    def text(self) -> str:
        """Its beginning and what stands around words; empty when it holds none."""
        parts = map(text_of, (self._head, *self._parts)) if self._parts else ()
        return CUT.join(parts)

    def take(self, part: bytes, *, is_over: bool) -> None:
        """Take in what comes next. The end of a part waits: a word may go on in the next."""
        self.size_bytes += len(part)
        self._head += part[: max(0, HEAD_BYTES - len(self._head))]
        text = self._rest + part
        limit = len(text) if is_over else max(0, len(text) - AFTER_BYTES)
        for hit in self._words.find(text, each=True):
            if self._seen <= hit.place < limit and len(self._parts) < PARTS_MAX:
                self._parts.append(text[max(0, hit.place - BEFORE_BYTES) : hit.place + AFTER_BYTES])
        self._seen = min(limit, BEFORE_BYTES)
        self._rest = text[limit - self._seen :]


def _split(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    if not lines[-1]:
        del lines[-1]
    return lines


def text_of(line: bytes) -> str:
    """The text of a line that was read without its line feed."""
    return line.removesuffix(b"\r").decode(errors="replace")
