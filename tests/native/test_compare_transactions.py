"""
The engine of transactions against definitions and against all orders, on random histories.

Few cases, so that a run stays short. A million take some minutes:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_compare_transactions.py --timeout 900
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.checkers.transactions import Transactions
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict

CASES = int(os.environ.get("DISSEVER_FUZZ_CASES", "20000"))

FLAGS = ("-O1", "-w")
"""Those of mutants too, so that all else is compiled once."""

Build = Callable[..., Path]

WEAKER = ("snapshot", "lost-update", "prefix", "committed", "dirty-write", "dirty-read")

MUTANTS = {
    "own appends stay at the end of a read": (
        "transactions/lists.c",
        "int32_t shown = length - (own == NOWHERE ? 0 : own);",
        "int32_t shown = length;",
    ),
    "the order of versions skips writers": (
        "transactions/appends.c",
        "            last = operation;\n",
        "            last = last == NOBODY ? operation : last;\n",
    ),
    "appends that nobody read are in no order": (
        "transactions/appends.c",
        "        if (last != NOBODY && engine_depend(engine, last, operation, "
        "GRAPH_WW, lists->key) != 0)",
        "        if (false)",
    ),
    "a failed append is a version": (
        "transactions/lists.c",
        "if (is_first && writer != NOWHERE && !is_failed_entry(lists, writer)) {",
        "if (is_first && writer != NOWHERE) {",
    ),
    "only the first read of a version is updated": (
        "transactions/lists.c",
        "if (lists->updater[shown] != NOWHERE)",
        "if (false)",
    ),
    "any order of own appends will do": (
        "transactions/appends.c",
        "if ((is_missing || slot->position < greatest) &&",
        "if (is_missing &&",
    ),
    "an intermediate list is a version": (
        "transactions/lists.c",
        "if (!slot->is_final && lists_report(lists, TRANSACTIONS_G1B, read, writer, last) != 0)",
        "if (false)",
    ),
    "a source of the tail is its target": (
        "transactions/engine.c",
        "    if (has_common(sources, sources_n, targets, targets_n))\n",
        "    if (false)\n",
    ),
    "the tail reaches nobody before the source": (
        "transactions/engine.c",
        "if (is_target && j > 0 &&",
        "if (false &&",
    ),
    "completions of one time come before": (
        "transactions/timeline.c",
        "if (ranked(completion_time(engine->columns, operation)) >= time)",
        "if (ranked(completion_time(engine->columns, operation)) > time)",
    ),
    "barriers do not lead on": (
        "transactions/timeline.c",
        "if (*barrier != NOBODY && step(engine, *barrier, next, GRAPH_LINK) != 0)",
        "if (false)",
    ),
    "an open transaction comes before others in time": (
        "transactions/timeline.c",
        "        if (is_ok(engine, i))\n            all[ok_n++]",
        "        if (!is_failed(engine, i))\n            all[ok_n++]",
    ),
    "rw may follow rw in the product": (
        "graph/classify.c",
        "                if (state % 2 == 1)\n                    product->arc[arcs++] "
        "= arc_of(u, kind);",
        "                if (state % 2 == 1) {\n                    "
        "product->arc[arcs++] = arc_of(u, kind);\n                    "
        "product->arc[arcs++] = arc_of(u + 1, kind);\n                }",
    ),
    "one rw is as good as two": (
        "graph/classify.c",
        "if (queries[q].answer == 1)",
        "if (false)",
    ),
    "a cycle of wr is one of ww": (
        "graph/classify.c",
        "only_ww = no_rw & ~BIT(GRAPH_WR);",
        "only_ww = no_rw;",
    ),
    "a class is named on each level": (
        "graph/classify.c",
        "if (rung >= c->best[e])",
        "if (rung > c->best[e])",
    ),
    "parallel edges of the data are all kept": (
        "graph/part.c",
        "            kinds[from] = (uint8_t)strongest(kinds[from]);\n",
        "",
    ),
    "nil is read from nobody": (
        "transactions/registers.c",
        "key->engine->version[read] = INITIAL_VERSION;",
        ";",
    ),
    "an intermediate value is a version": (
        "transactions/registers.c",
        "if (!slot->is_final && report(",
        "if (false && report(",
    ),
    "what is read before a write says nothing of its order": (
        "transactions/registers.c",
        "engine->parent[last] = run->parent;",
        "engine->parent[last] = NO_VERSION;",
    ),
    "versions that are forced into a cycle are left as they were": (
        "transactions/saturate.c",
        "        return -2;\n",
        "        return -1;\n",
    ),
    "paths find what is not behind": (
        "transactions/versions.c",
        "if (i == j || !paths_holds(paths, i, j))",
        "if (i == j || paths_holds(paths, i, j))",
    ),
    "paths go only one step": (
        "transactions/paths.c",
        "if (from < first || (paths->mask",
        "if (from != first || (paths->mask",
    ),
    "an order of data is one of real time": (
        "transactions/serial.c",
        "if (components < engine->vertices) {",
        "if (components < engine->vertices && level == TRANSACTIONS_DATA) {",
    ),
    "who waits for readers of a register is taken": (
        "transactions/guess.c",
        "        if (left > 0)\n            return key;",
        "",
    ),
    "a value that is written twice has one writer": (
        "transactions/keys.c",
        "            slot->is_repeated = true;\n",
        "",
    ),
}
"""Of each mutant the file, what stands in it once, and what stands there instead."""

MODELS = (
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
    "snapshot-isolation",
    "strong-session-snapshot-isolation",
    "strong-snapshot-isolation",
)
"""In the order in which the program says whether they hold."""

UNDECIDED = 0.0015
"""Of small histories of registers; more are left undecided where the engine infers less."""

RUNS = ("append", "wr")


def compared(
    program: Path, *, cases: int, seed: int, operations: int, rules: str, limit_s: int = 900
) -> dict[str, int]:
    """The numbers that the program prints; those of a level as `LEVEL cases`, `LEVEL caught`."""
    arguments = (str(cases), str(seed), str(operations), rules)
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=limit_s
    )
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
    assert found["undecided"] < found["cases"] * UNDECIDED
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
    sanitizers = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    found = compared(
        build("compare_transactions", *sanitizers), cases=1000, seed=4, operations=20, rules=rules
    )

    assert found["mismatches"] == 0


@pytest.mark.parametrize("rules", ["append", "wr"])
def test_verdicts_of_the_checker_agree_with_every_order(build: Build, rules: str) -> None:
    """Valid is never said where no order exists, and invalid never where there is one."""
    program = build("compare_transactions", *FLAGS)
    arguments = ("60", "5", "6", rules, "print")
    printed = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    verdicts = set()
    events: list[Event] = []
    for line in printed.stdout.splitlines():
        if line.startswith("{"):
            events.append(Event(**json.loads(line, object_hook=_typed)))
            continue
        for model, holds in zip(MODELS, line, strict=True):
            checker = Transactions(rules=rules, consistency_model=model)  # type: ignore[arg-type]
            verdict = checker(History(events), Budget()).verdict
            verdicts.add(verdict)

            assert verdict is not (Verdict.INVALID if holds == "1" else Verdict.VALID), events
        events = []

    assert verdicts >= {Verdict.VALID, Verdict.INVALID}


def _typed(event: dict[str, object]) -> dict[str, object]:
    return {**event, "type": Type(event["type"])}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_noticed(name: str, build_mutant: Callable[..., Path]) -> None:
    program = build_mutant("compare_transactions", *MUTANTS[name], *FLAGS)

    assert any(_is_noticed(program, rules) for rules in RUNS)


def _is_noticed(program: Path, rules: str) -> bool:
    """Whether it finds a mismatch, crashes, does not end or leaves more undecided."""
    try:
        found = compared(program, cases=10000, seed=1, operations=6, rules=rules, limit_s=20)
    except (AssertionError, subprocess.TimeoutExpired):
        return True
    return found["undecided"] > found["cases"] * UNDECIDED
