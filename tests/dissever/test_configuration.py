"""Settings of a project: where they are found, which count, and what is said of those that err."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever import configuration
from dissever.configuration import Keys

FILE = """
[tool.dissever]
system = "simulated"
faults = ["kill", "partition"]
nodes = 3
time-limit = 12
options = { bug = "lost-write", values = 5 }

[tool.dissever.profiles.smoke]
time_limit = 6
options = { bug = "stale-read" }

[tool.dissever.profiles.planned]
plan = "plans/short.yaml"
"""

PLAN = "faults:\n  - at: 1\n    kill: one\n    for: 1\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, which is the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(FILE)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def settings(dissever: Callable) -> Callable[..., dict[str, dict[str, object]]]:
    """What a command goes by: name -> value and source."""

    def read(*arguments: str) -> dict[str, dict[str, object]]:
        ran = dissever("test", *arguments, "--print-config", "--json")
        assert ran.status == 0, ran.text
        found: dict[str, dict[str, object]] = json.loads(ran.stdout)
        return found

    return read


@pytest.mark.parametrize(
    "text",
    ['[tool]\ndissever = {system = "simulated"}\n', '[tool . "dissever"]\nsystem = "simulated"\n'],
)
def test_the_table_may_be_written_as_toml_allows(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    assert configuration.find(tmp_path) == tmp_path / "pyproject.toml"


def test_the_nearest_file_that_speaks_of_dissever_counts(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    (project / "a" / "pyproject.toml").write_text("[tool.ruff]\n")

    assert configuration.find(below) == project / "pyproject.toml"
    assert configuration.find(project.parent) is None


def test_the_file_says_all_and_a_profile_is_laid_over_it(settings: Callable, project: Path) -> None:
    base, smoke = settings(), settings("--profile", "smoke")

    assert base["system"] == {"value": "simulated", "source": "pyproject.toml [tool.dissever]"}
    assert base["faults"]["value"] == ["kill", "partition"]
    assert base["nodes"]["value"] == ["n1", "n2", "n3"]
    assert base["rate"] == {"value": 200.0, "source": "default"}
    assert base["options.bug"]["value"] == "lost-write"
    assert smoke["time-limit"] == {
        "value": 6.0,
        "source": "pyproject.toml [tool.dissever.profiles.smoke]",
    }
    assert smoke["options.bug"]["value"] == "stale-read"
    assert smoke["options.values"]["value"] == "5"


def test_the_command_line_counts_most_then_the_environment_then_the_file(
    settings: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISSEVER_TIME_LIMIT", "9")
    monkeypatch.setenv("DISSEVER_RATE", "50")
    found = settings("--rate", "70", "--profile", "smoke")

    assert found["time-limit"] == {"value": 9.0, "source": "environment DISSEVER_TIME_LIMIT"}
    assert found["rate"] == {"value": 70.0, "source": "command line"}


def test_the_environment_chooses_the_profile(
    settings: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISSEVER_PROFILE", "smoke")

    assert settings()["time-limit"]["value"] == 6.0


def test_a_plan_of_the_profile_takes_the_place_of_the_faults_above_it(
    settings: Callable, project: Path
) -> None:
    (project / "plans").mkdir()
    (project / "plans" / "short.yaml").write_text(PLAN)
    planned = settings("--profile", "planned")
    asked = settings("--profile", "planned", "-f", "pause")

    assert planned["plan"]["value"] == "plans/short.yaml"
    assert planned["faults"] == {"value": None, "source": "default"}
    assert asked["faults"]["value"] == ["pause"]
    assert asked["plan"]["value"] is None


def test_paths_are_relative_to_the_file(
    settings: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "plans").mkdir()
    (project / "plans" / "short.yaml").write_text(PLAN)
    (project / "tests").mkdir()
    monkeypatch.chdir(project / "tests")

    assert settings("--profile", "planned")["plan"]["value"] == "../plans/short.yaml"


def test_options_of_the_file_do_not_hinder_another_system(
    settings: Callable, project: Path
) -> None:
    found = settings("dqlite", "-w", "set")

    assert "options.bug" not in found
    assert found["nodes"]["value"] == ["n1", "n2", "n3"]


def test_without_a_system_anywhere_it_is_said_where_to_name_one(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = dissever("test")

    assert ran.status == 64
    assert "expected a SYSTEM, got none" in ran.text
    assert "[tool.dissever]" in ran.text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('sistem = "simulated"', "[tool.dissever]: expected a key out of"),
        ('sistem = "simulated"', "did you mean system?"),
        ('nodes = "many,many"', "[tool.dissever] nodes: expected different names of nodes"),
        ("rate = -1", "[tool.dissever] rate: expected a number from 0.1 to 1,000,000.0, got '-1'"),
        ("rate = true", "[tool.dissever] rate: expected text, a number or a list, got true"),
        ("rate = {}", "[tool.dissever] rate: expected text, a number, true, false or a list"),
        ("nodes = [[1]]", "[tool.dissever] nodes: expected a list of texts or whole numbers"),
        ('keep-data = "yes"', "[tool.dissever] keep-data: expected true or false, got 'yes'"),
        ('faults = ["kil"]', "[tool.dissever] faults: expected a fault out of"),
        ('system = "simulatd"', "did you mean simulated?"),
        ("seeds = [5, -3]", "[tool.dissever] seeds: expected seeds from 0"),
        ("dry-run = true", "expected a key out of"),
        ('options = "bug"', "[tool.dissever] options: expected a table, got 'bug'"),
        ("options = { bag = 1 }", "options: expected an option of simulated"),
        (
            'time-limit = "5x"',
            "[tool.dissever] time-limit: expected a duration from 0.1 to 86,400 seconds,"
            " such as 90, 90s, 5m, 1h30m or 500ms, got '5x'",
        ),
        ("time-limit = 1\ntime_limit = 2", "expected time-limit once, got time_limit as well"),
        ("profiles = 3", "[tool.dissever.profiles]: expected tables, got 3"),
        ("profiles = { a = 3 }", "[tool.dissever.profiles.a]: expected a table, got 3"),
        ("profiles = { a = { b = 3 } }", "[tool.dissever.profiles.a]: expected a key out of"),
        ("nodes = ", "pyproject.toml: expected TOML"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(
    dissever: Callable, project: Path, line: str, told: str
) -> None:
    base = "" if line.startswith(("sistem", "system")) else 'system = "simulated"\n'
    (project / "pyproject.toml").write_text(f"[tool.dissever]\n{base}{line}\n")
    ran = dissever("test", "--dry-run")

    assert ran.status == 64, ran.text
    (error,) = [each for each in ran.stderr.splitlines() if each.startswith("Error:")]
    assert "pyproject.toml" in error
    assert told in error


def test_a_profile_that_there_is_not_is_refused_with_the_nearest(
    dissever: Callable, project: Path
) -> None:
    ran = dissever("test", "--profile", "smok")

    assert ran.status == 64
    assert "[tool.dissever.profiles]: expected a profile out of smoke, planned, got 'smok'" in (
        ran.text
    )
    assert "did you mean smoke?" in ran.text


def test_a_wrong_value_of_the_environment_names_its_variable(
    dissever: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISSEVER_RATE", "fast")
    ran = dissever("test")

    assert ran.status == 64
    assert "DISSEVER_RATE: expected a number from 0.1 to 1,000,000.0, got 'fast'" in ran.text


def test_a_duration_may_have_units_wherever_it_stands(
    dissever: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISSEVER_FAULT_INTERVAL", "2500ms")
    (project / "pyproject.toml").write_text(
        '[tool.dissever]\nsystem = "simulated"\ntime-limit = "1m30s"\n'
    )
    ran = dissever("test", "--operation-limit", "0.5s", "--print-config", "--json")
    said = json.loads(ran.stdout)

    assert [
        said[name]["value"] for name in ("time-limit", "fault-interval", "operation-limit")
    ] == [90.0, 2.5, 0.5]


def test_help_can_be_read_where_the_file_is_wrong(dissever: Callable, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.dissever]\nsistem = "x"\n')

    assert dissever("test", "--help").status == 0


def test_repeat_line_means_the_same_where_something_is_configured(
    dissever: Callable, project: Path, runs: Path
) -> None:
    ran = dissever("test", "--profile", "smoke", "--seed", "4", "--ok-min", "1")
    plan = json.loads((runs / "latest" / "plan.json").read_text())
    (project / "pyproject.toml").write_text(FILE.replace("nodes = 3", "nodes = 4\nok-min = 7"))
    words = plan["command"].split()[2:]
    again = dissever("test", *words)
    repeated = json.loads((runs / "latest" / "plan.json").read_text())

    assert "--no-config" in words
    assert ran.status == again.status == 1
    assert repeated["options"] == plan["options"]
    assert repeated["command"] == plan["command"]


def test_paths_and_references_of_words_become_those_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.dissever]\nsystem = "kv/mykv.py:MyKv"\nfaults = ["kill", "f.py:Slow"]\n'
        'runs = "out"\noptions = { client = "./client", name = "a.b" }\n'
    )
    monkeypatch.chdir(tmp_path / "below")
    keys = Keys(("system", "faults", "runs"), paths=("runs",), references=("system", "faults"))
    said = configuration.read(path, keys)

    assert said.settings == {
        "system": "../kv/mykv.py:MyKv",
        "faults": "kill,../f.py:Slow",
        "runs": "../out",
    }
    assert said.own == {"client": "../client", "name": "a.b"}
