"""
EDN, as far as histories need it: a reader that names line and column, and a writer.

Keywords and symbols are texts of a class of their own, so that `:read` and "read" differ until a
format decides that they do not. Tagged elements are their form; ratios and set literals are read.

Source: github.com/edn-format/edn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

DEPTH_MAX: Final = 100


class EdnError(ValueError):
    """Text that is not EDN, and the offset where that shows."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        super().__init__(message)


class Keyword(str):
    """`:read`; the text is without the colon."""

    __slots__ = ()


class Symbol(str):
    """A bare word."""

    __slots__ = ()


_SKIP: Final = re.compile(r"(?:[\s,]|;[^\n]*)+")
_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<open>\#\{|[\[({])|(?P<close>[\])}])|(?P<discard>\#_)|(?P<tag>\#[A-Za-z][^\s,;\"(){}\[\]]*)"
    r"|(?P<character>\\(?:newline|space|tab|return|u[0-9a-fA-F]{4}|\S))"
    r"|(?P<atom>[^\s,;\"(){}\[\]\\#][^\s,;\"(){}\[\]]*)",
    re.DOTALL,
)
_INTEGER: Final = re.compile(r"[+-]?\d+N?\Z")
_FLOAT: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?\Z")
_RATIO: Final = re.compile(r"([+-]?\d+)/(\d+)\Z")
_CLOSING: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_WORDS: Final = {"nil": None, "true": True, "false": False}
_CHARACTERS: Final = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}


def read_forms(text: str) -> Iterator[tuple[Any, int]]:
    """
    Each form at the top level, with its offset.

    Raises:
        EdnError: Where the text is no EDN; forms before it were given.
    """
    reader = _Reader(text)
    while not reader.at_end():
        start = reader.offset
        form = reader.form(0)
        if form is not _NOTHING:
            yield form, start


_NOTHING: Final = object()


class _Reader:
    """A recursive descent over tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0

    def at_end(self) -> bool:
        skipped = _SKIP.match(self.text, self.offset)
        if skipped:
            self.offset = skipped.end()
        return self.offset >= len(self.text)

    def fail(self, message: str, offset: int | None = None) -> EdnError:
        return EdnError(message, self.text, self.offset if offset is None else offset)

    def token(self, expected: str) -> tuple[str, str]:
        if self.at_end():
            raise self.fail(f"expected {expected}, the text ends")
        match = _TOKEN.match(self.text, self.offset)
        if match is None:
            raise self.fail(f"expected {expected}, got {self.text[self.offset]!r}")
        self.offset = match.end()
        assert match.lastgroup is not None
        return match.lastgroup, match.group()

    def form(self, depth: int) -> Any:
        """One form, or _NOTHING for a discarded one."""
        if depth > DEPTH_MAX:
            raise self.fail(f"expected at most {DEPTH_MAX} levels")
        kind, token = self.token("a form")
        start = self.offset - len(token)
        if kind == "open":
            return self.collection(token, start, depth)
        if kind == "close":
            raise self.fail(f"expected a form, got {token!r}", start)
        if kind == "discard":
            self.present(depth)
            return _NOTHING
        if kind == "tag":
            return self.present(depth)
        if kind == "string":
            return self.string(token, start)
        if kind == "character":
            return self.character(token)
        return self.atom(token, start)

    def present(self, depth: int) -> Any:
        """The next form that is not discarded."""
        form = _NOTHING
        while form is _NOTHING:
            form = self.form(depth + 1)
        return form

    def collection(self, opening: str, start: int, depth: int) -> Any:
        closing = _CLOSING[opening]
        items: list[Any] = []
        while True:
            if self.at_end():
                raise self.fail(f"{opening!r} is never closed", start)
            if self.text[self.offset] in "])}":
                break
            item = self.form(depth + 1)
            if item is not _NOTHING:
                items.append(item)
        if self.text[self.offset] != closing:
            raise self.fail(f"expected {closing!r}, got {self.text[self.offset]!r}")
        self.offset += 1
        return self.pairs(items, start) if opening == "{" else items

    def pairs(self, items: list[Any], start: int) -> dict[Any, Any]:
        if len(items) % 2:
            raise self.fail("a map has a key without a value", start)
        keys = items[::2]
        if any(isinstance(key, list | dict) for key in keys):
            raise self.fail("expected simple keys in a map", start)
        return dict(zip(keys, items[1::2], strict=True))

    def string(self, token: str, start: int) -> str:
        try:
            text = json.loads(token, strict=False)
        except ValueError:
            raise self.fail("a string has an unknown escape", start) from None
        assert isinstance(text, str)
        return text

    def character(self, token: str) -> str:
        name = token[1:]
        if len(name) == 5:
            return _CHARACTERS.get(name) or chr(int(name[1:], 16))
        return _CHARACTERS.get(name, name)

    def atom(self, token: str, start: int) -> Any:
        if token in _WORDS:
            return _WORDS[token]
        if token.startswith(":"):
            return Keyword(token[1:])
        if _INTEGER.match(token):
            return int(token.rstrip("N"))
        if _FLOAT.match(token):
            return float(token.rstrip("M"))
        ratio = _RATIO.match(token)
        if ratio and int(ratio[2]):
            return int(ratio[1]) / int(ratio[2])
        if token[0].isdigit():
            raise self.fail(f"expected a number, got {token!r}", start)
        return Symbol(token)


def write(value: Any) -> str:
    """A value on one line. Texts of class Keyword and Symbol are written as such."""
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, Keyword):
        return f":{value}"
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        pairs = (f"{write(key)} {write(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + " ".join(write(item) for item in value) + "]"
