"""
The harness broken on purpose: each mutant must make a test fail.

A mutant changes one place of one file, as a mistake would: evidence that nobody looks at, an
exception swallowed, a checker left out. The tables `*.toml` of this folder list them by room. A
mutant is caught when a test that its table names fails on a copy of the tree that has the mistake.
The tests that failed so pass on a copy without a mistake. `make mutants` runs only this.
"""

from __future__ import annotations

import compileall
import itertools
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

pytestmark = pytest.mark.mutants

ROOT = Path(__file__).parents[2]
TABLES = sorted(Path(__file__).parent.glob("*.toml"))
LEFT_OUT = (".git", ".venv", "build", "dist", ".hypothesis", "__pycache__", "*.egg-info")


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What no copy needs; `runs` at the root alone, because `dissever.runs` is a package."""
    of_root = {"runs"} if Path(folder) == ROOT else set()
    return shutil.ignore_patterns(*LEFT_OUT)(folder, names) | of_root


WITHOUT = ("-p", "no:hypothesispytest", "-p", "no:xdist")
"""Plug-ins that no test needs to fail; to import them takes longer than most of these tests."""

LIMIT_S = 1200
TESTS_FAILED = 1
"""The status of pytest. Every other one means that no test ran, so it shows nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    A mistake: in `file`, the text `sound`, which stands there once, becomes `broken`.

    `tests` are arguments of pytest; one of the tests must fail.
    """

    name: str
    file: str
    sound: str
    broken: str
    tests: tuple[str, ...]


def _read(table: Path) -> Iterator[Mutant]:
    """The mutants of one room, whose table has the keys of `Mutant` under each name."""
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items():
        tests = tuple(entry.pop("tests"))
        yield Mutant(name=f"{table.stem}: {name}", tests=tests, **entry)


MUTANTS = tuple(mutant for table in TABLES for mutant in _read(table))


@dataclass(frozen=True, slots=True)
class Ended:
    """A run of pytest: its status, the tests that failed, and the end of what it printed."""

    status: int
    failed: frozenset[str]
    output: str


class Copies:
    """Copies of the tree, one for each test process, made when they are first needed."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._free: SimpleQueue[Path | None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def run(self, tests: Sequence[str], mutant: Mutant | None = None) -> Ended:
        """Run the tests with the mutant in place, and only until one fails; all without one."""
        copy = self._free.get() or self._make()
        try:
            if mutant is None:
                return self._run(copy, tests)
            path = copy / mutant.file
            sound = path.read_text(encoding="utf-8")
            path.write_text(sound.replace(mutant.sound, mutant.broken), encoding="utf-8")
            try:
                return self._run(copy, ("-x", *tests))
            finally:
                path.write_text(sound, encoding="utf-8")
        finally:
            self._free.put(copy)

    def _make(self) -> Path:
        copy = self._directory / f"copy-{next(self._numbers)}"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=_left_out)
        # By hash: a mutant and its sound file may have one time stamp.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(copy, quiet=2, invalidation_mode=mode)
        return copy

    def _run(self, copy: Path, tests: Sequence[str]) -> Ended:
        # Tests with nodes may run beside these, and need the machine more.
        cache = self._directory / f"cache-{next(self._numbers)}"
        command = ["nice", sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            ran = subprocess.run(
                [*command, *WITHOUT, *tests],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return Ended(TESTS_FAILED, frozenset(), f"no end within {LIMIT_S} s")
        last = cache / "v" / "cache" / "lastfailed"
        failed = json.loads(last.read_text(encoding="utf-8")) if last.exists() else ()
        return Ended(ran.returncode, frozenset(failed), ran.stdout[-3000:] + ran.stderr[-1000:])


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """As many as there are processors."""
    return Copies(tmp_path_factory.mktemp("copies"), os.cpu_count() or 1)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, copies: Copies) -> Iterator[dict[str, Future[Ended]]]:
    """What the tests of each wanted mutant said, by its name."""
    wanted = {
        mutant.name
        for item in request.session.items
        if hasattr(item, "callspec")
        and isinstance(mutant := item.callspec.params.get("mutant"), Mutant)
    }
    mutants = [mutant for mutant in MUTANTS if mutant.name in wanted]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        futures = {each.name: pool.submit(copies.run, each.tests, each) for each in mutants}
        yield futures
        for future in futures.values():
            future.cancel()


def test_names_and_places_are_of_this_tree() -> None:
    wrong = [
        f"{mutant.name}: {mutant.file} has the text {count} times"
        for mutant in MUTANTS
        if (count := (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.sound)) != 1
    ]

    assert wrong == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant, outcomes: dict[str, Future[Ended]]) -> None:
    ended = outcomes[mutant.name].result()

    assert ended.status == TESTS_FAILED, (
        f"{' '.join(mutant.tests)} ended with {ended.status}:\n{ended.output}"
    )


@pytest.mark.timeout(1800)
def test_what_fails_with_a_mutant_passes_without_one(
    outcomes: dict[str, Future[Ended]], copies: Copies
) -> None:
    failed = set[str]().union(*(each.result().failed for each in outcomes.values()))
    if not failed:
        pytest.skip("no mutant was asked for")
    ended = copies.run(sorted(failed))

    assert ended.status == 0, ended.output
