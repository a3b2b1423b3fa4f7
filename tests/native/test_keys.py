"""Every key in one call: against brute force, under sanitizers, with any number of threads."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from dissever.native.columns import FAIL, INFO, OK, TYPE_CODES, Columns
from dissever.native.registers import KeyEngine, KeyOutcomes, KeyVerdict, judge_keys

Build = Callable[..., Path]

MUTANTS = {
    "a value is only needed where it was read or acknowledged": (
        "zones.c",
        "zones->values[value].offset = ZONES_NEEDED;",
        ";",
    ),
    "two compare-and-sets may replace one value": (
        "zones.c",
        "if (old->consumer >= 0) {",
        "if (0) {",
    ),
    "no order inside a block": ("zones.c", "if (least_ret < block->greatest_inv)", "if (0)"),
    "no block is a conflict": ("zones.c", "if (root->lo < end) {", "if (0) {"),
    "the initial value has no block": (
        "zones.c",
        "v == 0 ? -1 : ZONES_NEVER",
        "ZONES_NEVER",
    ),
    "circles of compare-and-sets": ("zones.c", "if (n_reached == n_consumers)", "if (1)"),
    "phantoms": ("zones.c", "if (root->producer < 0 && v > 0) {", "if (0) {"),
    "values that are set twice count as unique": (
        "one_key.c",
        "value->producer >= 0))",
        "0))",
    ),
    "the initial value may be set again": (
        "one_key.c",
        "(make == 0 || make == want ||",
        "(make == want ||",
    ),
    "events of one time in their own order": (
        "one_key.c",
        "taken.has_ties = time == before && !is_in_order;",
        "taken.has_ties = false;",
    ),
    "crashed reads count": (
        "partition.c",
        "(type == COLUMNS_INFO && columns->f[operation] != partition->options->read)",
        "type == COLUMNS_INFO",
    ),
    "failed operations count": (
        "partition.c",
        "return type == COLUMNS_OK ||",
        "return type == COLUMNS_OK || type == COLUMNS_FAIL ||",
    ),
    "alone: a value may be written twice": (
        "unique.c",
        "if (choose(is_write, seen->writer, 0) != 0)",
        "if (0)",
    ),
    "alone: the initial value may be written": ("unique.c", "| (value == initial))", ")"),
    "alone: a call at the time of the return before it": (
        "unique.c",
        "return !(has_tie & 1) && ",
        "return ",
    ),
    "alone: failed writes count": (
        "unique.c",
        "uint32_t is_kept = is_ok |",
        "uint32_t is_kept = is_ok | (type == COLUMNS_FAIL && is_read == 0) |",
    ),
    "alone: crashed operations return": ("unique.c", "choose(is_ok, ~ret, 0)", "~ret | 1"),
    "alone: phantoms": ("unique.c", "return refuse(u, KEYS_PHANTOM, v, false);", "continue;"),
    "alone: a read may return before its write begins": (
        "unique.c",
        "if (least_ret < (uint32_t)inv[value->writer - 1])",
        "if (0)",
    ),
    "alone: no block is a conflict": ("unique.c", "if (after < end) {", "if (0) {"),
    "alone: the initial value has no block": (
        "unique.c",
        "initial->late == 0 ? 0 : initial->hi",
        "0",
    ),
    "what compare-and-sets ask is no need": (
        "kinds.c",
        "links[t] = heads[problem->make[t]];\n        heads[problem->make[t]] = t;",
        ";",
    ),
    "an earlier need is enough": (
        "kinds.c",
        "for (int32_t e = problem->n_returns; e-- > 0;) {",
        "for (int32_t e = 0; e < problem->n_returns; e++) {",
    ),
}
"""Name -> file, what stands there, and what is wrong instead."""


def _counts(program: Path, cases: int, seed: int) -> dict[str, int]:
    done = subprocess.run(
        [program, str(cases), str(seed)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}


def test_every_engine_agrees_with_brute_force(build: Build) -> None:
    counts = _counts(build("compare_keys", is_strict=True), 200_000, 1)

    assert counts["mismatches"] == 0
    assert 0.05 < counts["invalid"] / counts["keys"] < 0.6
    assert all(counts[engine] > 10_000 for engine in ("zones", "chains", "searched"))
    # Those of zones must contradict each other alone, or it is a mismatch; of chains, what led to
    # their values may be missing; of the search it is one return.
    assert counts["witnesses"] > 0.9 * counts["invalid"]


def test_sanitizers_find_nothing(build: Build) -> None:
    try:
        flags = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        program = build("compare_keys", *flags, "-DPROBLEM_BLOCK_BYTES=0")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no sanitizers: {error.stderr.decode()[-200:]}")

    assert _counts(program, 20_000, 2)["mismatches"] == 0


def test_the_thread_sanitizer_finds_nothing(build: Build) -> None:
    try:
        flags = ("-O1", "-g", "-fsanitize=thread", "-fno-sanitize-recover=all")
        program = build("compare_keys", *flags)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the compiler has no thread sanitizer: {error.stderr.decode()[-200:]}")

    assert _counts(program, 2_000, 4)["mismatches"] == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(build_mutant: Build, name: str) -> None:
    program = build_mutant("compare_keys", *MUTANTS[name], "-O1", "-w")
    done = subprocess.run(
        [program, "60000", "3"], capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode != 0  # A mismatch, or a crash: an order longer than its place.


class _Recorder:
    """Operations of many keys, one after the other or open at once, as columns."""

    def __init__(self, keys: int = 0) -> None:
        self._rows: list[dict[str, int]] = []
        self._events = 0
        self._keys = keys

    def invoke(self, f: int, value: int, key: int = 0) -> int:
        self._rows.append(
            {
                **dict.fromkeys(TYPE_CODES, 0),
                "type": INFO,
                "f": f,
                "key": key,
                "value_in": value,
                "value_out": -1,
                "a": value,
                "b": -1,
                "inv": self._events,
                "ret": -1,
                "inv_time": self._events,
            }
        )
        self._events += 1
        return len(self._rows) - 1

    def ok(self, row: int, value: int) -> None:
        done = {"type": OK, "value_out": value, "ret": self._events, "ret_time": self._events}
        self._rows[row].update(done)
        self._events += 1

    def fail(self, row: int) -> None:
        self._rows[row].update({"type": FAIL, "ret": self._events, "ret_time": self._events})
        self._events += 1

    def columns(self) -> Columns:
        return Columns.of(
            {name: [row[name] for row in self._rows] for name in TYPE_CODES},
            fs=("read", "write", "cas"),
            keys=(None, *range(1, self._keys + 1)),
            values=(None, *range(1, 50)),
        )


def _hard_key(recorder: _Recorder, key: int, width: int = 22) -> None:
    """Open writes, each value twice, then a read of what was replaced while none is open."""
    rows = [recorder.invoke(1, 1 + i // 2, key) for i in range(width)]
    for row in rows:
        recorder.ok(row, 1)
    last = recorder.invoke(1, 1, key)
    recorder.ok(last, 1)
    recorder.ok(recorder.invoke(0, 0, key), 2)


def _easy_key(recorder: _Recorder, key: int, value: int) -> None:
    recorder.ok(recorder.invoke(1, 1, key), 1)
    recorder.ok(recorder.invoke(1, 1, key), 1)
    recorder.ok(recorder.invoke(0, 0, key), value)


def _judge(columns: Columns, **options: int) -> KeyOutcomes:
    settings = {"configurations_max": 1_000_000, "bytes_max": 1 << 28, "threads": 1, **options}
    return judge_keys(columns, initial=0, has_cas=True, **settings)  # type: ignore[arg-type]


def test_one_key_past_its_budget_leaves_the_others_decided() -> None:
    recorder = _Recorder(keys=4)
    _easy_key(recorder, 1, 1)
    _hard_key(recorder, 2)
    _easy_key(recorder, 3, 2)
    _easy_key(recorder, 4, 1)

    outcomes = _judge(recorder.columns(), configurations_max=4_000)

    assert [outcomes[key].verdict for key in range(1, 5)] == [
        KeyVerdict.VALID,
        KeyVerdict.CONFIGURATIONS,
        KeyVerdict.INVALID,
        KeyVerdict.VALID,
    ]
    assert sum(outcomes[key].configurations for key in range(5)) <= 4_000 + 4


def test_one_key_past_its_bytes_leaves_the_others_decided() -> None:
    recorder = _Recorder(keys=3)
    _easy_key(recorder, 1, 1)
    _hard_key(recorder, 2)
    _easy_key(recorder, 3, 1)

    outcomes = _judge(recorder.columns(), configurations_max=1 << 30, bytes_max=1 << 20)

    assert [outcomes[key].verdict for key in range(1, 4)] == [
        KeyVerdict.VALID,
        KeyVerdict.MEMORY,
        KeyVerdict.VALID,
    ]
    assert outcomes[2].peak_bytes <= 1 << 20


def _of_three_kinds() -> dict[str, Columns]:
    alone, searched, several = _Recorder(), _Recorder(), _Recorder(keys=3)
    for value in range(1, 40):
        alone.ok(alone.invoke(1, value), value)
        searched.ok(searched.invoke(1, value % 3 + 1), value % 3 + 1)
    for key in range(1, 4):
        _easy_key(several, key, 1)
    return {"alone": alone.columns(), "searched": searched.columns(), "keys": several.columns()}


@pytest.mark.parametrize("name", ["alone", "searched", "keys"])
def test_too_small_a_budget_of_bytes_is_unknown_and_never_passed(name: str) -> None:
    columns = _of_three_kinds()[name]
    used = sorted(set(columns.key))
    seen = []

    for bytes_max in (0, 1, *range(100, 20_000, 100), 1 << 20):
        for threads in (1, 3):
            outcomes = _judge(columns, bytes_max=bytes_max, threads=threads)
            seen.append({outcomes[key].verdict for key in used})
            assert all(outcomes[key].peak_bytes <= bytes_max for key in used)

    assert seen[0] == seen[1] == {KeyVerdict.MEMORY}
    assert seen[-1] == seen[-2] == {KeyVerdict.VALID}
    assert set().union(*seen) == {KeyVerdict.MEMORY, KeyVerdict.VALID}
    assert all(found.peak_bytes > 0 for found in (_judge(columns)[key] for key in used))


def _random_keys(keys: int, seed: int) -> Columns:
    """Some clients on each of many registers of 3 values; a tenth crashes, some reads are wrong."""
    rng, recorder = Random(seed), _Recorder(keys)
    for key in range(1, keys + 1):
        held, pending = 0, []
        for _ in range(rng.randrange(60)):
            pending.append(recorder.invoke(rng.randrange(2), 0, key))
            row = recorder._rows[pending[-1]]
            row["value_in"] = row["a"] = rng.randrange(1, 4) if row["f"] == 1 else 0
            if len(pending) < 4 and rng.random() < 0.5:
                continue
            done = pending.pop(rng.randrange(len(pending)))
            row = recorder._rows[done]
            if row["f"] == 1 and rng.random() < 0.9:
                held = row["value_in"]
                recorder.ok(done, held)
            elif row["f"] == 0:
                recorder.ok(done, held if rng.random() < 0.98 else 1)
    return recorder.columns()


@pytest.mark.parametrize("configurations_max", [2_000, 1_000_000])
def test_the_number_of_threads_changes_no_outcome(configurations_max: int) -> None:
    columns = _random_keys(200, seed=5)

    every = [
        _judge(columns, configurations_max=configurations_max, threads=threads)
        for threads in (1, 2, 4, 16)
    ]

    assert all(list(outcomes) == list(every[0]) for outcomes in every)
    assert every[0].count(KeyVerdict.INVALID) > 5
    assert every[0].count(KeyVerdict.VALID) > 10


def test_an_order_and_an_engine_are_told() -> None:
    recorder = _Recorder()
    recorder.ok(recorder.invoke(1, 1), 1)
    crashed = recorder.invoke(1, 2)
    recorder.fail(recorder.invoke(1, 3))
    recorder.ok(recorder.invoke(0, 0), 2)

    found = _judge(recorder.columns())[0]

    assert (found.verdict, found.engine) == (KeyVerdict.VALID, KeyEngine.ZONES)
    assert list(found.order or ()) == [0, crashed, 3]


def test_operations_that_no_register_has_are_malformed() -> None:
    recorder = _Recorder()
    recorder.ok(recorder.invoke(2, 1), 1)

    found = _judge(recorder.columns())[0]

    assert (found.verdict, found.witness) == (KeyVerdict.MALFORMED, (0,))


@pytest.mark.parametrize(
    "wrong", [{"inv": 3}, {"key": 7}, {"value_in": 99}, {"value_out": 99}, {"ret": 0}, {"ret": 2}]
)
def test_columns_that_contradict_themselves_are_refused(wrong: dict[str, int]) -> None:
    recorder = _Recorder()
    recorder.ok(recorder.invoke(1, 1), 1)
    recorder.ok(recorder.invoke(1, 2), 2)
    recorder._rows[0].update(wrong)

    with pytest.raises(ValueError, match="contradict"):
        _judge(recorder.columns())


def test_no_operations_are_valid() -> None:
    assert _judge(Columns.empty())[0].verdict is KeyVerdict.VALID
