"""
Which lines of a text hold one of some words, found in C in one pass.

The one decision that is not obvious: it finds lines and judges none. What a line means is decided
by an expression on the line alone. The only part that C has in a verdict is to pass over lines that
hold none of the words.

Source: `lines.h`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dissever.native._search import ffi, lib

Text: TypeAlias = bytes | bytearray | memoryview

WORD_BYTES_MIN: Final[int] = lib.LINES_WORD_BYTES_MIN
WORDS_MAX: Final[int] = lib.LINES_WORDS_MAX

_HITS: Final = 1024


@dataclass(frozen=True, slots=True)
class Hit:
    """
    A line that holds a word. `line` counts the line feeds before it; `start`, `end` (the line feed
    is not in it) and `place`, of the word, are bytes of the text.
    """

    line: int
    start: int
    end: int
    place: int


class Words:
    """Words to be searched for, prepared once. Equal ones count once."""

    def __init__(self, words: Collection[bytes]) -> None:
        """
        Args:
            words: At most WORDS_MAX, of 4 to 64 bytes.

        Raises:
            ValueError: When they are others.
        """
        different = sorted(set(words))
        self._words = ffi.new("struct lines_words *")
        sizes = ffi.new("int32_t[]", [len(word) for word in different])
        text = ffi.from_buffer("uint8_t[]", b"".join(different))
        if lib.lines_prepare(self._words, text, sizes, len(different)):
            raise ValueError(f"expected 1 to {WORDS_MAX} words of 4 to 64 bytes, got {different}")

    def find(self, text: Text, *, each: bool = False) -> Search:
        """
        Begin a search; it is done when it was iterated to its end.

        Args:
            each: Every place of a word is a hit; otherwise a line is one hit, of its first word.
        """
        return Search(self._words, text, each)


class Search:
    """The hits in a text, in order. `feeds` counts its line feeds, once all hits were taken."""

    def __init__(self, words: Any, text: Text, each: bool) -> None:
        self._words = words
        self._text = text
        self._each = each
        self.feeds = 0

    def __iter__(self) -> Iterator[Hit]:
        text, size = ffi.from_buffer("uint8_t[]", self._text), len(self._text)
        hits = ffi.new("struct lines_hit[]", _HITS)
        place, feeds = ffi.new("int64_t *", 0), ffi.new("int64_t *", 0)
        is_over = False
        while not is_over:
            count = lib.lines_find(
                self._words, text, size, place[0], self._each, hits, _HITS, place, feeds
            )
            is_over = count < _HITS
            for i in range(count):
                hit = hits[i]
                yield Hit(hit.line, hit.start, hit.end, hit.place)
        self.feeds = feeds[0]
