"""
Texts in the Markdown of GitHub.

Texts may come from the system under test. Each character of them that Markdown, HTML or GitHub
(`@name`, `$math$`, links) would read is written as its number.
Source: GFM, "Entity references".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from dissever.harness.values import printable, shorten

NAME_CHARACTERS_MAX: Final = 80
SENTENCE_CHARACTERS_MAX: Final = 400
PATH_CHARACTERS_MAX: Final = 300
COMMAND_CHARACTERS_MAX: Final = 1_000

_SPECIAL: Final = re.compile(r"[^\w\s,.\-+=%/'\"();?]|_|(?<=www)\.", re.ASCII | re.IGNORECASE)


def name(text: str) -> str:
    """A text that is short enough for a cell or a heading."""
    return escaped(shorten(text, NAME_CHARACTERS_MAX))


def sentence(text: str) -> str:
    """A text that is short enough for a paragraph."""
    return escaped(shorten(text, SENTENCE_CHARACTERS_MAX))


def escaped(text: str) -> str:
    """A text that stands for itself and on one line."""
    return _SPECIAL.sub(lambda found: _number(found[0]), printable(text))


def _number(character: str) -> str:
    return f"&#{ord(character)};" if character.isascii() else character


def code(text: str) -> str:
    """A text as code inside a line."""
    return f"<code>{escaped(shorten(text, PATH_CHARACTERS_MAX))}</code>"


def block(text: str) -> Iterator[str]:
    """A text as a block of code, in a fence that it cannot close."""
    line = shorten(printable(text), COMMAND_CHARACTERS_MAX)
    longest = max((len(ticks) for ticks in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}sh"
    yield line
    yield fence


def header(heads: Sequence[str]) -> Iterator[str]:
    """The first two lines of a table."""
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
