"""What a CI server is told of runs: JSON, a summary, annotations, one JUnit file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

QUICK = ("test", "simulated", "--time-limit", "2", "--quiet")


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The summary of a step of GitHub Actions, in which commands of this test run."""
    path = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_json_is_all_that_a_test_prints(dissever: Callable[..., Any], runs: Path) -> None:
    ran = dissever(*QUICK, "--bug", "stale-read", "--seed", "1", "--json")
    told = json.loads(ran.stdout)

    assert ran.status == told["exit_status"] == 1
    assert told["verdict"] == "invalid"
    (run,) = told["runs"]
    assert run["seed"] == 1
    assert run["operations"]["total"] == sum(
        run["operations"][name] for name in ("ok", "fail", "info")
    )
    assert (
        run["findings"][0]["signature"]
        == "simulated/register/linearizable/stale-read/read@follower"
    )
    assert Path(run["directory"]) == next(runs.glob("simulated/register/*"))
    assert Path(run["page"]).is_file()
    assert "--bug stale-read --seed 1" in run["repeat"]


def test_progress_goes_to_standard_error(dissever: Callable[..., Any]) -> None:
    ran = dissever("test", "simulated", "--time-limit", "2", "--seed", "1", "--json")

    assert json.loads(ran.stdout)["verdict"] == "valid"
    assert "judging …" in ran.stderr


def test_environment_that_fails_prints_no_json(dissever: Callable[..., Any], runs: Path) -> None:
    runs.mkdir()
    (runs / "simulated").write_text("a file where a folder is wanted")
    ran = dissever(*QUICK, "--json")

    assert ran.status == 3
    assert ran.stdout == ""


def test_summary_goes_to_the_file_that_was_named(
    dissever: Callable[..., Any], tmp_path: Path, step: Path
) -> None:
    dissever(*QUICK, "--seed", "1", "--summary", str(tmp_path / "named.md"))

    assert "### ✓ dissever: valid" in (tmp_path / "named.md").read_text()
    assert not step.exists()


def test_github_gets_a_summary_and_annotations(dissever: Callable[..., Any], step: Path) -> None:
    ran = dissever(*QUICK, "--bug", "stale-read", "--seed", "1")

    assert step.read_text().startswith("### ✗ dissever: invalid")
    lines = [line for line in ran.stderr.splitlines() if line.startswith("::")]
    assert [line.split("::")[1] for line in lines] == [
        "error title=stale-read%3A simulated%2C register"
    ]


def test_no_annotation_outside_of_github(dissever: Callable[..., Any]) -> None:
    assert "::error" not in dissever(*QUICK, "--bug", "stale-read", "--seed", "1").stderr


@pytest.mark.parametrize(
    ("written", "left", "said"),
    [
        (1 << 19, "#### ✗ stale-read", ""),
        ((1 << 20) - 100, "dissever: invalid\n", ""),
        ((1 << 20) - 10, "", "the summary of this step is full"),
    ],
)
def test_step_summary_never_grows_above_its_limit(
    dissever: Callable[..., Any], step: Path, written: int, left: str, said: str
) -> None:
    step.write_text("x" * written)
    ran = dissever(*QUICK, "--bug", "stale-read", "--seed", "1")

    assert ran.status == 1
    assert left in step.read_text()[written:]
    assert said in ran.stderr
    assert step.stat().st_size < 1 << 20


def test_summary_that_cannot_be_written_changes_no_verdict(
    dissever: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")
    ran = dissever(*QUICK, "--seed", "1")

    assert ran.status == 0
    assert "/nowhere/summary.md could not be written: No such file or directory" in ran.stderr


def test_several_runs_are_summed_up(
    dissever: Callable[..., Any], runs: Path, tmp_path: Path
) -> None:
    dissever(*QUICK, "--seed", "1")
    dissever(*QUICK, "--bug", "stale-read", "--seed", "2")
    dissever(*QUICK, "--bug", "stale-read", "--seed", "3")
    ran = dissever("summary", str(runs), str(runs / "latest"), "--junit", str(tmp_path / "j.xml"))

    assert ran.status == 1
    assert "### ✗ dissever: invalid (2 invalid, 1 valid)" in ran.stdout
    suites = ET.parse(tmp_path / "j.xml").getroot()
    assert len(suites) == 3
    assert [suites.get(name) for name in ("failures", "errors")] == ["2", "0"]
    told = json.loads(dissever("summary", str(runs), "--json").stdout)
    assert [run["seed"] for run in told["runs"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        (("results.json",), "not judged, results.json is missing"),
        (("history.jsonl", "results.json"), "history.jsonl is missing: the run did not start"),
        (("history.jsonl",), "the run did not start, or the file was removed"),
    ],
)
def test_run_without_results_is_unknown(
    dissever: Callable[..., Any], runs: Path, missing: tuple[str, ...], why: str
) -> None:
    dissever(*QUICK, "--seed", "1")
    for name in missing:
        (runs / "latest" / name).unlink()
    ran = dissever("summary", str(runs), "--json")
    told = json.loads(ran.stdout)

    assert ran.status == 2
    assert why in told["runs"][0]["why"]
    assert told["runs"][0]["seed"] == 1


@pytest.mark.parametrize("name", ["plan.json", "results.json", "history.jsonl"])
def test_run_with_a_broken_file_is_unknown(
    dissever: Callable[..., Any], runs: Path, name: str
) -> None:
    dissever(*QUICK, "--seed", "1")
    (runs / "latest" / name).write_text("\x00nonsense")
    ran = dissever("summary", str(runs))

    assert ran.status == 2
    assert "| ? unknown | simulated | register |" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_plan_that_a_node_keeps_is_no_run(dissever: Callable[..., Any], runs: Path) -> None:
    dissever(*QUICK, "--seed", "1")
    (runs / "latest" / "nodes" / "n1").mkdir(parents=True, exist_ok=True)
    (runs / "latest" / "nodes" / "n1" / "plan.json").write_text("{}")

    assert len(json.loads(dissever("summary", str(runs), "--json").stdout)["runs"]) == 1


def test_folder_without_runs_is_said_in_one_line(
    dissever: Callable[..., Any], tmp_path: Path
) -> None:
    ran = dissever("summary", str(tmp_path))

    assert ran.status == 3
    assert "expected a run directory with plan.json, or a folder of runs" in ran.text
