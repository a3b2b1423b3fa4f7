"""Containers in C against brute force, plain and sanitized; and broken on purpose."""

from __future__ import annotations

import re
import subprocess
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dissever.native.containers import (
    NEVER,
    NOTHING,
    Kind,
    Operations,
    Rule,
    judge_container,
    replays,
)

from .comparisons import compared

LIMIT_S = 4
CASES = 50_000
LINE = re.compile(
    r"(\w+) cases (\d+) invalid (\d+) undecided (\d+) crashed (\d+) rules ([\d ]+) mismatches (\d+)"
)

Build = Callable[..., Path]


@pytest.mark.parametrize("size", [8, 11])
def test_containers_and_all_orders_agree(build: Build, size: int) -> None:
    program = build("compare_containers", is_strict=True)

    kinds = compared(program, LINE, CASES if size == 8 else CASES // 10, size, size)

    assert [kind for kind, *_ in kinds] == ["queue", "bag", "stack", "priority"]
    for kind, cases, invalid, undecided, crashed, rules, mismatches in kinds:
        assert int(mismatches) == 0
        assert 0.05 < int(invalid) / int(cases) < 0.3
        assert int(crashed) > 0.3 * int(cases)
        assert int(undecided) <= (0 if kind in ("queue", "bag") else 0.002 * int(crashed))
        broken = [int(n) > 5 for n in rules.split()]
        assert broken == [rule in RULES_OF[kind] for rule in range(1, 9)]


RULES_OF = {
    "queue": (1, 2, 3, 4, 5),
    "bag": (1, 2, 3, 5),
    "stack": (1, 2, 3, 5, 6, 8),
    "priority": (1, 2, 3, 5, 7, 8),
}


def test_memory_is_used_as_it_should_be(build: Build) -> None:
    program = build("compare_containers", "-O1", "-g", "-fsanitize=address,undefined")

    assert len(compared(program, LINE, 3_000, 3, 8)) == 4


@dataclass(frozen=True)
class Mutant:
    """A change of one source."""

    file: str
    sound: str
    broken: str


MUTANTS = {
    "a put that goes on after its take": Mutant(
        "box.c", "item->in_at = put_ret < ret ? put_ret : ret;", "item->in_at = put_ret;"
    ),
    "an emptiness not clipped to the put": Mutant(
        "box.c",
        "item->in_until = inv > item->asked ? inv : item->asked;",
        "item->in_until = inv;",
    ),
    "crashed puts forgotten": Mutant(
        "box.c", "if (!problem->is_take[i] && take < 0 &&", "if (!problem->is_take[i] &&"
    ),
    "crashed puts surely in": Mutant(
        "box.c",
        "            continue; /* it is not needed */",
        "            ((int32_t *)problem->ret)[i] = problem->inv[i];",
    ),
    "a second take of a value passed over": Mutant(
        "box.c", "} else if (value >= 0 && again == NOTHING) {", "} else if (value < -1) {"
    ),
    "a take before its put": Mutant(
        "box.c", "if (put >= 0 && problem->inv[put] < problem->ret[i])", "if (put >= 0)"
    ),
    "crashed takes matched by the invocation of the put": Mutant(
        "box.c",
        "item->in_at == position)\n            box->left",
        "item->asked == position)\n            box->left",
    ),
    "crashed takes never used": Mutant("box.c", "box->spare[box->n_spare++] = i;", "continue;"),
    "a part without crashed takes": Mutant(
        "box.c", "k < box->n_spare && speaks; k++", "k < 0 && speaks; k++"
    ),
    "nothing but two at once is not empty": Mutant(
        "box.c", "for (; depth == 0 &&", "for (; depth <= 1 &&"
    ),
    "nothing found one stretch too late": Mutant(
        "box.c", ".at = position;\n    }\n    return", ".at = position + 1;\n    }\n    return"
    ),
    "nothing found although something came in": Mutant(
        "box.c",
        "        depth += change[position];\n",
        "        depth += 0 * change[position];\n",
    ),
    "overtaken where the takes overlap": Mutant(
        "queue.c",
        "position == item->asked && item->out_at < most",
        "position == item->asked && item->in_until < most",
    ),
    "overtaken where the puts overlap": Mutant(
        "queue.c",
        "position == item->in_at && item->in_until > most",
        "position == item->asked && item->in_until > most",
    ),
    "a line without epochs": Mutant(
        "queue.c",
        "            epoch[number] = n_epochs;\n        for",
        "            epoch[number] = 0;\n        for",
    ),
    "puts one stretch too late": Mutant(
        "queue.c", "place_in(least - 1, AT_LAST)", "place_in(least + 1, AT_LAST)"
    ),
    "a bottom whose take ended too early": Mutant(
        "stack.c", "if (best >> 32 < (uint64_t)end)", "if (best == 0)"
    ),
    "a bottom whose put began too late": Mutant(
        "stack.c", "for (; asked < start; asked++)", "for (; asked < end; asked++)"
    ),
    "what overlaps does not stand aside": Mutant(
        "box.h",
        "return item->put != NOTHING && item->in_at < item->in_until;",
        "return item->put != NOTHING && item->asked < item->in_until;",
    ),
    "a part that ends too late": Mutant(
        "stack.c",
        "if (depth + peel->least[node + 1] <= 0)",
        "if (depth + peel->least[node + 1] < 0)",
    ),
    "equal ranks cover each other": Mutant(
        "priority.c", "            if (item->rank != rank)\n", "            if (end > start)\n"
    ),
    "ranks the wrong way round": Mutant(
        "priority.c",
        "covers->by_rank[first[n_values - 1 - box->items[number].rank]++] = number;",
        "covers->by_rank[n_values - 1 - first[n_values - 1 - box->items[number].rank]++] = number;",
    ),
    "a cover from the invocation of the put on": Mutant(
        "priority.c", "covers_add(covers, item->in_at,", "covers_add(covers, item->asked,"
    ),
    "a take that may come after its return": Mutant(
        "priority.c",
        "            if (item->at > item->out_at)",
        "            if (item->in_until > item->out_at)",
    ),
    "a deadline for what is not surely in": Mutant(
        "deadlines.c",
        "cause[place_of[number] - 1] = suffixes_least(suffixes, item->in_at);",
        "cause[place_of[number] - 1] = suffixes_least(suffixes, item->asked - 1);",
    ),
    "a deadline by what is as great": Mutant(
        "deadlines.c",
        "start > 0 && box->items[by_rank[start - 1]].rank == rank; start--)",
        "start > 0 && start == end; start--)",
    ),
    "the last crashed take never counts": Mutant(
        "deadlines.c", "if (k < box->n_spare &&", "if (k + 1 < box->n_spare &&"
    ),
    "taken from the outside in": Mutant(
        "stack.c",
        "        next_take[i] = takes[peel->peeled[i].end];\n"
        "        takes[peel->peeled[i].end] = i + 1;\n",
        "        next_take[j] = takes[peel->peeled[j].end];\n"
        "        takes[peel->peeled[j].end] = j + 1;\n",
    ),
}


def _is_caught(program: Path) -> bool:
    for arguments in (["2000", "5"], ["40000", "6"]):
        try:
            done = subprocess.run(
                [program, *arguments], capture_output=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return True
        if done.returncode != 0:
            return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, build_mutant: Build) -> None:
    mutant = MUTANTS[name]
    change = (mutant.file, mutant.sound, mutant.broken)

    assert _is_caught(build_mutant("compare_containers", *change, "-O0", "-w"))


def _operations(*rows: tuple[int, int, int, int], values: int = 2) -> Operations:
    """Rows of is_take, value, inv and ret."""
    take, value, inv, ret = zip(*rows, strict=True)
    ranks = array("i", range(values))
    columns = (array("i", column) for column in (value, inv, ret))
    return Operations(bytes(take), *columns, ranks, values, 8)


def test_a_crashed_take_explains_what_is_missing() -> None:
    rows = [(0, 0, 0, 1), (0, 1, 2, 3), (1, NOTHING, 4, NEVER), (1, 1, 5, 6)]

    with_it = judge_container(Kind.QUEUE, _operations(*rows))
    without = judge_container(Kind.QUEUE, _operations(*rows[:2], rows[3]))

    assert (with_it.is_valid, list(with_it.order)) == (True, [0, 1, 2, 3])
    assert replays(Kind.QUEUE, _operations(*rows), with_it.order)
    assert (without.is_valid, without.rule, without.part) == (False, Rule.ORDER, (0, 1, 2))


def test_values_put_in_twice_are_left_open() -> None:
    judged = judge_container(Kind.STACK, _operations((0, 0, 0, 1), (0, 0, 2, 3)))

    assert judged.is_valid is None


@pytest.mark.parametrize(
    "row", [(0, 5, 0, 1), (0, NOTHING, 0, 1), (0, 0, 1, 0), (0, 0, 0, 9), (0, 0, -1, 1)]
)
def test_arrays_that_contradict_each_other_are_refused(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="contradict"):
        judge_container(Kind.QUEUE, _operations(row, values=1))
