"""The page of known bugs: every bug and every library has its cell, and says what came of it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from dissever.systems.dqlite.bugs import BUGS

PATH = Path(__file__).parents[2] / "benchmarks" / "known_bugs.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("known_bugs_page", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = load()


def cell(outcome: str, *, release: str = "1.11.1", is_expected: bool | None = True) -> Any:
    return {
        "outcome": outcome,
        "release": release,
        "seconds": 12.3,
        "attempts": 3,
        "is_expected": is_expected,
        "seen": ["n1 leads", "report: /tmp/x"],
        "command": "dissever reproduce returning",
    }


def rows(page: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {line[0].partition("`")[2].partition("`")[0]: line[1:] for line in lines}


def test_every_bug_has_a_row_a_section_and_a_cell_for_each_library() -> None:
    page = PAGE.page({})

    assert set(rows(page)) - {""} == set(BUGS)
    assert all(len(cells) == len(PAGE.LIBRARIES) for cells in rows(page).values())
    assert rows(page)["returning"] == ["not tried"] * len(PAGE.LIBRARIES)
    assert all(f"\n## {name}\n" in page for name in BUGS)


def test_cells_say_what_came_of_it() -> None:
    page = PAGE.page(
        {
            "returning here": cell("shown"),
            "returning debian13": cell("not shown", release="1.18.1", is_expected=False),
            "returning sid": cell("cannot run here", release="", is_expected=None),
        }
    )

    assert rows(page)["returning"] == [
        "**shown**, 12 s",
        "not tried",
        "- in 12 s, 3 attempts *!*",
        "cannot run: report: /tmp/x",
    ]
    assert "| bug | 1.11.1, namespaces | ? (debian12) | 1.18.1 (debian13) | ? (sid) |" in page
    assert "$ dissever reproduce returning    # libdqlite 1.11.1\nn1 leads\n```" in page


def test_page_in_the_docs_is_that_of_its_cells() -> None:
    cells = json.loads(PAGE.CELLS.read_text())

    assert PAGE.PAGE.read_text(encoding="utf-8") == PAGE.page(cells)
