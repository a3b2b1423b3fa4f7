"""
Engines broken on purpose: the random comparisons must tell each from the sound one.

A mutant is a text that stands once in a source, and another in its place. It is caught when a
comparison finds a mismatch, crashes or does not come to an end; one that is not caught shows that
the comparisons miss something.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parents[1] / "native"
LIMIT_S = 20
SEARCH = (("100000", "3"), ("5000", "4", "200"))
KEYS = (("25000", "5"),)


@dataclass(frozen=True)
class Mutant:
    """A change, and the program that must notice it with one of these arguments."""

    file: str
    sound: str
    broken: str
    program: str = "compare"

    @property
    def needs(self) -> tuple[str, ...]:
        """The sources that the program is made of."""
        return ("search.c",) if self.program == "compare" else ("keys.c", "zones.c", "search.c")

    @property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The arguments of the comparisons, until one notices."""
        return SEARCH if self.program == "compare" else KEYS


MUTANTS = {
    "absorb a write that writes the current value": Mutant(
        "cursor.h",
        "if (!problem->pure[t] || problem_next(problem, state, t) < 0)",
        "if (problem_next(problem, state, t) != state)",
    ),
    "rule (d) with partial for sensitive": Mutant(
        "kinds.h",
        "sensitive[t] = !(is_total && (is_constant || is_identity));",
        "sensitive[t] = !is_total;",
    ),
    "dominance reversed": Mutant(
        "memo.h",
        "if (counts_dominate(stored + keys, block + keys, memo->width - keys))",
        "if (counts_dominate(block + keys, stored + keys, memo->width - keys))",
    ),
    "a crashed operation before it was invoked": Mutant(
        "cursor.h",
        "problem->birth[problem->kind_operations[at]] > e)",
        "0)",
    ),
    "a crashed operation one return too late": Mutant(
        "cursor.h",
        "problem->birth[problem->kind_operations[at]] > e)",
        "problem->birth[problem->kind_operations[at]] >= e && e > 0)",
    ),
    "a crashed operation dropped one return too early": Mutant(
        "cursor.h",
        "problem_need(problem, after) < e)",
        "problem_need(problem, after) <= e)",
    ),
    "counts of crashed operations never given back": Mutant(
        "cursor.h",
        "*block_count_word(problem, block, slot) &= ~(UINT64_C(0xFFFF) << count_shift(slot));",
        ";",
    ),
    "a crashed operation used without being counted": Mutant(
        "cursor.h",
        "*word += UINT64_C(1) << count_shift(slot);",
        ";",
    ),
    "a slot given back before its return": Mutant(
        "cursor.h",
        "block[1 + done / 64] &= ~(UINT64_C(1) << (done % 64));",
        ";",
    ),
    "the forced operation not counted as linearized": Mutant(
        "cursor.h",
        "child[1 + slot / 64] |= UINT64_C(1) << (slot % 64);",
        "if (!is_forced) child[1 + slot / 64] |= UINT64_C(1) << (slot % 64);",
    ),
    "a memo that forgets what is linearized": Mutant(
        "memo.h",
        "memcmp(stored, block, sizeof(uint64_t) * keys) != 0",
        "memcmp(stored, block, sizeof(uint64_t)) != 0",
    ),
    "the plain search, its memo without the state": Mutant(
        "wgl.h",
        "    wgl_toggle(wgl, operation);\n    wgl->now[1] = (uint64_t)(uint32_t)after;\n",
        "    wgl_toggle(wgl, operation);\n    wgl->now[1] = 0;\n",
    ),
    "the plain search, a return left in the list": Mutant(
        "wgl.h",
        "    wgl_unlink(wgl, 2 * operation + 1);\n",
        "",
    ),
    "the initial block forgotten": Mutant(
        "zones.c",
        "v == 0 ? -1 : ZONES_NEVER",
        "ZONES_NEVER",
        "compare_keys",
    ),
    "a value taken by two compare-and-sets": Mutant(
        "zones.c",
        "if (old->consumer >= 0) {",
        "if (old->consumer >= 0) continue; if (0) {",
        "compare_keys",
    ),
    "a backward zone inside a forward one": Mutant(
        "zones.c",
        "if (root->lo < end) {",
        "if (root->lo < end && root->lo < root->hi) {",
        "compare_keys",
    ),
    "the source of a needed compare-and-set not needed": Mutant(
        "zones.c",
        "zones->values[value].offset = ZONES_NEEDED;",
        ";",
        "compare_keys",
    ),
    "the forced order inside a block not checked": Mutant(
        "zones.c",
        "if (least_ret < block->greatest_inv)",
        "if (0)",
        "compare_keys",
    ),
    "strict ends: a return before a call of the same time": Mutant(
        "keys.c",
        "time_of(keys, calls, events[end]) == time;)",
        "0;)",
        "compare_keys",
    ),
}


def _compiled(mutant: Mutant, folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    sources = folder / "native"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("_*", "*.py"))
    text = (sources / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.sound) == 1
    (sources / mutant.file).write_text(text.replace(mutant.sound, mutant.broken), encoding="utf-8")
    program = folder / mutant.program
    files = [TESTS / f"{mutant.program}.c", *(sources / name for name in mutant.needs)]
    subprocess.run(
        [compiler, "-std=c11", "-O1", "-w", "-pthread", f"-I{sources}", *files, "-o", program],
        check=True,
        capture_output=True,
    )
    return program


def _is_caught(program: Path, arguments: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    program = _compiled(mutant, tmp_path)

    assert any(_is_caught(program, arguments) for arguments in mutant.runs)
