"""What the C of the engines promises as a whole: headers, names of constants, symbols."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dissever.native._search import __file__ as library
from dissever.native._search import lib

from dissever.native import containers, registers
from dissever.native.search import _ENGINES, _STATUSES

SOURCES = Path(__file__).resolve().parents[2] / "native"
UNITS = ("containers", "registers", "search", "texts")
HEADERS = sorted(header for unit in UNITS for header in (SOURCES / unit).glob("*.h"))
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror")


def _constants(header: str, enum: str) -> set[int]:
    """The values that the library has for the constants of an enum of C."""
    text = (SOURCES / header).read_text(encoding="utf-8")
    body = re.search(rf"enum {enum} {{(.*?)}};", text, re.DOTALL)
    assert body is not None
    names = re.findall(r"\b([A-Z][A-Z_]+) =", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL))
    assert names
    return {getattr(lib, name) for name in names}


@pytest.mark.parametrize(
    ("header", "enum", "named"),
    [
        ("registers/keys.h", "keys_verdict", {each.value for each in registers.KeyVerdict}),
        ("registers/keys.h", "keys_engine", set(registers._ENGINES)),
        ("registers/keys.h", "keys_evidence", set(registers._EVIDENCE)),
        ("registers/keys.h", "keys_reason", set(registers._REASONS)),
        ("search/search.h", "search_engine", set(_ENGINES.values())),
        ("search/search.h", "search_status", set(_STATUSES)),
        ("containers/containers.h", "containers_kind", {each.value for each in containers.Kind}),
        ("containers/containers.h", "containers_rule", {each.value for each in containers.Rule}),
    ],
)
def test_every_constant_of_c_has_a_name_in_python(header: str, enum: str, named: set[int]) -> None:
    assert named == _constants(header, enum)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: str(header.relative_to(SOURCES)))
def test_a_header_stands_alone_and_opens_with_its_name(header: Path, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path / "program.c"
    program.write_text(f'#include "{header.name}"\n')
    includes = [f"-I{folder}" for folder in (SOURCES, *{each.parent for each in HEADERS})]
    includes += [f"-I{SOURCES / unit}" for unit in ("columns", "load")]
    command = [compiler, "-std=c11", *WARNINGS, *includes, "-fsyntax-only", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert header.read_text(encoding="utf-8").startswith(f"/*\n * {header.name}: ")


def test_a_header_holds_no_bodies_but_inline_ones() -> None:
    bodies = [
        f"{header.name}: {line}"
        for header in HEADERS
        for line in header.read_text(encoding="utf-8").splitlines()
        if re.match(r"(static )?(?!inline)[\w ]+\*?\w+\(.*[^;,]$", line)
        and not line.startswith(("static inline", " ", "typedef"))
    ]

    assert bodies == []


def test_the_library_exports_its_module_alone() -> None:
    tool = shutil.which("nm")
    if tool is None:
        pytest.skip("no nm")
    command = [tool, "-D", "--defined-only", "--format=posix", library]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert [line.split()[0] for line in listed.splitlines()] == ["PyInit__search"]
