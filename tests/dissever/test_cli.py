"""What a user meets: statuses, files, messages."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dissever import __main__ as entry
from dissever.commands.output import EXIT_FAILED
from dissever.harness.runner import CannotRun
from dissever.nemesis import FAULTS, Backend
from dissever.systems.raft.libraries import VARIANTS

NOBODY = 65534
SIMULATED = ("test", "simulated", "--time-limit", "3", "--seed", "7")


def test_valid_run_exits_with_0_and_leaves_every_file(dissever: Callable, runs: Path) -> None:
    ran = dissever(*SIMULATED)

    latest = runs / "latest"
    assert ran.status == 0
    assert "VALID" in ran.text
    assert json.loads((latest / "results.json").read_text())["verdict"] == "valid"
    assert json.loads((latest / "plan.json").read_text())["options"]["seed"] == 7
    assert (latest / "index.html").read_text().startswith("<!doctype html>")
    assert ElementTree.parse(latest / "junit.xml").getroot() is not None
    assert (latest / "history.jsonl").stat().st_size > 1000
    assert (latest / "schedule.jsonl").exists()


@pytest.mark.parametrize("workload", ["register", "set"])
def test_every_workload_runs_under_every_fault(dissever: Callable, workload: str) -> None:
    ran = dissever(
        "test", "simulated", "-w", workload, "-f", "partition,kill,pause", "-t", "12", "--seed", "3"
    )

    assert ran.status == 0, ran.text
    assert "seen to take effect" in ran.text


def test_printed_command_repeats_the_run_to_the_byte(dissever: Callable, runs: Path) -> None:
    dissever(*SIMULATED, "--faults", "kill", "--bug", "stale-read", "--values", "5")
    first = (runs / "latest").resolve()
    command = json.loads((first / "plan.json").read_text())["command"]
    dissever(*shlex.split(command)[1:])
    second = (runs / "latest").resolve()

    assert first != second
    assert (first / "history.jsonl").read_bytes() == (second / "history.jsonl").read_bytes()
    assert (first / "schedule.jsonl").read_bytes() == (second / "schedule.jsonl").read_bytes()


def test_check_of_a_run_repeats_its_verdict(dissever: Callable, runs: Path) -> None:
    judged = dissever(*SIMULATED, "--bug", "stale-read")
    again = dissever("check", str(runs / "latest"))

    assert judged.status == again.status == 1
    assert "stale-read" in again.text


def test_report_is_written_again_from_the_results(dissever: Callable, runs: Path) -> None:
    dissever(*SIMULATED)
    page = runs / "latest" / "index.html"
    before = page.read_bytes()
    page.unlink()
    ran = dissever("report", str(runs / "latest"))

    assert ran.status == 0
    assert page.read_bytes() == before


def test_history_of_a_killed_harness_is_judged_as_unknown(dissever: Callable, runs: Path) -> None:
    dissever(*SIMULATED)
    run = (runs / "latest").resolve()
    (run / "outcome.json").unlink()
    history = run / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-20])
    ran = dissever("check", str(run))

    assert ran.status == 2
    assert "the harness ended before the run did" in ran.text


def test_history_file_from_elsewhere_is_judged_by_its_content(
    dissever: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "stale"
    path.write_text(
        "[{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}"
        " {:process 1 :type :invoke :f :read} {:process 1 :type :ok :f :read :value nil}]"
    )
    ran = dissever("check", str(path), "--model", "cas-register")

    assert ran.status == 1
    assert "INVALID" in ran.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("test",), "expected a SYSTEM, got none"),
        (("test", "simulatd"), "did you mean simulated?"),
        (("test", "simulated", "-w", "registr"), "did you mean register?"),
        (("test", "simulated", "-f", "partion"), "did you mean partition?"),
        (("test", "simulated", "--bug", "stale-reed"), "did you mean stale-read?"),
        (("test", "simulated", "--nodes", "0"), "expected 1 to 100 nodes"),
        (("test", "simulated", "--nodes", "a,a"), "expected different names of nodes"),
        (("test", "simulated", "-c", "two"), "or 2n for two per node"),
        (("test", "simulated", "--bugs", "lost-write"), "Did you mean one of: '--bug'"),
        (("test", "simulated", "--rate", "-1"), "--rate"),
        (("test", "dqlite", "--bug", "stale-read"), "expected an option of dqlite"),
        (("test", "dqlite", "--latency-ms", "fast"), "expected latency-ms from 1 to 10000"),
        (("test", "simulated", "-f", "kill", "-t", "1"), "expected a time limit of at least"),
        (("frobnicate",), "No such command"),
        (
            ("test", "simulated", "--backend", "namespaces"),
            "expected a backend of simulated out of simulated, got 'namespaces'",
        ),
        (
            ("test", "dqlite", "--backend", "simulated", "--nodes", "10"),
            "expected 1 to 9 nodes in a simulator, got 10",
        ),
    ],
)
def test_wrong_usage_exits_with_64_and_one_clear_line(
    dissever: Callable, arguments: tuple[str, ...], told: str
) -> None:
    ran = dissever(*arguments)

    assert ran.status == 64
    assert told in ran.text


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "found none in"), ("{", "line 1, column 1"), ("what is this", "line 1")],
)
def test_what_cannot_be_read_exits_with_3(
    dissever: Callable, tmp_path: Path, content: str | None, told: str
) -> None:
    path = tmp_path / "thing"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    ran = dissever("check", str(path))

    assert ran.status == 3
    assert told in ran.text


@pytest.mark.parametrize("command", ["check", "report", "replay", "shrink", "doom"])
def test_a_directory_without_a_run_is_one_line_in_every_command(
    dissever: Callable, tmp_path: Path, command: str
) -> None:
    ran = dissever(command, str(tmp_path))

    assert ran.status == 3
    assert ran.stderr == (
        f"Error: expected a run directory with plan.json, found none in {tmp_path}\n"
    )


def test_dry_run_prints_the_schedule_and_runs_nothing(dissever: Callable, runs: Path) -> None:
    first = dissever(*SIMULATED[:2], "-f", "partition,kill", "--seed", "5", "--dry-run")
    second = dissever(*SIMULATED[:2], "-f", "partition,kill", "--seed", "5", "--dry-run")

    assert first.status == 0
    assert "start-partition" in first.stdout
    assert first.stdout == second.stdout
    assert not runs.exists()


def test_schedule_of_a_run_is_replayed_fault_by_fault(
    dissever: Callable, runs: Path, tmp_path: Path
) -> None:
    faults = ("-f", "partition,kill,pause,swizzle", "-t", "12", "--nodes", "5")
    dissever("test", "simulated", *faults, "--seed", "5")
    schedule = tmp_path / "schedule.jsonl"
    schedule.write_bytes((runs / "latest" / "schedule.jsonl").read_bytes())
    before = _struck(schedule)
    again = ("test", "simulated", "--plan", str(schedule), "-t", "12", "--seed", "6")
    planned = dissever(*again, "--dry-run")
    ran = dissever(*again)

    assert planned.status == 0
    assert "start-partition" in planned.stdout
    assert ran.status == 0, ran.text
    assert _struck(runs / "latest" / "schedule.jsonl") == before
    assert len(before) > 8


def _struck(schedule: Path) -> list[tuple[Any, ...]]:
    """What each fault did, in its order: which of two faults has healed first may differ."""
    events = [json.loads(line) for line in schedule.read_text().splitlines()]
    struck = [
        (event["process"], event["f"], sorted(event["value"].get("targets", [])))
        for event in events
        if event["type"] == "info" and event["process"] not in ("majority-only", "recovery")
    ]
    return sorted(struck, key=lambda each: each[0])


def test_list_names_everything(dissever: Callable) -> None:
    ran = dissever("list")

    assert ran.status == 0
    for name in ("dqlite", "simulated", "register", "set", "partition", "kill", "linearizable"):
        assert name in ran.stdout


def test_doctor_answers_for_every_fault_and_backend(dissever: Callable) -> None:
    ran = dissever("doctor", "--json")
    diagnosis = json.loads(ran.stdout)

    machine = {each["what"]: each["available"] for each in diagnosis["machine"]}
    assert ran.status == (0 if machine["network namespaces"] or machine["containers"] else 3)
    assert {each["what"] for each in diagnosis["simulators"]} == set(VARIANTS)
    assert all(each["available"] or each["remedy"] for each in diagnosis["simulators"])
    _assert_every_cell(diagnosis)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be somebody else")
def test_doctor_answers_an_ordinary_user_as_well() -> None:
    def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={**os.environ, "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        can_run = as_nobody("-c", "import dissever").returncode == 0
    except PermissionError:
        can_run = False
    if not can_run:
        pytest.skip("this interpreter is for root alone")
    ran = as_nobody("-m", "dissever", "doctor", "--json")

    assert ran.returncode in (0, 3), ran.stderr
    diagnosis = json.loads(ran.stdout)
    assert diagnosis["user"] == f"uid {NOBODY}"
    _assert_every_cell(diagnosis)


def _assert_every_cell(diagnosis: dict[str, Any]) -> None:
    """One answer for each fault on each backend, with the reason where it is no."""
    cells = [(each["fault"], each["backend"]) for each in diagnosis["faults"]]
    assert sorted(cells) == sorted(itertools.product(FAULTS, Backend))
    assert all(each["available"] == (not each["reason"]) for each in diagnosis["faults"])
    answers = {(each["fault"], each["backend"]): each["available"] for each in diagnosis["faults"]}
    assert answers["pause", "simulated"]
    assert not answers["limit-cpu", "simulated"]


def test_bug_of_our_own_exits_with_3_and_never_with_1(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("we are at fault")

    monkeypatch.setattr("dissever.running.judge", fail)
    ran = dissever(*SIMULATED)

    assert ran.status == 3
    assert "we are at fault" in ran.text


def test_sigterm_ends_it_as_ctrl_c_does(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = []

    def be_ended(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("dissever.running.execute", be_ended)
    ran = dissever(*SIMULATED)

    assert ran.status == 3
    assert "interrupted" in ran.text
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) is before


def test_system_that_does_not_start_exits_with_3_and_the_reason(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CannotRun("no node came up")

    monkeypatch.setattr("dissever.running.execute", refuse)
    ran = dissever(*SIMULATED)

    assert ran.status == 3
    assert "no node came up" in ran.text


def test_unknown_faults_of_a_plan_are_named_with_their_lines_and_hide_no_other_error(
    dissever: Callable, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    steps = ("fault: frob, for: 1", 'fault: "kill:nobody", for: 1', "fault: kill, nodes: [n9]")
    plan.write_text("faults:\n" + "".join(f"- {{at: 1, {each}}}\n" for each in steps))
    ran = dissever("test", "simulated", "--plan", str(plan), "-t", "10", "--dry-run")

    assert ran.status == 64
    assert "line 2 (frob): expected a fault" in ran.text
    assert "line 3 (kill:nobody): expected a target of kill" in ran.text
    assert "line 4 (kill): expected nodes out of" in ran.text


class Interrupting:
    """A finder of modules, in which Ctrl-C arrives while the command line is imported."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "dissever.cli":
            raise KeyboardInterrupt


def test_ctrl_c_while_python_imports_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "dissever.cli", raising=False)
    monkeypatch.delattr("dissever.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        entry.main()

    assert ended.value.code == entry.EXIT_FAILED == EXIT_FAILED
    assert capsys.readouterr().err == "interrupted\n"
