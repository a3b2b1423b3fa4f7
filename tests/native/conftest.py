"""Compiles the engines with the programs that compare them with brute force."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parent.parent / "native"


@pytest.fixture(scope="session")
def compile_compare(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """From flags, and a folder of sources instead of ours, to the program `compare`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    def compiled(*flags: str, sources: Path = SOURCES) -> Path:
        program = tmp_path_factory.mktemp("compare") / "compare"
        subprocess.run(
            [
                compiler,
                "-std=c11",
                *flags,
                f"-I{sources}",
                str(TESTS / "compare.c"),
                str(sources / "search.c"),
                "-o",
                str(program),
            ],
            check=True,
            capture_output=True,
        )
        return program

    return compiled


@pytest.fixture(scope="session")
def compile_keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """From flags, a folder of sources instead of ours, and a name to a program that judges keys."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    def compiled(*flags: str, sources: Path = SOURCES, name: str = "compare_keys") -> Path:
        program = tmp_path_factory.mktemp("keys") / name
        engines = ("keys", "texts", "unique", "zones", "search")
        files = [str(TESTS / f"{name}.c"), *(str(sources / f"{each}.c") for each in engines)]
        command = [compiler, "-std=c11", "-pthread", *flags, f"-I{sources}"]
        subprocess.run([*command, *files, "-o", str(program)], check=True, capture_output=True)
        return program

    return compiled
