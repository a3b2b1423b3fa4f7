"""The public generators: each is in the documentation, and shows how it is used."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from dissever.harness import generator

PAGE = Path(__file__).parents[3] / "docs" / "generators.md"

COMBINATORS = [
    name
    for name in generator.__all__
    if inspect.isfunction(getattr(generator, name)) and name != "validated"
]


def test_page_has_a_line_for_each_generator_and_for_nothing_else() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    assert [row.split("`")[1] for row in rows] == COMBINATORS
    assert all(f"{name}(" in row for name, row in zip(COMBINATORS, rows, strict=True))


@pytest.mark.parametrize("name", COMBINATORS[1:])
def test_docstring_shows_an_example(name: str) -> None:
    docstring = inspect.getdoc(getattr(generator, name)) or ""

    assert f"{name}(" in docstring
