"""
Texts: against all orders, against the search that knows nothing of them, under sanitizers.

The number of random cases is set so that a run stays short. More, in a minute:

    DISSEVER_FUZZ_CASES=1000000 pytest tests/native/test_texts.py --timeout 600
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dissever.native.columns import FAIL, INFO, OK, TYPE_CODES, Columns
from dissever.native.registers import KeyEngine, KeyOutcomes, KeyVerdict
from dissever.native.texts import judge_texts

CASES = int(os.environ.get("DISSEVER_FUZZ_CASES", "60000"))

Build = Callable[..., Path]

MUTANTS = {
    "a text may begin another": (
        "corpus.c",
        "if (piece_begins(&texts->added[p - 1], texts->added[p].bytes, texts->added[p].length))",
        "if (0)",
    ),
    "a text may be empty": ("corpus.c", "if (piece->length == 0)\n            return false;", ""),
    "what is put is never appended first": (
        "texts.c",
        "bool is_guess = group->n_puts > 1 || !is_known;",
        "bool is_guess = group->n_puts > 1;",
    ),
    "nothing is put twice": (
        "texts.c",
        "bool is_guess = group->n_puts > 1 || !is_known;",
        "bool is_guess = !is_known;",
    ),
    "a guess counts as known": (
        "texts.c",
        "if (answer != TEXTS_VALID && texts->has_guessed)",
        "if (0)",
    ),
    "a get of an unknown block is left out of an order": (
        "texts.c",
        "bool is_exact = is_guessing && !has_repeated;",
        "bool is_exact = !has_repeated;",
    ),
    "of equal appends the last may not be first": (
        "texts.c",
        "value->hi = key->inv[members[0]];",
        "value->hi = key->inv[members[group->n_appends - 1]];",
    ),
    "of equal appends the first return counts": (
        "texts.c",
        "key->ret[members[m]] > value->lo",
        "value->lo < 0",
    ),
    "one choice of equal appends decides": (
        "texts.c",
        "bool is_exact = is_guessing && !has_repeated;",
        "bool is_exact = is_guessing;",
    ),
    "texts of one put may differ": (
        "texts.c",
        "if (block->length > 0 && memcmp(answer->bytes, block->bytes, block->length) != 0) {",
        "if (0) {",
    ),
    "an append may be returned once more": (
        "texts.c",
        "if (group->n_states++ == group->n_appends) {",
        "if (group->n_states++ == group->n_appends + 1) {",
    ),
    "an append that no get shows needs no place": (
        "texts.c",
        "if (key->ret[i] != ZONES_NEVER)\n            value->offset = ZONES_NEEDED;",
        "if (key->ret[i] != ZONES_NEVER && texts->make[i] < texts->n_known_states)\n"
        "            value->offset = ZONES_NEEDED;",
    ),
    "a put ends in no other state": (
        "beginnings.c",
        "return texts->leads[transition];",
        "return texts->places[state].get == APART ? state : texts->leads[transition];",
    ),
    "all beginnings are one state": (
        "beginnings.c",
        "return state_of(texts, (struct place){low, before.length + more->length});",
        "return state_of(texts, (struct place){low, before.length});",
    ),
}
"""Name -> file, what stands there, and what is wrong instead."""


def _counts(program: Path, cases: int, seed: int, operations: int) -> dict[str, int]:
    command = [program, str(cases), str(seed), str(operations)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}


def test_all_orders_say_the_same(build: Build) -> None:
    counts = _counts(build("compare_texts", is_strict=True), CASES, 1, 8)

    assert counts["mismatches"] == 0
    assert counts["keys"] > 1.9 * CASES
    assert 0.1 < counts["invalid"] / counts["keys"] < 0.3
    assert all(counts[of] > CASES / 4 for of in ("texts", "searched", "repeated"))
    # Those of texts must contradict each other alone, or it is a mismatch.
    assert counts["witnesses"] > 0.8 * counts["invalid"]


def test_the_search_says_the_same_of_large_histories(build: Build) -> None:
    program = build("compare_texts", is_strict=True)

    for operations, cases in ((40, CASES // 15), (200, CASES // 150)):
        counts = _counts(program, cases, 2, operations)

        assert counts["mismatches"] == 0
        assert counts["invalid"] > 0.05 * counts["keys"]
        assert counts["texts"] > 0.5 * counts["keys"]


def test_sanitizers_find_nothing(build: Build) -> None:
    flags = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    flags += ("-DPROBLEM_BLOCK_BYTES=0",)
    try:
        program = build("compare_texts", *flags)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no sanitizers: {error.stderr.decode()[-200:]}")

    assert _counts(program, 4_000, 3, 8)["mismatches"] == 0
    assert _counts(program, 60, 3, 200)["mismatches"] == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(build_mutant: Build, name: str) -> None:
    program = build_mutant("compare_texts", *MUTANTS[name], "-O1", "-w")

    for cases in ("300", "10000"):
        command = [program, cases, "4", "8"]
        done = subprocess.run(command, capture_output=True, timeout=100, check=False)
        if done.returncode != 0:  # A mismatch, or a crash.
            return
    pytest.fail("no comparison noticed the difference")


FS = ("get", "put", "append")
Asked = tuple[str, str, object]
"""f, the value that was asked or returned, and ok, fail or info."""


def _judge(asked: Sequence[Asked], initial: str = "", **options: int | bool) -> KeyOutcomes:
    """Operations of one key, one after the other."""
    ids: dict[str, int] = {"None": 0}
    values: list[object] = [None]
    rows: list[dict[str, int]] = []
    for i, (f, value, kind) in enumerate(asked):
        number = ids.setdefault(repr(value), len(values))
        values += [value] * (number == len(values))
        is_ok = kind == "ok"
        rows.append(
            {
                **dict.fromkeys(TYPE_CODES, 0),
                "type": {"ok": OK, "fail": FAIL, "info": INFO}[str(kind)],
                "f": FS.index(f),
                "value_in": 0 if f == "get" else number,
                "value_out": number if is_ok else -1,
                "inv": 2 * i,
                "ret": -1 if kind == "info" else 2 * i + 1,
                "inv_time": 2 * i,
                "ret_time": 2 * i + 1,
            }
        )
    columns = Columns.of(
        {name: [row[name] for row in rows] for name in TYPE_CODES}, fs=FS, values=values
    )
    limits: dict[str, int] = {"configurations_max": 10_000, "bytes_max": 1 << 24}
    return judge_texts(columns, initial=initial, **{**limits, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("innocent", "guilty"),
    [
        pytest.param(
            [("put", "a", "ok"), ("append", "b", "ok"), ("get", "ab", "ok")],
            [("put", "a", "ok"), ("append", "b", "ok"), ("get", "a", "ok")],
            id="an append is lost",
        ),
        pytest.param(
            [("append", "a", "ok"), ("append", "b", "ok"), ("get", "ab", "ok")],
            [("append", "a", "ok"), ("append", "b", "ok"), ("get", "ba", "ok")],
            id="appends in the other order",
        ),
        pytest.param(
            [("append", "a", "ok"), ("put", "b", "ok"), ("get", "b", "ok")],
            [("append", "a", "ok"), ("put", "b", "ok"), ("get", "ab", "ok")],
            id="a put keeps what was",
        ),
        pytest.param(
            [("append", "a", "info"), ("get", "a", "ok")],
            [("append", "a", "fail"), ("get", "a", "ok")],
            id="a failed append is returned",
        ),
        pytest.param(
            [("append", "a", "info"), ("get", "", "ok"), ("get", "a", "ok")],
            [("append", "a", "info"), ("get", "a", "ok"), ("get", "", "ok")],
            id="a crashed append is taken back",
        ),
        pytest.param(
            [("append", "a", "ok"), ("append", "a", "ok"), ("get", "aa", "ok")],
            [("append", "a", "ok"), ("append", "b", "ok"), ("get", "aba", "ok")],
            id="an append took effect twice",
        ),
        pytest.param(
            [("append", "a", "info"), ("append", "b", "info"), ("get", "ab", "ok")],
            [
                ("append", "a", "info"),
                ("append", "b", "info"),
                ("get", "a", "ok"),
                ("get", "b", "ok"),
            ],
            id="two texts grow apart",
        ),
        pytest.param(
            [("put", "a", "ok"), ("append", "", "ok"), ("get", "a", "ok")],
            [("put", "a", "ok"), ("put", "", "ok"), ("get", "a", "ok")],
            id="empty texts",
        ),
    ],
)
def test_the_smallest_guilty_history_and_its_twin(
    innocent: list[Asked], guilty: list[Asked]
) -> None:
    good, bad = _judge(innocent)[0], _judge(guilty)[0]

    assert (good.verdict, bad.verdict) == (KeyVerdict.VALID, KeyVerdict.INVALID)
    assert bad.witness
    assert bad.reason


@pytest.mark.parametrize(
    ("initial", "decision"), [("a", KeyVerdict.VALID), ("", KeyVerdict.INVALID)]
)
def test_the_initial_text_is_what_the_model_says(initial: str, decision: KeyVerdict) -> None:
    assert _judge([("append", "b", "ok"), ("get", "ab", "ok")], initial)[0].verdict is decision


def test_a_letter_is_not_its_bytes() -> None:
    lone = [("append", "\ud83d", "ok"), ("append", "\ude00", "ok"), ("get", "\ud83d\ude00", "ok")]
    whole = [*lone[:2], ("get", "\U0001f600", "ok")]

    assert _judge(lone)[0].verdict is KeyVerdict.VALID
    assert _judge(whole)[0].verdict is KeyVerdict.INVALID


@pytest.mark.parametrize("value", [None, 1, True, 1.5, ["a"]])
def test_only_texts_are_added(value: object) -> None:
    finding = _judge([("get", "", "ok"), ("append", value, "ok")])[0]  # type: ignore[list-item]

    assert (finding.verdict, finding.witness) == (KeyVerdict.MALFORMED, (1,))
    assert _judge([("get", value, "ok")])[0].verdict is KeyVerdict.INVALID  # type: ignore[list-item]


def test_past_its_budget_the_search_says_so() -> None:
    hard = [("append", "a" * (1 + i % 7), "info") for i in range(40)]
    gets = [("get", "a" * i, "ok") for i in range(3, 90, 3)]
    few = _judge([*hard, *gets, ("get", "b", "ok")], configurations_max=100)[0]
    small = _judge([*hard, *gets, ("get", "b", "ok")], bytes_max=1 << 10)[0]

    assert (few.verdict, few.evidence) == (
        KeyVerdict.CONFIGURATIONS,
        "a text that is added begins another, is empty, or is added again",
    )
    assert small.verdict is KeyVerdict.MEMORY


def test_ten_thousand_appends_take_no_search() -> None:
    asked: list[Asked] = [("append", f"{i},", "ok") for i in range(10_000)]
    whole = "".join(f"{i}," for i in range(10_000))

    finding = _judge([*asked, ("get", whole, "ok")])[0]

    assert (finding.verdict, finding.engine) == (KeyVerdict.VALID, KeyEngine.TEXTS)
    assert finding.configurations == 0
    assert list(finding.order or ()) == list(range(10_001))
