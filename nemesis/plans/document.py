"""
YAML as far as plans need it: each value with its line in the file, and limits on everything.

Only mappings, lists, texts, numbers, true, false and null. Aliases are refused: nine of them, one
inside another, make 436 bytes a billion values. Errors name the line, and what was expected there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import yaml  # type: ignore[import-untyped]  # Its stubs are a package of their own.

from dissever.harness.durations import seconds
from dissever.harness.values import quoted

__all__ = ["Item", "in_seconds", "read_document"]

CHARS_MAX: Final = 1 << 20
VALUES_MAX: Final = 50_000
DEPTH_MAX: Final = 16

_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")
)


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file: a mapping of texts to items, a tuple of items, or a plain one."""

    value: Any
    line: int

    @property
    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.value, Mapping):
            return {name: each.plain for name, each in self.value.items()}
        if isinstance(self.value, tuple):
            return [each.plain for each in self.value]
        return self.value

    @property
    def kind(self) -> str:
        """What it is, with the value where it is short."""
        if isinstance(self.value, Mapping):
            return "a mapping"
        return "a list" if isinstance(self.value, tuple) else quoted(self.value)


def in_seconds(item: Item, *names: str) -> Item:
    """
    A mapping with the durations that stand under these names in seconds: `1m30s` becomes 90.0.

    What is no duration stays as it is: the check of the mapping reports it.
    """
    if not isinstance(item.value, Mapping):
        return item
    return Item(
        {name: _seconds(each) if name in names else each for name, each in item.value.items()},
        item.line,
    )


def _seconds(item: Item) -> Item:
    if not isinstance(item.value, str):
        return item
    try:
        return Item(seconds(item.value), item.line)
    except ValueError:
        return item


def read_document(text: str) -> Item:
    """
    Read one document.

    Raises:
        ValueError: When it is no YAML, or goes beyond the limits; the message names the line.
    """
    if len(text) > CHARS_MAX:
        raise ValueError(f"expected at most {CHARS_MAX:,} characters, got {len(text):,}")
    if text.startswith("{"):  # JSON is YAML, too; a program that writes it has nothing to explain.
        with suppress(msgspec.DecodeError, RecursionError):
            return _of_json(msgspec.json.decode(text), DEPTH_MAX)
    try:
        _check_limits(yaml.parse(text, Loader=yaml.SafeLoader))
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ValueError(_unread(text, error)) from None
    if root is None:
        raise ValueError("line 1: expected a mapping with faults, got an empty file")
    return _item(root, loader)


def _of_json(value: Any, depth: int) -> Item:
    """Raises ValueError beyond the limit of levels. Nobody knows the lines."""
    if depth < 0:
        raise ValueError(f"line 1: expected at most {DEPTH_MAX} levels, got more")
    if isinstance(value, dict):
        return Item({name: _of_json(each, depth - 1) for name, each in value.items()}, 1)
    if isinstance(value, list):
        return Item(tuple(_of_json(each, depth - 1) for each in value), 1)
    return Item(value, 1)


def _check_limits(events: Iterator[Any]) -> None:
    depth = 0
    for count, event in enumerate(events):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(
                f"line {line}: expected the value itself, got the alias *{event.anchor}"
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise ValueError(f"line {line}: expected at most {DEPTH_MAX} levels, got more")
        if count > VALUES_MAX:
            raise ValueError(f"line {line}: expected at most {VALUES_MAX:,} values, got more")


def _unread(text: str, error: yaml.YAMLError) -> str:
    """Which line is no YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        number = mark.line + 1
    else:  # A character that no YAML may have: only its position is known.
        number = text.count("\n", 0, getattr(error, "position", 0)) + 1
    lines = text.splitlines()
    line = lines[number - 1].strip() if number <= len(lines) else "the end of the file"
    return f"line {number}: expected YAML, but this cannot be read: {quoted(line)}"


def _item(node: yaml.Node, loader: yaml.SafeLoader) -> Item:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Item(tuple(_item(each, loader) for each in node.value), line)
    if isinstance(node, yaml.MappingNode):
        items: dict[str, Item] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"line {at}: expected a name before the colon, got {key.id}")
            if key.value in items:
                raise ValueError(f"line {at}: {quoted(key.value)} is there twice")
            items[key.value] = Item(_item(value, loader).value, at)
        return Item(items, line)
    if node.tag not in _TAGS:
        what = "a text, a number, true or false"
        raise ValueError(f"line {line}: expected {what}, got {quoted(node.value)}")
    try:
        return Item(loader.construct_object(node), line)
    except (yaml.YAMLError, ValueError):
        raise ValueError(f"line {line}: expected a value, got {quoted(node.value)}") from None
