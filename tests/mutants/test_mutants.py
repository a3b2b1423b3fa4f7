"""
The harness broken on purpose: each mutant must make a test fail.

A mutant changes one place of one file, as a mistake would: evidence that nobody looks at, an
exception swallowed, a checker left out. The tables `*.toml` of this folder list them by room. A
mutant is caught when a test that its table names fails on a copy of the tree that has the mistake.
The same tests pass on a copy without it. `make mutants` runs only this.
"""

from __future__ import annotations

import compileall
import itertools
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
LEFT_OUT = (".git", ".venv", "runs", "build", "dist", ".hypothesis", "__pycache__", "*.egg-info")
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist")
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


class Copies:
    """Copies of the tree, one for each test process, made when they are first needed."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._free: SimpleQueue[Path | None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def status(self, tests: tuple[str, ...], mutant: Mutant | None = None) -> tuple[int, str]:
        """Run the tests with the mutant in place: the status of pytest, and what it printed."""
        copy = self._free.get() or self._make()
        try:
            if mutant is None:
                return self._run(copy, tests)
            path = copy / mutant.file
            sound = path.read_text(encoding="utf-8")
            path.write_text(sound.replace(mutant.sound, mutant.broken), encoding="utf-8")
            try:
                return self._run(copy, tests)
            finally:
                path.write_text(sound, encoding="utf-8")
        finally:
            self._free.put(copy)

    def _make(self) -> Path:
        copy = self._directory / f"copy-{next(self._numbers)}"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        # By hash: a mutant and its sound file may have one time stamp.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(copy, quiet=2, invalidation_mode=mode)
        return copy

    def _run(self, copy: Path, tests: tuple[str, ...]) -> tuple[int, str]:
        # Tests with nodes may run beside these, and need the machine more.
        command = ["nice", sys.executable, "-m", "pytest", "-q", "-x", *WITHOUT]
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            ran = subprocess.run(
                [*command, *tests],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return TESTS_FAILED, f"no end within {LIMIT_S} s"
        return ran.returncode, ran.stdout[-3000:] + ran.stderr[-1000:]


def _sound(mutants: Sequence[Mutant]) -> Iterator[tuple[str, ...]]:
    """The arguments of the runs in which the tests of these mutants pass on the sound tree."""
    selections = {each.tests for each in mutants if any(a.startswith("-") for a in each.tests)}
    whole = dict.fromkeys(a for each in mutants if each.tests not in selections for a in each.tests)
    yield from sorted(selections)  # Options of pytest select among all tests of their run.
    if whole:
        yield tuple(whole)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """What the tests of each wanted mutant said; those of the sound tree by their arguments."""
    wanted = {
        mutant.name
        for item in request.session.items
        if hasattr(item, "callspec")
        and isinstance(mutant := item.callspec.params.get("mutant"), Mutant)
    }
    mutants = [mutant for mutant in MUTANTS if mutant.name in wanted]
    workers = os.cpu_count() or 1
    copies = Copies(tmp_path_factory.mktemp("copies"), workers)
    with ThreadPoolExecutor(workers) as pool:
        futures = {" ".join(each): pool.submit(copies.status, each) for each in _sound(mutants)}
        futures |= {each.name: pool.submit(copies.status, each.tests, each) for each in mutants}
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
def test_a_mutant_is_caught(mutant: Mutant, outcomes: dict[str, Future[tuple[int, str]]]) -> None:
    status, output = outcomes[mutant.name].result()

    assert status == TESTS_FAILED, f"{' '.join(mutant.tests)} ended with {status}:\n{output}"


@pytest.mark.timeout(1800)
def test_the_same_tests_pass_on_the_sound_tree(
    outcomes: dict[str, Future[tuple[int, str]]],
) -> None:
    names = {mutant.name for mutant in MUTANTS}
    runs = [outcome.result() for name, outcome in outcomes.items() if name not in names]

    assert runs
    assert [output for status, output in runs if status != 0] == []
