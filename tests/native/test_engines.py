"""
Every engine against trying all orders, and the engines against each other.

The numbers of random cases in a run are set so that it stays short. More, in a minute or two:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_engines.py --timeout 600
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CASES_SMALL = int(os.environ.get("DISSEVER_FUZZ_CASES", "1000000"))
CASES_LARGE = int(os.environ.get("DISSEVER_FUZZ_CASES", "100000"))
NARROW = (
    "-DFIRST_STAGE_AT_LEAST=1",
    "-DFIRST_STAGE_PER_OPERATION=0",
    "-DWIDTH_FIRST=1",
    "-DWIDTH_FACTOR=2",
    "-DSTEPS_KEPT=4",
)
"""Small histories come to the later stages of the schedule."""

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SANITIZERS += ("-DPROBLEM_BLOCK_BYTES=0",)

Build = Callable[..., Path]


def _counts(program: Path, cases: int, seed: int, *more: int) -> dict[str, int]:
    """What the comparisons counted: half of the cases each, of two seeds, side by side."""
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for half in pool.map(
            lambda each: _half(program, cases // 2, each, *more), (seed, seed + 1000)
        ):
            counts.update(half)
    return counts


def _half(program: Path, *arguments: int) -> dict[str, int]:
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}


@pytest.fixture(scope="module")
def compare(build: Build) -> Path:
    return build("compare", is_strict=True)


@pytest.fixture(scope="module")
def compare_sanitized(build: Build) -> Path:
    try:
        return build("compare", *SANITIZERS, *NARROW)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no sanitizers: {error.stderr.decode()[-200:]}")


def test_every_engine_agrees_with_brute_force(compare: Path) -> None:
    counts = _counts(compare, CASES_SMALL, 1)

    assert counts["mismatches"] == 0
    assert 0.05 < counts["invalid"] / counts["cases"] < 0.6


def test_engines_agree_with_each_other(compare: Path) -> None:
    counts = _counts(compare, CASES_LARGE, 2, 200)

    assert counts["mismatches"] == 0
    assert 0.05 < counts["invalid"] / counts["cases"] < 0.6
    assert counts["undecided"] < counts["cases"] / 1000


@pytest.mark.parametrize("arguments", [(CASES_SMALL // 4, 5), (CASES_LARGE // 4, 6, 200)])
def test_narrow_rounds_agree(build: Build, arguments: tuple[int, ...]) -> None:
    counts = _counts(build("compare", *NARROW, is_strict=True), *arguments)

    assert counts["mismatches"] == 0
    assert 0.05 < counts["invalid"] / counts["cases"] < 0.6


@pytest.mark.parametrize("arguments", [(50_000, 3), (4_000, 4, 200)])
def test_sanitizers_find_nothing(compare_sanitized: Path, arguments: tuple[int, ...]) -> None:
    assert _counts(compare_sanitized, *arguments)["mismatches"] == 0
