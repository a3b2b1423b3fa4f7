"""docs/dqlite/go-names.md: what it says of Go is whole, and what it says of Python exists."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "dqlite" / "go-names.md"
MODULE = "github.com/canonical/go-dqlite/v3"
VERSION = "v3.0.4"

ROW = re.compile(r"\| `([^`]+)` \| (?:`([^`]+)`|none) \|")
SECTION = re.compile(r"## (?:Package )?(\S+)")
EXPORTED = re.compile(
    r"(?m)^(?:func \(\w+ \*?([A-Z]\w*)\) ([A-Z]\w*)\("
    r"|(?:func|type|var|const) ([A-Z]\w*)\b"
    r"|\t([A-Z]\w*)(?: +[\w.]+)? += )"
)
"""A method, a declaration of its own, or one of a block."""


def table() -> Mapping[str, Mapping[str, str | None]]:
    """By package: the names of Go, and ours; None for `none`."""
    packages: dict[str, dict[str, str | None]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if section := SECTION.match(line):
            rows = packages.setdefault(section[1], {})
        elif row := ROW.match(line):
            assert row[1] not in rows, f"twice: {row[1]}"
            rows[row[1]] = row[2]
    return packages


def resolved(name: str) -> object:
    """What a dotted name stands for; modules are imported as far as there are any."""
    path, _, argument = name.partition("(")
    words = path.split(".")
    found: object = importlib.import_module(words[0])
    for number, word in enumerate(words[1:], start=2):
        try:
            found = getattr(found, word)
        except AttributeError:
            if dataclasses.is_dataclass(found) and word in found.__dataclass_fields__:
                return found
            if word in getattr(found, "__annotations__", {}):
                return found
            found = importlib.import_module(".".join(words[:number]))
    if argument:
        assert argument.removesuffix("=)") in inspect.signature(found).parameters  # type: ignore[arg-type]
    return found


def exists(name: str) -> bool:
    try:
        return resolved(name) is not None
    except (AttributeError, ImportError, AssertionError):
        return False


def test_names_of_ours_exist() -> None:
    names = {name for rows in table().values() for name in rows.values() if name}

    assert [name for name in sorted(names) if not exists(name)] == []


@pytest.mark.parametrize("name", ["dqlite.Nothing", "dqlite.Node.nothing", "dqlite.Node(nothing=)"])
def test_name_that_does_not_exist_is_seen(name: str) -> None:
    assert not exists(name)


@pytest.mark.parametrize("package", [package for package in table() if package != "v0.0.1"])
def test_no_exported_name_of_go_is_left_out(package: str) -> None:
    modules = os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod"
    source = Path(modules) / f"{MODULE}@{VERSION}"
    if not source.exists():
        pytest.skip(f"{source} is missing: scripts/interop-tools go-3.0.4 fetches it")

    folder = source if package == "dqlite" else source / package
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in folder.glob("*.go")
        if not path.name.endswith("_test.go")
    )
    names = {
        f"{match[1]}.{match[2]}" if match[1] else match[3] or match[4]
        for match in EXPORTED.finditer(text)
    }
    assert len(names) > 3
    assert names - table()[package].keys() - LEVELS == set()


LEVELS = {"LogNone", "LogDebug", "LogInfo", "LogWarn", "LogError"} | {
    "None", "Debug", "Info", "Warn", "Error",
}  # fmt: skip
"""Levels of logs stand in the page as one row, `LogLevel` and `Level`."""
