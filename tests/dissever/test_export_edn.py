"""
What Elle and Knossos are given is the same history: our own checkers give the same verdict.

Every workload of the simulated system is exported, correct and with bugs, and every recorded
history with a published verdict.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dissever import attempts
from dissever.checkers import CAS_REGISTER, TEXT, Linearizable
from dissever.harness import store
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Results, Verdict
from dissever.judging import judge_file
from dissever.reports.exports.edn import lines
from dissever.systems.simulated import BUGS, SimulatedSystem, transactions
from tests.checkers.settled import settled
from tests.systems.test_simulated_bugs import FIRST_SEED, options

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "histories"

MODELS = {"register": "cas-register", "set": "set"}
"""The workloads that are judged as objects of a model."""

TRANSACTIONAL = tuple(transactions.BUGS)

SHOWN = frozenset(
    {
        *("stale-read", "lost-write", "double-write", "dirty-read", "stale-leader"),
        *("early-read", "lease-drift", "minority-commit", "answers-by-index", "torn-snapshot"),
    }
)
"""The bugs that the history of such a run shows; the others show in states that no client saw."""

INNOCENT = ("register", "set", "append", "wr", "bank", "rows")


def exported(history: History, folder: Path) -> Path:
    path = folder / "export.edn"
    path.write_text("".join(lines(history)), encoding="utf-8")
    return path


def essence(results: Results) -> tuple[Verdict, object]:
    """The verdict and what was found, but not what names the file."""
    return results.verdict, [
        (result.checker, result.verdict, [(each.name, each.indices) for each in result.anomalies])
        for result in results.results
        if result.checker != "file"
    ]


def options_of(workload: str, **more: Any) -> Options:
    """Of a short run."""
    return Options(
        system="simulated",
        workload=workload,
        backend=SIMULATED,
        rate=200.0 if workload == "append" else 60.0,
        time_limit_s=8.0,
        fault_interval_s=2.0,
        seed=1,
        trace=False,
        **more,
    )


def run_of(folder: Path, options: Options) -> Path:
    """The directory of a run."""
    attempts.attempt(options, SimulatedSystem(), keep=folder / "run")
    return folder / "run"


def judged_twice(run: Path, workload: str) -> tuple[tuple[Verdict, object], tuple[Verdict, object]]:
    """What is said of the history of a run, and of its export."""
    path = run / store.HISTORY
    history = read_history(path).history
    is_keyed = any(key is not None for key in history.keys)
    model = MODELS.get(workload)
    named = None if model else workload
    again = judge_file(
        exported(history, run), model, workload=named, keyed=is_keyed and model is not None
    )
    return essence(judge_file(path, model, workload=named).results), essence(again.results)


@pytest.mark.parametrize("workload", INNOCENT)
def test_innocent_run_stays_valid(workload: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, options_of(workload, faults=("partition", "kill")))
    before, after = judged_twice(run, workload)

    assert after == before
    assert before[0] is Verdict.VALID


@pytest.mark.parametrize("bug", BUGS)
def test_bug_of_the_store_is_judged_alike(bug: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, options(bug, FIRST_SEED.get(bug, 1)))
    before, after = judged_twice(run, BUGS[bug].workload)

    assert after == before
    assert before[0] is Verdict.INVALID or bug not in SHOWN


@pytest.mark.parametrize("bug", TRANSACTIONAL)
def test_bug_of_transactions_is_found_in_the_export(bug: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, options_of("append", system_options={"bug": bug}))
    before, after = judged_twice(run, "append")

    assert after == before
    assert before[0] is Verdict.INVALID


@pytest.mark.parametrize("source", ["porcupine", "knossos"])
def test_recorded_histories_keep_their_published_verdicts(source: str, tmp_path: Path) -> None:
    expected = verdicts(source)
    found = {}
    for name in expected:
        history = read_history(RECORDED / source / name).history
        is_kv = name.startswith("kv/")
        copy = read_history(exported(history, tmp_path), keyed=is_kv).history
        found[name] = settled(Linearizable(TEXT if is_kv else CAS_REGISTER)(copy, Budget())).word

    assert found == expected


def test_histories_of_elle_cli_are_judged_alike(tmp_path: Path) -> None:
    for name in verdicts("elle-cli"):
        path = RECORDED / "elle-cli" / name
        copy = exported(read_history(path).history, tmp_path)

        assert essence(judge_file(copy).results) == essence(judge_file(path).results), name


def verdicts(source: str) -> dict[str, Any]:
    path = RECORDED / source / "verdicts.json"
    if not path.is_file():
        pytest.skip("no recorded histories in ../shared/histories")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
