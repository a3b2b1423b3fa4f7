"""The search against brute force, under sanitizers, and at its limits."""

from __future__ import annotations

import re
import shutil
import subprocess
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.native import Engine, Problem, Status, search
from dissever.native.search import NEVER

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror")

Compile = Callable[..., Path]

MUTANTS = {
    "absorb a write that writes the current value": (
        "cursor.h",
        "if (!problem->pure[t] || problem_next(problem, state, t) < 0)",
        "if (problem_next(problem, state, t) != state)",
    ),
    "rule (d) with partial for sensitive": (
        "kinds.h",
        "sensitive[t] = !(is_total && (is_constant || is_identity));",
        "sensitive[t] = !is_total;",
    ),
    "dominance reversed": (
        "memo.h",
        "if (counts_dominate(stored + keys, block + keys, memo->width - keys))",
        "if (counts_dominate(block + keys, stored + keys, memo->width - keys))",
    ),
    "a crashed operation before it was invoked": (
        "cursor.h",
        "problem->birth[problem->kind_operations[at]] > e)",
        "0)",
    ),
    "a crashed operation dropped one return too early": (
        "cursor.h",
        "problem_need(problem, after) < e)",
        "problem_need(problem, after) <= e)",
    ),
    "counts of crashed operations never given back": (
        "cursor.h",
        "*block_count_word(problem, block, slot) &= ~(UINT64_C(0xFFFF) << count_shift(slot));",
        ";",
    ),
    "a slot given back before its return": (
        "cursor.h",
        "block[1 + done / 64] &= ~(UINT64_C(1) << (done % 64));",
        ";",
    ),
}


def _counts(program: Path, cases: int, seed: int) -> dict[str, int]:
    done = subprocess.run(
        [program, str(cases), str(seed)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}


def test_every_engine_agrees_with_brute_force(compile_compare: Compile) -> None:
    counts = _counts(compile_compare("-O2", *WARNINGS), 1_000_000, 1)

    assert counts["mismatches"] == 0
    assert 0.05 < counts["invalid"] / counts["cases"] < 0.6


def test_sanitizers_find_nothing(compile_compare: Compile) -> None:
    try:
        program = compile_compare(
            "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no sanitizers: {error.stderr.decode()[-200:]}")

    assert _counts(program, 50_000, 2)["mismatches"] == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(compile_compare: Compile, name: str, tmp_path: Path) -> None:
    file, sound, broken = MUTANTS[name]
    sources = tmp_path / "native"
    shutil.copytree(ROOT / "native", sources, ignore=shutil.ignore_patterns("_search*", "__*"))
    text = (sources / file).read_text(encoding="utf-8")
    assert text.count(sound) == 1
    (sources / file).write_text(text.replace(sound, broken), encoding="utf-8")

    assert _counts(compile_compare("-O1", "-w", sources=sources), 100_000, 3)["mismatches"] > 0


def _writes(n: int, *, open_at_once: int) -> Problem:
    """n writes of one register, each `open_at_once` of them concurrent; then nothing is read."""
    inv, ret = [], []
    for i in range(n):
        group, place = divmod(i, open_at_once)
        start = 2 * group * open_at_once
        inv.append(start + place)
        ret.append(start + min(open_at_once, n - group * open_at_once) + place)
    return Problem(inv, ret, [0] * n, array("i", [0]), 1)


@pytest.mark.parametrize("open_at_once", [1, 63, 64, 65, 128, 129, 1000, 4096])
def test_masks_are_as_wide_as_needed(open_at_once: int) -> None:
    problem = _writes(5000, open_at_once=open_at_once)

    outcome = search(problem, configurations_max=10_000, bytes_max=1 << 28)

    assert outcome.status is Status.VALID
    assert sorted(outcome.order) == list(range(5000))


def test_more_open_operations_than_the_limit_are_unknown() -> None:
    problem = _writes(5000, open_at_once=4097)

    outcome = search(problem, configurations_max=10_000, bytes_max=1 << 28)

    assert outcome.status is Status.WIDE


@pytest.mark.parametrize(
    "problem",
    [
        Problem([0], [0], [0], array("i", [0]), 1),
        Problem([0], [2], [0], array("i", [0]), 1),
        Problem([0], [1], [1], array("i", [0]), 1),
        Problem([0], [1], [0], array("i", [1]), 1),
        Problem([0, 0], [1, 2], [0, 0], array("i", [0]), 1),
        Problem([0], [1], [0], array("i", [0]), 1, initial=1),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(problem: Problem) -> None:
    with pytest.raises(ValueError, match="contradict"):
        search(problem, configurations_max=10, bytes_max=1 << 20)


def _hard(n: int) -> Problem:
    """n open writes, then a read of what none of them wrote, while all are open."""
    rows = array("i")
    for state in range(n + 2):
        rows.extend([*range(n), state if state == n + 1 else -1])
    return Problem(
        [*range(n + 1)], [*range(n + 2, 2 * n + 2), n + 1], [*range(n + 1)], rows, n + 1, initial=n
    )


@pytest.mark.parametrize("engine", Engine)
def test_budgets_are_kept(engine: Engine) -> None:
    few = search(_hard(30), configurations_max=5_000, bytes_max=1 << 28, engine=engine)
    small = search(_hard(30), configurations_max=1 << 30, bytes_max=1 << 20, engine=engine)

    assert (few.status, few.configurations) == (Status.CONFIGURATIONS, 5_000)
    assert small.status is Status.MEMORY
    assert small.peak_bytes <= 1 << 20


def test_no_memory_at_all_is_unknown() -> None:
    outcome = search(_hard(30), configurations_max=10, bytes_max=100)

    assert outcome.status is Status.MEMORY


def test_crashed_operations_alone_are_valid() -> None:
    problem = Problem([0, 1], [NEVER, NEVER], [0, 0], array("i", [-1]), 1)

    assert search(problem, configurations_max=10, bytes_max=1 << 20).status is Status.VALID


def test_nothing_is_valid() -> None:
    problem = Problem([], [], [], array("i"), 0)

    assert search(problem, configurations_max=10, bytes_max=1 << 20).status is Status.VALID
