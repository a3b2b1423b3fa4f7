"""The rooms: who may import whom, what pure code may touch, and where the links lead."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "dqlite": (),
    "dissever.native": (),
    "dissever.harness": ("dissever.native",),
    "dissever.checkers": (
        "dissever.harness.bugs",
        "dissever.harness.episodes",
        "dissever.harness.history",
        "dissever.harness.latency",
        "dissever.harness.results",
        "dissever.harness.values",
        "dissever.harness.vocabulary",
        "dissever.harness.windows",
        "dissever.native",
    ),
    "dissever.workloads": ("dissever.harness", "dissever.checkers"),
    "dissever.nemesis": ("dissever.harness",),
    "dissever.systems": ("dissever.harness", "dissever.workloads", "dqlite"),
    "dissever.reports": (
        "dissever.harness.episodes",
        "dissever.harness.history",
        "dissever.harness.latency",
        "dissever.harness.notebook",
        "dissever.harness.results",
        "dissever.harness.plan",
        "dissever.harness.trace",
        "dissever.harness.values",
        "dissever.harness.windows",
    ),
    "dissever": ("dissever", "dqlite"),
}
"""Of ours, besides itself. The last row is the front doors, which nobody else imports."""

ROOMS = tuple(name.removeprefix("dissever.") for name in MAY_IMPORT if "." in name)

PURE = (
    "checkers",
    "harness/bugs.py",
    "harness/episodes.py",
    "harness/events.py",
    "harness/generator",
    "harness/history.py",
    "harness/latency.py",
    "harness/ranks.py",
    "harness/results.py",
    "harness/rows.py",
    "harness/values.py",
    "harness/vocabulary.py",
    "harness/windows.py",
    "dqlite/wire/codec.py",
    "dqlite/wire/session.py",
)
"""No clock, file, socket, thread or global randomness: these come in as arguments."""

IMPURE_MODULES = {
    "clock": {"datetime", "sched", "time"},
    "file": {"fcntl", "glob", "io", "mmap", "os", "pathlib", "shutil", "sqlite3", "tempfile"},
    "socket": {"http", "select", "selectors", "socket", "ssl", "urllib"},
    "thread": {"asyncio", "concurrent", "multiprocessing", "signal", "subprocess", "threading"},
    "global randomness": {"secrets", "uuid"},  # Of `random`, only `Random` is pure.
}
IMPURE_BUILTINS = frozenset({"input", "open", "print"})

RUNS_BY_PATH = "harness/cluster/keeper"
"""A program that starts without our packages on its path: it alone imports relatively."""

UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """
    Yield line and absolute dotted name of all that is imported, `from a import b` as `a.b`.

    Args:
        module: The package that the source stands in, to which relative imports are relative.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: 1 - node.level or None] if node.level else []
            prefix = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def is_allowed(name: str, room: str) -> bool:
    """Whether `room` may import `name`, be it ours or not."""
    if name.split(".")[0] not in {"dissever", "dqlite", *ROOMS}:
        return True
    if room != "dissever" and is_within(name, room):
        return True
    return any(is_within(name, package) for package in MAY_IMPORT[room])


def impurities(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of what pure code may not touch."""
    for line, name in imports(source, "dissever"):
        module = name.split(".")[0]
        is_impure = any(module in modules for modules in IMPURE_MODULES.values())
        if is_impure or (module == "random" and name != "random.Random"):
            yield line, name
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS:
            yield node.lineno, node.id


def sources(folder: str) -> Iterator[Path]:
    """Every Python file, each under its real path: links are not followed."""
    paths = [ROOT / folder] if folder.endswith(".py") else (ROOT / folder).rglob("*.py")
    yield from (path for path in paths if path.resolve() == path)


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parent.parts
    return ".".join(parts if parts[0] in MAY_IMPORT else ("dissever", *parts))


def folder_of(room: str) -> str:
    return room.removeprefix("dissever.")


def place(path: Path, line: int, name: str) -> str:
    return f"{path.relative_to(ROOT)}:{line} {name}"


def tracked() -> list[Path]:
    """Files of the repository, which may belong to somebody else than who runs the tests."""
    answer = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in answer.stdout.split("\0") if name]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    found = list(sources(folder_of(room)))
    breaches = [
        place(path, line, name)
        for path in found
        for line, name in imports(path.read_text(encoding="utf-8"), package_of(path))
        if not is_allowed(name, room)
    ]

    assert found
    assert breaches == []


def test_nothing_imports_a_room_by_its_bare_name() -> None:
    breaches = [
        place(path, line, name)
        for folder in ("tests", "examples", "benchmarks")
        for path in sources(folder)
        for line, name in imports(path.read_text(encoding="utf-8"), "tests")
        if name.split(".")[0] in ROOMS
    ]

    assert breaches == []


def test_imports_are_absolute() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in map(folder_of, MAY_IMPORT)
        for path in sources(folder)
        if not path.is_relative_to(ROOT / RUNS_BY_PATH)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert breaches == []


@pytest.mark.parametrize("folder", PURE)
def test_pure_code_touches_nothing_outside(folder: str) -> None:
    breaches = [
        place(path, line, name)
        for path in sources(folder)
        for line, name in impurities(path.read_text(encoding="utf-8"))
    ]

    assert breaches == []


def test_every_room_is_linked_by_a_relative_path() -> None:
    links = [path for path in (ROOT / "dissever").iterdir() if path.is_symlink()]

    assert {path.name: path.readlink() for path in links} == {
        room: Path("..", room) for room in ROOMS
    }
    assert all((ROOT / room / "__init__.py").is_file() for room in ROOMS)


def test_no_file_is_left_unfinished() -> None:
    breaches = []
    for path in tracked():
        if path.is_symlink() or not path.is_file():
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if found := UNFINISHED.search(line):
                breaches.append(place(path, number, found[0]))

    assert breaches == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("dqlite", "from dissever.harness import history"),
        ("dissever.harness", "import checkers"),
        ("dissever.harness", "from dissever.checkers import linearizable"),
        ("dissever.harness", "from dissever import __version__"),
        ("dissever.checkers", "from dissever.harness import plan"),
        ("dissever.checkers", "import dissever.harness"),
        ("dissever.checkers", "def late():\n    from dissever.harness.store import load"),
        ("dissever.nemesis", "from ..checkers import linearizable"),
        ("dissever.reports", "from dissever.cli import main"),
        ("dissever.systems", "from dissever.nemesis.nodes.signals import Kill"),
    ],
)
def test_the_table_refuses(room: str, source: str) -> None:
    assert [name for _, name in imports(source, room) if not is_allowed(name, room)]


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("dissever.checkers", "from dissever.harness.history import History"),
        ("dissever.checkers", "from dissever.harness import history, results"),
        ("dissever.systems", "import dqlite"),
        ("dissever.harness", "import docker, dissever.harness.plan"),
        ("dissever.harness", "from .cluster import filters"),
        ("dissever", "from dissever import doctor"),
    ],
)
def test_the_table_allows(room: str, source: str) -> None:
    assert all(is_allowed(name, room) for _, name in imports(source, room))


@pytest.mark.parametrize(
    "source", ["import time", "from os import path", "import random", "from random import choice",
               "open('x')", "def f():\n    import threading"],
)  # fmt: skip
def test_impure_code_is_seen(source: str) -> None:
    assert list(impurities(source))


def test_a_generator_of_random_numbers_may_be_passed_in() -> None:
    assert list(impurities("from random import Random")) == []
