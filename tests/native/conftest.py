"""Compiles the engines with the programs that compare them with brute force."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parent.parent / "native"
KEYS_ENGINES = ("keys", "texts", "unique", "zones", "search")
"""What judges every key of a history."""


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
def keys_objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Path]]:
    """As `compile_keys`, but the objects before they are linked; the same ones are made once."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    @cache
    def compiled(flags: tuple[str, ...], files: tuple[Path, ...], headers: Path) -> list[Path]:
        folder = tmp_path_factory.mktemp("objects")
        command = [compiler, "-std=c11", "-pthread", *flags, f"-I{headers}", "-c", *files]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return [folder / f"{file.stem}.o" for file in files]

    def objects(*flags: str, sources: Path = SOURCES, name: str = "compare_keys") -> list[Path]:
        engines = tuple(sources / f"{each}.c" for each in KEYS_ENGINES)
        program = (TESTS / f"{name}.c",)
        return compiled(flags, engines, sources) + compiled(flags, program, sources)

    return objects


@pytest.fixture(scope="session")
def compile_keys(
    tmp_path_factory: pytest.TempPathFactory, keys_objects: Callable[..., list[Path]]
) -> Callable[..., Path]:
    """From flags, a folder of sources instead of ours, and a name to a program that judges keys."""

    @cache
    def compiled(*flags: str, sources: Path = SOURCES, name: str = "compare_keys") -> Path:
        objects = keys_objects(*flags, sources=sources, name=name)
        program = tmp_path_factory.mktemp("keys") / name
        command = ["cc", "-pthread", *flags, *objects, "-o", program]
        subprocess.run(command, check=True, capture_output=True)
        return program

    return compiled
