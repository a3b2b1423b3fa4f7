"""Builds programs that compare the engines with brute force, also from engines that are broken."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hashlib import _Hash

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parent.parent / "native"
KEYS = ("registers", "texts", "search")
PROGRAMS = {
    "compare": ("search",),
    "compare_keys": KEYS,
    "compare_texts": KEYS,
    "compare_containers": ("containers",),
    "compare_graph": ("graph",),
    "compare_lines": ("lines",),
    "hostile_transactions": ("transactions", "graph"),
    "compare_transactions": ("transactions", "graph", "random_transactions"),
    "compare_solve": ("weak", "graph", "random_transactions"),
    "compare_weak": ("weak", "graph", "random_transactions"),
}
"""Each program of this folder, and the units of C that it is linked with."""

OURS = ("random_transactions",)
"""Units that stand in this folder."""

STRICT = ("-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes")
STRICT += ("-Wmissing-prototypes", "-Werror")
"""As our compiler must take it; those of users, sanitizers and mutants warn of other things."""


class _Builder:
    """Keeps every object, so that what is the same is compiled once."""

    def __init__(self, compiler: str, folder: Path) -> None:
        self._compiler = compiler
        self._folder = folder
        self._objects: dict[str, Path] = {}
        self._programs: dict[tuple[str, ...], Path] = {}

    def build(
        self, name: str, *flags: str, is_strict: bool = False, sources: Path = SOURCES
    ) -> Path:
        """
        Build a program.

        Args:
            name: One of PROGRAMS.
            flags: For the compiler, and for the linker.
            is_strict: Whether STRICT is added to the flags.
            sources: The folder of the units.

        Raises:
            subprocess.CalledProcessError: When it does not compile; `stderr` says why.
        """
        flags = (*STRICT, *flags) if is_strict else flags
        folders = [TESTS / unit if unit in OURS else sources / unit for unit in PROGRAMS[name]]
        units = [file for folder in folders for file in sorted(folder.glob("*.c"))]
        headers = [
            file
            for root in (sources, *(TESTS / unit for unit in OURS))
            for file in sorted(root.rglob("*.h"))
        ]
        includes = [f"-I{folder}" for folder in sorted({header.parent for header in headers})]
        known = hashlib.sha256(b"\0".join(header.read_bytes() for header in headers))
        files = (TESTS / f"{name}.c", *units)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = [
                pool.submit(self._object, each, flags, includes, known.copy()) for each in files
            ]
        objects = [each.result() for each in made]
        key = (*flags, *map(str, objects))
        if key not in self._programs:
            program = self._folder / f"program{len(self._programs)}"
            self._run("-pthread", *flags, *objects, "-o", program)
            self._programs[key] = program
        return self._programs[key]

    def _object(
        self, file: Path, flags: tuple[str, ...], includes: list[str], digest: _Hash
    ) -> Path:
        digest.update(repr((file.name, flags)).encode())
        digest.update(file.read_bytes())
        name = digest.hexdigest()
        if name not in self._objects:
            target = self._folder / f"{file.stem}-{name}.o"
            self._run("-std=c11", "-pthread", *flags, *includes, "-c", file, "-o", target)
            self._objects[name] = target
        return self._objects[name]

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run([self._compiler, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """From the name of a program and flags to the program; see `_Builder.build`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    return _Builder(compiler, tmp_path_factory.mktemp("build")).build


@pytest.fixture
def build_mutant(build: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """
    From the name of a program, a file, what stands in it once, what is broken instead, and flags.

    All else is compiled as it is.
    """

    def built(name: str, file: str, sound: str, broken: str, *flags: str) -> Path:
        sources = tmp_path / "native"
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("_*", "*.py", "faultfs"))
        (changed,) = sources.glob(f"**/{file}")
        text = changed.read_text(encoding="utf-8")
        assert text.count(sound) == 1
        changed.write_text(text.replace(sound, broken), encoding="utf-8")
        return build(name, *flags, sources=sources)

    return built
