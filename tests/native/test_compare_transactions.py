"""
The engine of transactions against definitions and against all orders, on random histories.

Few cases, so that a run stays short. A million take some minutes:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_compare_transactions.py --timeout 900
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = int(os.environ.get("DISSEVER_FUZZ_CASES", "20000"))

FLAGS = ("-O1", "-w")
"""Those of mutants too, so that all else is compiled once."""

Build = Callable[..., Path]

SERIALIZABLE = ("strict", "session", "serializable")
WEAKER = ("snapshot", "lost-update", "prefix", "committed", "dirty-write", "dirty-read")


def compared(
    program: Path, *, cases: int, seed: int, operations: int, rules: str
) -> dict[str, int]:
    """The numbers that the program prints; those of a level as `LEVEL cases`, `LEVEL caught`."""
    arguments = (str(cases), str(seed), str(operations), rules)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *levels = done.stdout.splitlines()
    found = {name: int(number) for name, number in re.findall(r"([a-z]+) (\d+)", first)}
    for line in levels:
        level, _, cases_of, _, caught = line.split()
        found |= {f"{level} cases": int(cases_of), f"{level} caught": int(caught)}
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_lists_agree_with_every_order(build: Build, seed: int) -> None:
    found = compared(
        build("compare_transactions", *FLAGS), cases=CASES, seed=seed, operations=6, rules="append"
    )

    assert found["mismatches"] == found["undecided"] == 0
    assert found["invalid"] > found["cases"] * 0.05
    assert all(found[f"{level} caught"] for level in WEAKER)


@pytest.mark.parametrize("seed", [1, 2])
def test_registers_agree_with_every_order(build: Build, seed: int) -> None:
    found = compared(
        build("compare_transactions", *FLAGS), cases=CASES, seed=seed, operations=6, rules="wr"
    )

    assert found["mismatches"] == 0
    assert found["invalid"] > found["cases"] * 0.05
    assert found["undecided"] < found["cases"] * 0.02
    assert all(found[f"{level} caught"] for level in WEAKER)


def test_lists_of_many_transactions_agree_with_definitions(build: Build) -> None:
    found = compared(
        build("compare_transactions", *FLAGS),
        cases=CASES // 20,
        seed=3,
        operations=40,
        rules="append",
    )

    assert found["mismatches"] == 0
    assert all(found[f"{level} caught"] for level in WEAKER)


@pytest.mark.parametrize("rules", ["append", "wr"])
def test_nothing_is_read_that_is_not_there(build: Build, rules: str) -> None:
    sanitizers = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    found = compared(
        build("compare_transactions", *sanitizers), cases=1000, seed=4, operations=20, rules=rules
    )

    assert found["mismatches"] == 0
