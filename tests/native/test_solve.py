"""
Orders of writers that nobody knows: against every order, sanitized, and broken on purpose.

The number of random cases is set so that a run stays short. A million, in minutes:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_solve.py --timeout 1200
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .comparisons import compared

CASES = int(os.environ.get("DISSEVER_FUZZ_CASES", "4000"))
LINE = re.compile(
    r"(lists|registers) (\w+) (\w+) cases (\d+) invalid (\d+) ambiguous (\d+) choices (\d+) "
    r"turned (\d+) mismatches (\d+)"
)

Build = Callable[..., Path]


def test_solver_and_every_order_agree(build: Build) -> None:
    lines = compared(build("compare_solve", is_strict=True), LINE, CASES, 1)

    assert len(lines) == 12
    for _, _, _, cases, invalid, _, choices, turned, mismatches in lines:
        assert int(mismatches) == 0
        assert 0.1 < int(invalid) / int(cases) < 0.4
        assert int(choices) > 0.02 * int(cases)
        assert int(turned) > 0.01 * int(cases)


def test_memory_is_used_as_it_should_be(build: Build) -> None:
    program = build("compare_solve", "-O0", "-g", "-fsanitize=address,undefined")

    assert len(compared(program, LINE, 200, 2)) == 12


MUTANTS = {
    "readers of what was overwritten come whenever": (
        "if (!add_missed(s, s->readers[before->readers + i], by))",
        "if (s->is_out_of_memory)",
    ),
    "nothing is tried again with more pruning": ("            s->choices_n = 0;", ""),
    "one way out is taken for none": (
        "if (not_as_is && not_turned)",
        "if (not_as_is || not_turned)",
    ),
    "a choice is never turned": ("if (!choice->is_turned) {", "if (choice->is_turned) {"),
    "bits are not taken back": ("change->word] = change->old;", "change->word] |= change->old;"),
    "a commit may come before its start": (
        "if (!add(s, start_of(s, number), commit_of(s, number)))",
        "if (s->is_out_of_memory)",
    ),
    "equal times are in order": (
        "columns->ret_time[a] < columns->inv_time[b]",
        "columns->ret_time[a] <= columns->inv_time[b]",
    ),
    "what is not known to have ended comes first": (
        "if (columns->type[a] != COLUMNS_OK)",
        "if (columns->type[a] == COLUMNS_FAIL)",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, build_mutant: Build) -> None:
    program = build_mutant("compare_solve", "solve.c", *MUTANTS[name], "-O0", "-w")

    done = subprocess.run([program, "2000", "3"], capture_output=True, timeout=60, check=False)

    assert done.returncode != 0
