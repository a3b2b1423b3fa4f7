"""Containers in C against brute force, plain and sanitized; and broken on purpose."""

from __future__ import annotations

import re
import shutil
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

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parents[1] / "native"
LIMIT_S = 4
CASES = 50_000
LINE = re.compile(
    r"(\w+) cases (\d+) invalid (\d+) undecided (\d+) crashed (\d+) rules ([\d ]+) mismatches (\d+)"
)

Compile = Callable[..., Path]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """From a folder of sources and flags to the program `compare_containers`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("containers")
    once: dict[tuple[str, ...], Path] = {}

    def run(*arguments: str | Path) -> None:
        subprocess.run([compiler, "-std=c11", *arguments], check=True, capture_output=True)

    def compile_it(name: str, sources: Path, *flags: str) -> Path:
        program, include = folder / name, f"-I{sources}"
        if flags not in once:
            once[flags] = folder / f"compare{len(once)}.o"
            run(*flags, include, "-c", TESTS / "compare_containers.c", "-o", once[flags])
        run(*flags, include, sources / "containers.c", once[flags], "-o", program)
        return program

    return compile_it


def _run(program: Path, *arguments: int) -> list[tuple[str, ...]]:
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [match.groups() for match in map(LINE.fullmatch, done.stdout.splitlines()) if match]


@pytest.mark.parametrize("size", [8, 11])
def test_containers_and_all_orders_agree(compiled: Compile, size: int) -> None:
    strict = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"]
    program = compiled("strict", SOURCES, "-O2", *strict)

    kinds = _run(program, CASES if size == 8 else CASES // 10, size, size)

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


def test_memory_is_used_as_it_should_be(compiled: Compile) -> None:
    program = compiled("sanitized", SOURCES, "-O1", "-g", "-fsanitize=address,undefined")

    assert len(_run(program, 3_000, 3, 8)) == 4


@dataclass(frozen=True)
class Mutant:
    """A change of one source."""

    file: str
    sound: str
    broken: str


MUTANTS = {
    "a put that goes on after its take": Mutant(
        "items.h", "item->in_at = put_ret < ret ? put_ret : ret;", "item->in_at = put_ret;"
    ),
    "an emptiness not clipped to the put": Mutant(
        "items.h",
        "item->in_until = inv > item->asked ? inv : item->asked;",
        "item->in_until = inv;",
    ),
    "crashed puts forgotten": Mutant(
        "items.h", "if (!problem->is_take[i] && take < 0 &&", "if (!problem->is_take[i] &&"
    ),
    "crashed puts surely in": Mutant(
        "items.h",
        "            continue; /* nobody needs it */",
        "            ((int32_t *)problem->ret)[i] = problem->inv[i];",
    ),
    "a second take of a value passed over": Mutant(
        "items.h", "} else if (value >= 0 && again == NOTHING) {", "} else if (value < -1) {"
    ),
    "a take before its put": Mutant(
        "items.h", "if (put >= 0 && problem->inv[put] < problem->ret[i])", "if (put >= 0)"
    ),
    "crashed takes matched by the invocation of the put": Mutant(
        "items.h",
        "box->items[number].in_at == position)\n            box->left",
        "box->items[number].asked == position)\n            box->left",
    ),
    "crashed takes never used": Mutant("items.h", "box->spare[box->n_spare++] = i;", "continue;"),
    "a part without crashed takes": Mutant(
        "items.h", "k < box->n_spare && speaks; k++", "k < 0 && speaks; k++"
    ),
    "nothing but two at once is not empty": Mutant(
        "gaps.h", "for (; depth == 0 &&", "for (; depth <= 1 &&"
    ),
    "nothing found one stretch too late": Mutant(
        "gaps.h", ".at = position;\n    }\n    return", ".at = position + 1;\n    }\n    return"
    ),
    "nothing found although something came in": Mutant(
        "gaps.h", "        depth += change[position];\n", "        depth += 0 * change[position];\n"
    ),
    "overtaken where the takes overlap": Mutant(
        "fifo.h",
        "position == item->asked && item->out_at < most",
        "position == item->asked && item->in_until < most",
    ),
    "overtaken where the puts overlap": Mutant(
        "fifo.h",
        "position == item->in_at && item->in_until > most",
        "position == item->asked && item->in_until > most",
    ),
    "a line without epochs": Mutant(
        "fifo.h",
        "            epoch[number] = n_epochs;\n        for",
        "            epoch[number] = 0;\n        for",
    ),
    "puts one stretch too late": Mutant(
        "fifo.h", "place_in(least - 1, AT_LAST)", "place_in(least + 1, AT_LAST)"
    ),
    "a bottom whose take ended too early": Mutant(
        "peel.h", "if (best >> 32 < (uint64_t)end)", "if (best == 0)"
    ),
    "a bottom whose put began too late": Mutant(
        "peel.h", "for (; asked < start; asked++)", "for (; asked < end; asked++)"
    ),
    "what overlaps does not stand aside": Mutant(
        "items.h",
        "return item->put != NOTHING && item->in_at < item->in_until;",
        "return item->put != NOTHING && item->asked < item->in_until;",
    ),
    "a part that ends too late": Mutant(
        "peel.h",
        "if (depth + peel->least[node + 1] <= 0)",
        "if (depth + peel->least[node + 1] < 0)",
    ),
    "equal ranks cover each other": Mutant(
        "covers.h", "            if (item->rank != rank)\n", "            if (end > start)\n"
    ),
    "ranks the wrong way round": Mutant(
        "covers.h",
        "covers->by_rank[first[n_values - 1 - box->items[number].rank]++] = number;",
        "covers->by_rank[n_values - 1 - first[n_values - 1 - box->items[number].rank]++] = number;",
    ),
    "a cover from the invocation of the put on": Mutant(
        "covers.h", "covers_add(covers, item->in_at,", "covers_add(covers, item->asked,"
    ),
    "a take that may come after its return": Mutant(
        "covers.h",
        "            if (item->at > item->out_at)",
        "            if (item->in_until > item->out_at)",
    ),
    "a deadline for what is not surely in": Mutant(
        "deadlines.h",
        "cause[place_of[number] - 1] = suffixes_least(suffixes, item->in_at);",
        "cause[place_of[number] - 1] = suffixes_least(suffixes, item->asked - 1);",
    ),
    "a deadline by what is as great": Mutant(
        "deadlines.h",
        "start > 0 && box->items[by_rank[start - 1]].rank == rank; start--)",
        "start > 0 && start == end; start--)",
    ),
    "the last crashed take never counts": Mutant(
        "deadlines.h", "if (k < box->n_spare &&", "if (k + 1 < box->n_spare &&"
    ),
    "taken from the outside in": Mutant(
        "peel.h",
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
def test_mutant_is_caught(name: str, compiled: Compile, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    sources = tmp_path / "native"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("_*", "*.py"))
    text = (sources / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.sound) == 1
    (sources / mutant.file).write_text(text.replace(mutant.sound, mutant.broken), encoding="utf-8")

    assert _is_caught(compiled("mutant", sources, "-O0", "-w"))


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
