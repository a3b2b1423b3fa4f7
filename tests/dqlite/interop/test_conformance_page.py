"""docs/dqlite/conformance.md names tests that exist, and leaves out none of go-dqlite's."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parents[1] / "docs" / "dqlite" / "conformance.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(\S+\.py::\w+)`", PAGE)))

MODULE = "github.com/canonical/go-dqlite/v3@v3.0.4"


@cache
def functions(path: Path) -> frozenset[str]:
    """Of a file of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_page_names_tests() -> None:
    assert len(NAMED) > 50


def test_tests_of_ours_exist() -> None:
    named = [name.split("::") for name in NAMED]

    assert [each for each in named if each[1] not in functions(TESTS / each[0])] == []


def test_no_test_of_go_is_left_out() -> None:
    modules = os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod"
    source = Path(modules) / MODULE
    if not source.exists():
        pytest.skip(f"{source} is missing: scripts/interop-tools go-3.0.4 fetches it")
    names = {
        name
        for path in source.rglob("*_test.go")
        for name in re.findall(r"(?m)^func ((?:Test|Example)\w+)", path.read_text(encoding="utf-8"))
    } | {f"test/{path.name}" for path in (source / "test").glob("*.sh") if "util" not in path.name}

    assert len(names) > 100
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
