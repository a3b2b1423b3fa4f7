"""
Weak models in C against the axioms, order by order, plain and sanitized; and broken on purpose.

The number of random cases is set so that a run stays short. A million, in minutes:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_weak.py --timeout 1200
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.native.columns import NONE, READ, TYPE_CODES, WRITE, Columns, Micro
from dissever.native.weak import Level, Verdict, judge_level
from dissever.native.weak.solver import Model, solve

from .comparisons import compared

CASES = int(os.environ.get("DISSEVER_FUZZ_CASES", "20000"))
LINE = re.compile(
    r"(lists|registers) ([\w-]+) (sessions|alone) cases (\d+) invalid (\d+) walks (\d+) "
    r"ambiguous (\d+) mismatches (\d+)"
)

Build = Callable[..., Path]


def test_levels_and_all_commit_orders_agree(build: Build) -> None:
    lines = compared(build("compare_weak", is_strict=True), LINE, CASES, 1)

    assert len(lines) == 10
    for _, _, _, cases, invalid, walks, ambiguous, mismatches in lines:
        assert int(mismatches) == 0
        assert 0.1 < int(invalid) / int(cases) < 0.4
        assert int(walks) > 0.005 * int(cases)
        assert 0 < int(ambiguous) < 0.05 * int(cases)


def test_memory_is_used_as_it_should_be(build: Build) -> None:
    program = build("compare_weak", "-O0", "-g", "-fsanitize=address,undefined")

    assert len(compared(program, LINE, 300, 2, 8)) == 10


MUTANTS = {
    "an older read of two is taken for the nearer one": (
        "weak/levels.c",
        "reads->first == seen ? reads->second : reads->first",
        "reads->first == seen ? NONE : reads->first",
    ),
    "only what was read after the last read of another is later": (
        "weak/levels.c",
        "scratch->met_at[source] = (int32_t)at;",
        "scratch->met[source] = NONE, scratch->met_at[source] = (int32_t)at;",
    ),
    "what the session wrote before is forgotten": (
        "weak/levels.c",
        "if (scratch->last_session[key] == session && ",
        "if (scratch->last_session[key] == session && session < 0 && ",
    ),
    "the initial values come whenever": (
        "weak/levels.c",
        "(source != weak->n || weak_put(weak, source, seen, GRAPH_SESSION, GRAPH_NO_KEY));",
        "true;",
    ),
    "an info does not end its session": (
        "weak/observed.c",
        "is_over = !weak_is_ok(weak, i);",
        "is_over = weak_is_ok(weak, i) && is_over;",
    ),
    "who nobody saw is in the order": (
        "weak/observed.h",
        "(!weak_is_failed(weak, operation) && weak->is_seen[operation])",
        "!weak_is_failed(weak, operation)",
    ),
    "whoever wrote between a source and its reader is taken for hidden": (
        "weak/near.c",
        "if (is_visible(guess, place, reader) &&",
        "if (is_visible(guess, place, reader) && place < 0 &&",
    ),
    "clocks leave the session out": (
        "weak/clocks.h",
        "memcpy(clock, has_before ? clock_of",
        "memcpy(clock, has_before && place < 0 ? clock_of",
    ),
    "the last writer never moves on": (
        "weak/causal.c",
        "causal->runs[i].next = causal->runs[i].first;",
        "causal->runs[i].next += 0;",
    ),
    "appends that nobody read come whenever": (
        "weak/appends.c",
        "return last == NULL || is_gap || put_tail(lists, last);",
        "return put_tail == NULL || true;",
    ),
    "own appends count as those of others": (
        "weak/appends.c",
        "int32_t outer = length - far->appends;",
        "int32_t outer = length;",
    ),
    "the first append may be missing": (
        "weak/appends.c",
        "if (!(next->place & PLACE_FIRST) &&",
        "if (0 && !(next->place & PLACE_FIRST) &&",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, build_mutant: Build) -> None:
    program = build_mutant("compare_weak", *MUTANTS[name], "-O0", "-w")

    done = subprocess.run([program, "4000", "3"], capture_output=True, timeout=60, check=False)

    assert done.returncode != 0


SOUND = {
    "first": [0, 2],
    "kind": [READ, WRITE],
    "key": [0, 0],
    "value": [0, 1],
    "list": [NONE, NONE],
    "length": [NONE, NONE],
    "keys": [1],
    "longest": [NONE],
    "longest_length": [NONE],
    "items": [1],
}


def _micro(**changes: list[int]) -> Micro:
    columns = Columns.of({name: [0] for name in TYPE_CODES}, values=[None, 1])
    return Micro.of(SOUND | changes, columns)


def test_arrays_that_agree_are_judged() -> None:
    assert judge_level(_micro(), Level.CAUSAL).verdict is Verdict.VALID
    assert solve(_micro(), Model.SNAPSHOT).verdict is Verdict.VALID


@pytest.mark.parametrize(
    "changes",
    [
        {"first": [0, 1]},
        {"first": [1, 2]},
        {"kind": [READ, 3]},
        {"key": [0, 1]},
        {"key": [-1, 0]},
        {"value": [-2, 1]},
        {"value": [0, -1]},
        {"value": [0, 2**31 - 1]},
        {"list": [1, NONE], "length": [1, NONE]},
        {"list": [-2, NONE], "length": [1, NONE]},
        {"list": [0, NONE], "length": [-1, NONE]},
        {"items": [-1]},
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changes: dict[str, list[int]]) -> None:
    with pytest.raises(ValueError, match="contradict"):
        judge_level(_micro(**changes), Level.READ_COMMITTED)
    with pytest.raises(ValueError, match="contradict"):
        solve(_micro(**changes), Model.SERIALIZABLE)
