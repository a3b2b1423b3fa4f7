"""
Engines broken on purpose: the random comparisons must tell each from the sound one.

A mutant is a text that stands once in a source, and another in its place. It is caught when a
comparison finds a mismatch, crashes or does not come to an end; one that is not caught shows that
the comparisons miss something. Those of zones and chains are in `test_keys.py`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT_S = 20
NARROW = ("-DFIRST_STAGE_AT_LEAST=1", "-DFIRST_STAGE_PER_OPERATION=0", "-DWIDTH_FIRST=1")
NARROW += ("-DWIDTH_FACTOR=2", "-DSTEPS_KEPT=4")
"""Small histories come to the later stages of the schedule."""

RUNS = (("100000", "3"), ("5000", "4", "200"))
"""The arguments of the comparisons, until one notices."""


@dataclass(frozen=True)
class Mutant:
    """A change of one source."""

    file: str
    sound: str
    broken: str


MUTANTS = {
    "absorb a write that writes the current value": Mutant(
        "cursor.c",
        "if (!problem->pure[t] || problem_next(problem, state, t) < 0)",
        "if (problem_next(problem, state, t) != state)",
    ),
    "rule (d) with partial for sensitive": Mutant(
        "kinds.c",
        "sensitive[t] = !(is_total && (is_constant || is_identity));",
        "sensitive[t] = !is_total;",
    ),
    "dominance reversed": Mutant(
        "memo.c",
        "if (memo_dominates(memo, stored + keys, block + keys))",
        "if (memo_dominates(memo, block + keys, stored + keys))",
    ),
    "one that covers makes up for any number": Mutant(
        "memo.c",
        "(left[cover->coverer[slot]] += left[slot]) < 0)",
        "left[cover->coverer[slot]] < 0)",
    ),
    "one that is refused somewhere covers": Mutant(
        "kinds.c",
        "if (target >= 0 && is_total && coverer_of[target] < 0)",
        "if (target >= 0 && coverer_of[target] < 0)",
    ),
    "a crashed operation before it was invoked": Mutant(
        "cursor.c",
        "problem->birth[problem->kind_operations[at]] > e ||",
        "0 ||",
    ),
    "a crashed operation one return too late": Mutant(
        "cursor.c",
        "problem->birth[problem->kind_operations[at]] > e ||",
        "(problem->birth[problem->kind_operations[at]] >= e && e > 0) ||",
    ),
    "a crashed operation dropped one return too early": Mutant(
        "cursor.c",
        "problem_need(problem, after) < e ||",
        "problem_need(problem, after) <= e ||",
    ),
    "counts of crashed operations never given back": Mutant(
        "cursor.c",
        "*word &= ~(UINT64_C(0xFFFF) << count_shift(slot));",
        ";",
    ),
    "a crashed operation used without being counted": Mutant(
        "cursor.c",
        "*word += UINT64_C(1) << count_shift(slot);",
        ";",
    ),
    "a slot given back before its return": Mutant(
        "cursor.c",
        "block[1 + done / 64] &= ~(UINT64_C(1) << (done % 64));",
        ";",
    ),
    "the forced operation not counted as linearized": Mutant(
        "cursor.c",
        "child[1 + slot / 64] |= UINT64_C(1) << (slot % 64);",
        "if (!is_forced) child[1 + slot / 64] |= UINT64_C(1) << (slot % 64);",
    ),
    "a memo that forgets what is linearized": Mutant(
        "memo.c",
        "memcmp(stored, block, sizeof(uint64_t) * keys) != 0",
        "memcmp(stored, block, sizeof(uint64_t)) != 0",
    ),
    "depth first: a crashed operation that owes, whatever was absorbed": Mutant(
        "depth.c",
        "        if (n_absorbed > 0)\n            origin = ORIGIN_NONE;\n",
        "",
    ),
    "breadth first: a crashed operation that owes, whatever was absorbed": Mutant(
        "breadth.c",
        "    if (n_absorbed > 0)\n        entry.origin = ORIGIN_NONE;\n",
        "",
    ),
    "an open operation that owes": Mutant(
        "engines.h",
        "return problem->slot[operation] < 0 ? block_state(block) : ORIGIN_NONE;",
        "return block_state(block);",
    ),
    "a crashed operation that only a refused one could use": Mutant(
        "cursor.c",
        "problem_next(problem, origin, t) != after;",
        "problem_next(problem, origin, t) >= 0;",
    ),
    "lazy states that forget what was asked": Mutant(
        "lazy.c",
        "    if (lazy->pairs[place] == pair)\n        return lazy->after[place];\n",
        "    if (lazy->pairs[place] == pair)\n        return 0;\n",
    ),
    "what a narrow round refuses is invalid": Mutant(
        "search.c",
        "search->breadth.has_dropped)",
        "search->breadth.has_dropped && false)",
    ),
    "a narrow round that forgets what it dropped": Mutant(
        "breadth.c",
        "breadth->has_dropped = breadth->has_dropped || (number != UINT32_MAX && is_full);",
        "breadth->has_dropped = number != UINT32_MAX && is_full;",
    ),
    "a step that is kept, but leads to another": Mutant(
        "breadth.c",
        "steps[kept++] = (struct step){before == NO_STEP ? NO_STEP : moved[before],",
        "steps[kept++] = (struct step){before,",
    ),
    "the plain search, its memo without the state": Mutant(
        "wgl.c",
        "    wgl_toggle(wgl, operation);\n    wgl->now[1] = (uint64_t)(uint32_t)after;\n",
        "    wgl_toggle(wgl, operation);\n    wgl->now[1] = 0;\n",
    ),
    "the plain search, a return left in the list": Mutant(
        "wgl.c",
        "    wgl_unlink(wgl, 2 * operation + 1);\n",
        "",
    ),
}


def _is_caught(program: Path, arguments: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, build_mutant: Callable[..., Path]) -> None:
    mutant = MUTANTS[name]
    change = (mutant.file, mutant.sound, mutant.broken)
    program = build_mutant("compare", *change, "-O1", "-w", *NARROW)

    assert any(_is_caught(program, arguments) for arguments in RUNS)
