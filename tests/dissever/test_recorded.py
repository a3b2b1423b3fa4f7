"""What a history file is judged as when nobody says it: transactions, a bank, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dissever import check
from dissever.checkers.linearizability.model import Misfit
from dissever.harness.history import Event, History, Type
from dissever.harness.reader import read_history
from dissever.harness.results import Verdict
from dissever.judging import judge_file
from dissever.recorded import workload_of

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "histories" / "elle-cli"

APPEND = """{:process 0 :type :invoke :f :txn :value [[:append 1 1]]}
{:process 0 :type :ok :f :txn :value [[:append 1 1]]}
{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}
{:process 1 :type :ok :f :txn :value [[:r 1 [1]]]}
"""
WR = APPEND.replace(":append", ":w").replace("[1]]]", "1]]")
BANK = """{:process 0 :type :invoke :f :transfer :value {:from 0 :to 1 :amount 2}}
{:process 0 :type :ok :f :transfer :value {:from 0 :to 1 :amount 2}}
{:process 1 :type :invoke :f :read :value nil}
{:process 1 :type :ok :f :read :value {0 8, 1 12}}
"""
KNOWN = {
    "append": (APPEND, "append"),
    "only reads of lists": ("\n".join(APPEND.splitlines()[2:]), "append"),
    "wr": (WR, "wr"),
    "only reads of nil": ("\n".join(WR.splitlines()[2:]).replace("1 1]]", "1 nil]]"), "wr"),
    "malformed append": (APPEND + "{:process 2 :type :invoke :f :read :value 1}", "append"),
    "malformed wr": (WR + "{:process 2 :type :invoke :f :read :value 1}", "wr"),
    "sessions": ("w(1,5,0,0)\nr(1,5,1,1)", "wr"),
    "bank": (BANK, "bank"),
    "register": ("{:process 0 :type :invoke :f :read :value nil}", None),
    "a map": ("{:process 0 :type :invoke :f :read}\n"
              "{:process 0 :type :ok :f :read :value {}}", None),
    "texts": ('{"process":0,"type":"invoke","f":"read"}\n{"process":0,"type":"ok","f":"read",'
              '"value":{"a":"b"}}', None),
    "empty": ("", None),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_the_content_decides(name: str) -> None:
    text, expected = KNOWN[name]

    assert workload_of(read_history(text.encode()).history) == expected


@pytest.mark.parametrize(
    ("name", "workload"),
    [
        ("list-append-gh-30.edn", "append"),
        ("rw-register.edn", "wr"),
        ("rw-register.json", "wr"),
        ("bank.edn", "bank"),
        ("bank.json", "bank"),
        ("bank-neg.edn", "bank"),
        ("counter.json", None),
        ("set.edn", None),
        ("set_full.json", None),
    ],
)
def test_the_files_of_elle_cli_are_recognised(name: str, workload: str | None) -> None:
    if not CORPUS.is_dir():
        pytest.skip("no recorded histories in ../shared/histories")
    results = judge_file(CORPUS / name).results
    names = {"append": "transactions", "wr": "transactions", "bank": "bank", None: "linearizable"}

    assert results.results[0].checker == names[workload]
    assert not any("has no 'txn'" in each.why for each in results.results)


def test_a_model_that_is_given_judges_as_before(tmp_path: Path) -> None:
    path = tmp_path / "wr.edn"
    path.write_text(WR)

    assert judge_file(path, "multi-register").results.verdict is Verdict.VALID
    refused = judge_file(path, "cas-register").results.results[0]
    assert refused.verdict is Verdict.UNKNOWN
    assert "this is a history of transactions" in refused.why


def test_a_model_is_not_asked_about_a_history_without_times(tmp_path: Path) -> None:
    path = tmp_path / "plume.txt"
    path.write_text("r(1,5,0,0)\nw(1,5,1,1)")  # Valid: sessions have no order among each other.

    assert judge_file(path).results.verdict is Verdict.VALID
    for model in ("multi-register", "cas-register"):
        refused = judge_file(path, model).results.results[0]
        assert (refused.verdict, "no times" in refused.why) == (Verdict.UNKNOWN, True)


def test_a_workload_that_does_not_fit_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "register.edn"
    path.write_text("{:process 0 :type :invoke :f :write :value 1}")

    for workload in ("append", "wr", "bank"):
        assert judge_file(path, workload=workload).results.verdict is Verdict.UNKNOWN
    why = judge_file(path, workload="append").results.results[0].why
    assert "expected a list of micro-operations as the value, as of other operations" in why


def test_options_of_models_are_refused_for_workloads(tmp_path: Path) -> None:
    path = tmp_path / "append.edn"
    path.write_text(APPEND)
    options: list[dict[str, Any]] = [{"initial": 0}, {"nil_is_unknown": True}]
    for each in options:
        with pytest.raises(Misfit, match="the workload append, not as a model"):
            judge_file(path, **each)
    with pytest.raises(Misfit):
        judge_file(path, workload="wr", keyed=True)
    with pytest.raises(ValueError, match="a model or a workload, got both"):
        judge_file(path, "register", workload="wr")
    with pytest.raises(ValueError, match="workload append, wr, bank, rows, got 'queue'"):
        judge_file(path, workload="queue")


def test_the_command_that_judges_it_again_says_as_what(tmp_path: Path) -> None:
    path = tmp_path / "append.edn"
    path.write_text(APPEND)
    command = judge_file(path, consistency_model="snapshot-isolation").subject.command

    assert command == (
        f"dissever check {path} --workload append --consistency-model snapshot-isolation"
    )


def test_events_in_memory_are_recognised_too() -> None:
    history = read_history(APPEND.encode()).history

    assert check(history).results[0].checker == "transactions"
    assert check(history.events).verdict is Verdict.VALID


def test_transactions_over_rows_are_recognised_by_content() -> None:
    asked = [["select", 0, [2, 0], None]]
    events = [Event(0, 0, 0, Type.INVOKE, "rows", asked), Event(1, 1, 0, Type.OK, "rows", [])]

    assert workload_of(History(events)) == "rows"
