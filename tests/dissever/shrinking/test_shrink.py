"""`dissever shrink` from a run to a plan, a test, and a story, on the simulated system."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from dissever.attempts import attempt
from dissever.cli import main
from dissever.commands import shrink as command
from dissever.harness import store
from dissever.harness.cluster.backends import Backend
from dissever.harness.plan import Options
from dissever.nemesis.plans.script import Script, read_script
from dissever.shrinking import trials
from dissever.shrinking.shrink import Deadline, read_original

OPTIONS = Options(
    system="simulated",
    workload="append",
    faults=("kill",),
    time_limit_s=3,
    backend=Backend.SIMULATED,
    seed=5,
    system_options={"bug": "lost-update"},
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that lost an update."""
    run = tmp_path_factory.mktemp("recorded") / "run"
    assert attempt(OPTIONS, keep=run, page=True).is_invalid
    return run


@pytest.fixture
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that is over soon: this bug shows with most seeds."""
    monkeypatch.setattr(trials, "TRIES", (2, 4))
    monkeypatch.setattr(command, "OTHER_SEEDS", 5)


def status(*words: object) -> int:
    """The exit status of a command line."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, words)])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_recorded_run_repeats_itself_as_a_candidate(recorded: Path) -> None:
    original = read_original(recorded)

    assert original.is_exact
    assert original.signature == "transactions/lost-update"
    assert attempt(original.candidate.asked).shows(original.signature)


def test_faults_as_they_were_asked_for_fail_as_the_recorded_run_did(tmp_path: Path) -> None:
    options = msgspec.structs.replace(
        OPTIONS,
        workload="register",
        faults=("kill:leader",),
        rate=40,
        time_limit_s=4,
        system_options={"bug": "stale-read"},
    )
    assert attempt(options, keep=tmp_path / "run").is_invalid

    original = read_original(tmp_path / "run")

    assert {step.fault for step in original.as_asked.faults} == {"kill:leader"}
    assert all(step.nodes for step in original.candidate.faults)
    assert attempt(original.as_asked.asked).shows(original.signature)


def test_plan_for_people_says_what_the_plan_for_programs_says(recorded: Path) -> None:
    candidate = read_original(recorded).candidate.until(2.5)
    candidate = msgspec.structs.replace(candidate, operations=(candidate.operations or ())[:20])
    for text in (candidate.asked.script, candidate.yaml()):
        script = read_script(text)

        assert isinstance(script, Script)
        assert script.faults == candidate.faults
        assert script.faults
        assert script.operations == candidate.operations
        assert script.budget == candidate.budget


def test_two_processes_answer_as_one_does(recorded: Path) -> None:
    original = read_original(recorded)
    whole = original.candidate.until((original.guilty_s or 0.0) + 0.05)
    empty = msgspec.structs.replace(whole, operations=())
    tasks = [trials.Task(each, 0) for each in (whole, empty, whole)]
    answers = []
    for jobs in (1, 2):
        with trials.pool(original.signature, jobs) as made:
            answers.append([(task.candidate, answer.failed) for task, answer in made(tasks)])

    assert answers[0] == [(whole, True), (empty, False), (whole, True)]
    assert answers[1] == answers[0]
    assert not multiprocessing.active_children()


def test_path_of_a_system_is_relative_to_where_the_run_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned, other = tmp_path / "planned", tmp_path / "other"
    planned.mkdir()
    other.mkdir()
    (planned / "own.py").write_text(
        "from dissever.systems.simulated.system import SimulatedSystem\n"
    )
    monkeypatch.chdir(planned)
    options = msgspec.structs.replace(
        OPTIONS, system="own.py:SimulatedSystem", faults=(), time_limit_s=0.5
    )
    assert attempt(options, keep=tmp_path / "run").is_invalid
    monkeypatch.chdir(other)

    def ends(*_: object, **__: object) -> None:
        raise Deadline

    monkeypatch.setattr(command, "shrink", ends)

    assert status("shrink", tmp_path / "run", "--jobs", 1) == 3
    assert "ended before the recorded run had failed again" in capsys.readouterr().err


@pytest.mark.usefixtures("few_tries")
def test_shrink_leaves_a_plan_a_test_and_a_story(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("shrink", recorded, "--runs", tmp_path, "--jobs", 1, "--json") == 0

    said = json.loads(capsys.readouterr().out)
    assert said["whole"]
    assert said["after"]["faults"] == 0
    assert said["after"]["operations"] == 2
    assert said["after"]["clients"] <= 2
    run = Path(said["run"])
    story = json.loads((run / store.STORY).read_text())
    assert "lost-update" in story["text"][story["wrong"]]
    assert "lost-update" in (run / store.REPORT).read_text()
    assert "assert ended.is_valid" in Path(said["test"]).read_text()
    assert attempt(options_of(run)).history_sha256 == store.digest(run / store.HISTORY)
    planned = read_original(run).as_planned
    assert planned is not None
    assert attempt(planned.asked).history_sha256 == store.digest(run / store.HISTORY)
    test = Path(said["test"]).resolve()
    tested = with_pytest(test, tmp_path)
    assert tested.returncode == 1, tested.stdout
    assert "1 failed" in tested.stdout
    assert ">       assert ended.is_valid, ended.explanation" in tested.stdout
    sound = test.with_name("test_sound.py")
    text = test.read_text()
    sound.write_text(text.replace('"bug": "lost-update"', '"bug": None'))
    assert sound.read_text() != text
    tested = with_pytest(sound, tmp_path)
    assert tested.returncode == 0, tested.stdout
    journal = recorded / "shrunk" / "attempts.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-3]))
    plan = Path(said["plan"]).read_bytes()
    assert status("shrink", recorded, "--runs", tmp_path, "--jobs", 1, "--json", "--resume") == 0
    assert json.loads(capsys.readouterr().out)["attempts"] == 3
    assert Path(said["plan"]).read_bytes() == plan


def with_pytest(test: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a file of tests as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def options_of(run: Path) -> Options:
    """The options of a run that was made."""
    return store.read_plan(run).options


def test_second_search_in_the_same_run_is_refused(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recorded / "shrunk"
    folder.mkdir(exist_ok=True)

    with store.locked(folder, "first"):
        assert status("shrink", recorded, "--resume") == 3

    assert "another dissever shrink is at it now" in capsys.readouterr().err


def test_valid_run_cannot_be_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    attempt(
        msgspec.structs.replace(OPTIONS, system_options={}, time_limit_s=1, faults=()), keep=run
    )

    assert status("shrink", run) == 3
    assert "expected an invalid run, got one that is valid" in capsys.readouterr().err


def test_signature_must_be_one_of_the_run(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("shrink", recorded, "--signature", "bank/wrong-total") == 3
    assert "transactions/lost-update" in capsys.readouterr().err
