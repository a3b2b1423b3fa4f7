"""The histories of the benchmark of transactions are what it says they are; its table adds up."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dissever.checkers.transactions import Transactions
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Verdict

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location(
        "transactions_benchmark", FOLDER / "transactions.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FOLDER))


@pytest.fixture
def histories(benchmark: ModuleType, tmp_path: Path) -> Any:
    try:
        return benchmark.Histories(tmp_path)
    except benchmark.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("rules", ["append", "wr"])
def test_history_is_strict_serializable_unless_reads_are_stale(
    benchmark: ModuleType, histories: Any, rules: Any
) -> None:
    judge = Transactions(rules, "strict-serializable")

    def verdict(**shape: int) -> Verdict:
        history = read_history(histories(benchmark.Shape(100, rules, blind=0, **shape))).history
        return judge(history, Budget()).verdict

    assert verdict() is Verdict.VALID
    assert verdict(crashed=200) is Verdict.VALID
    assert verdict(stale=300) is Verdict.INVALID


def judged(benchmark: ModuleType, verdict: str, cpu_s: float) -> Any:
    return sys.modules["judges"].Judged(verdict, cpu_s / 4, cpu_s, cpu_s / 4, cpu_s, 10)


def test_ratio_is_of_processor_seconds_and_a_contradiction_is_named(benchmark: ModuleType) -> None:
    case = benchmark.CASES["append-1m"]
    row = benchmark.Row(
        "append-1m", case, 1, judged(benchmark, "valid", 2.0), judged(benchmark, "invalid", 20.0)
    )

    assert row.ratios == (10.0, 10.0)
    assert row.contradiction == "append-1m: valid, elsewhere invalid, valid"
