"""faultfs, mounted for real in its own namespaces, compared with a plain folder and a model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dissever.harness.cluster import faultfs

DRIVER = Path(__file__).parent / "drive_faultfs.py"
SOURCES = Path(__file__).resolve().parents[2] / "native" / "faultfs"

SCENARIOS = {
    "same_as_a_folder": 300,
    "power_failures": 500,
    "some_sectors_survive": 1,
    "rules_fail_what_they_name": 1,
    "mapped_same_as_a_folder": 200,
    "mapped_files_see_power_failures": 1,
    "locks_end_with_their_file": 1,
}


@pytest.fixture(scope="session")
def _can_mount() -> None:
    missing = faultfs.missing()
    if missing is not None:
        pytest.skip(f"{missing.reason}; {missing.remedy}")


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program under the address and undefined-behaviour sanitizers, warnings being errors."""
    compiler = shutil.which("cc")
    if compiler is None or shutil.which("pkg-config") is None:
        pytest.skip("no C compiler, or no pkg-config")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True)
    if flags.returncode:
        pytest.skip("libfuse3-dev is not installed")
    program = tmp_path_factory.mktemp("sanitized") / "faultfs"
    warnings = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"]
    sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = sorted(map(str, SOURCES.glob("*.c")))
    argv = [compiler, "-std=c11", "-pthread", *warnings, *sanitizers, *sources]
    argv += ["-o", str(program), *flags.stdout.decode().split()]
    subprocess.run(argv, check=True)
    return program


def drive(program: Path, folder: Path, scenario: str, seed: int, steps: int) -> str:
    """Run a scenario; what it said when it failed."""
    own = ["--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    own = own if os.geteuid() == 0 else ["--user", "--map-root-user", *own]
    argv = ["unshare", *own, sys.executable, str(DRIVER), str(program), str(folder)]
    log = (folder / "errors").open("w")
    with log:
        done = subprocess.run([*argv, scenario, str(seed), str(steps)], stderr=log, timeout=100)
    said = (folder / "errors").read_text()
    return said if done.returncode or "Sanitizer" in said or "runtime error" in said else ""


@pytest.mark.usefixtures("_can_mount")
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_faultfs_is_a_folder_that_fails_as_it_is_told(
    tmp_path: Path, scenario: str, seed: int
) -> None:
    assert drive(faultfs.program(), tmp_path, scenario, seed, SCENARIOS[scenario]) == ""


@pytest.mark.usefixtures("_can_mount")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sanitizers_find_nothing(tmp_path: Path, sanitized: Path, scenario: str) -> None:
    assert drive(sanitized, tmp_path, scenario, 3, SCENARIOS[scenario] // 2 + 1) == ""


MUTANTS = {
    "a save that keeps nothing": ("extents.c", "end = least(end, extents->size);", "end = 0;"),
    "a synced write that settles nothing": (
        "calls.c",
        "failure = file_settle(file, offset, offset + put);",
        "failure = 0;",
    ),
    "a cut that saves nothing": (
        "calls.c",
        "int failure = file_save(file, size, INT64_MAX);",
        "int failure = 0;",
    ),
    "a settled range that does not split an extent": (
        "extents.c",
        "if (end_of(extent) > end) {",
        "if (0) {",
    ),
    "a sync that settles nothing": (
        "calls.c",
        "failure = -file_settle_all(file);",
        "failure = 0;",
    ),
    "a durable size that does not grow": (
        "extents.c",
        "extents->size = most(extents->size, end);",
        "",
    ),
    "a gap that is not zeros": ("extents.c", "if (start > extents->size) {", "if (0) {"),
}


@pytest.mark.usefixtures("_can_mount")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_what_is_durable_is_killed(tmp_path: Path, name: str) -> None:
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True
    )
    if flags.returncode or shutil.which("cc") is None:
        pytest.skip("no C compiler, or no libfuse3-dev")
    sources = tmp_path / "sources"
    shutil.copytree(SOURCES, sources)
    file, before, after = MUTANTS[name]
    text = (sources / file).read_text()
    assert text.count(before) == 1
    (sources / file).write_text(text.replace(before, after))
    program = tmp_path / "faultfs"
    argv = ["cc", "-std=c11", "-w", "-pthread", *map(str, sources.glob("*.c"))]
    subprocess.run([*argv, "-o", str(program), *flags.stdout.split()], check=True)

    assert drive(program, tmp_path, "power_failures", 1, 150) != ""
