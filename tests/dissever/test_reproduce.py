"""The command that finds known bugs of dqlite again."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from dissever import planning, reproduction
from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.harness.runner import CannotRun
from dissever.reproduction import LIMIT_S, Outcome, Reproduction, Target, release_of, search
from dissever.systems import load
from dissever.systems.dqlite.bugs import BUGS, Bug, Directed, Searched
from dissever.systems.dqlite.bugs.bug import Say
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.system import DqliteSystem

HERE = Target(Backend.NAMESPACES)


@pytest.fixture
def can_run() -> None:
    missing = load("dqlite").probe()
    if missing is not None:
        pytest.skip(f"dqlite cannot run here: {missing.reason}; {missing.remedy}")


def _searched(bug: Bug, runs: Path, say: Say) -> Reproduction:
    return search(bug, HERE, LIMIT_S, runs, say=say, observe=nullcontext)


def test_without_a_name_every_bug_is_listed(dissever: Callable) -> None:
    ran = dissever("reproduce")

    assert ran.status == 0
    assert all(name in ran.stdout for name in BUGS)


def test_misspelt_bug_gets_one_line(dissever: Callable) -> None:
    ran = dissever("reproduce", "stale-reed")

    assert ran.status == 64
    assert "did you mean stale-read?" in ran.text


def test_version_is_for_containers(dissever: Callable) -> None:
    ran = dissever("reproduce", "returning", "--version", "debian13", "--backend", "namespaces")

    assert ran.status == 64
    assert "namespaces run this machine's library" in ran.text


def test_version_is_not_for_a_simulator(dissever: Callable) -> None:
    ran = dissever("reproduce", "returning", "--version", "debian13", "--backend", "simulated")

    assert ran.status == 64
    assert "a simulator has one library" in ran.text


@pytest.mark.parametrize(
    ("described", "release"),
    [
        ("libdqlite0 1.18.1-1, sha256:467b87d8a8bd", "1.18.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11000", "1.11.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11800", "1.18.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11807", "1.18.7"),
        ("libdqlite 1.18.7 with SQLite 3.46.1, built with gcc", "1.18.7"),
        ("something else", ""),
    ],
)
def test_release_is_known_by_the_package_or_by_the_library(described: str, release: str) -> None:
    assert release_of({"libdqlite": described}) == release


def test_what_cannot_run_is_reported_with_the_reason_and_the_remedy(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = Missing("no Docker engine answers", "start one")
    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: absent)
    ran = dissever(
        *("reproduce", "returning", "--version", "sid", "--json", "--runs", str(tmp_path))
    )

    (found,) = json.loads(ran.stdout)
    assert ran.status == 3
    assert (found["bug"], found["version"]) == ("returning", "sid")
    assert found["outcome"] == "cannot run here"
    assert found["is_expected"] is None
    assert found["seen"] == ["no Docker engine answers; start one"]
    assert found["command"] == "dissever reproduce returning --version sid"


def test_plan_that_does_not_fit_the_backend_is_a_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: None)
    only = structs.replace(BUGS["disk-error-crash"].test.options[0], seed=1)
    bug = replace(BUGS["disk-error-crash"], test=Searched((only,), lambda *_: ()))
    found = search(
        bug, Target(Backend.SIMULATED), LIMIT_S, tmp_path, say=print, observe=nullcontext
    )

    assert found.outcome is Outcome.CANNOT_RUN
    assert found.attempts == 0
    (line,) = found.seen
    assert line.startswith(
        "its plan does not fit the backend simulated: line 3 (disk-error:leader)"
    )
    assert "\n" not in line


@pytest.mark.parametrize("backend", [Backend.NAMESPACES, Backend.SIMULATED])
@pytest.mark.parametrize("name", BUGS)
def test_each_bug_has_an_attempt_that_fits_each_backend(
    monkeypatch: pytest.MonkeyPatch, name: str, backend: Backend
) -> None:
    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: None)
    monkeypatch.setattr(planning, "missing_fault", lambda _options: None)
    every = map(Target(backend).of, BUGS[name].test.options)

    assert None in [reproduction.obstacle(options) for options in every]


def test_attempts_that_broke_are_no_evidence_that_a_bug_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks(*_: object) -> None:
        raise CannotRun("the nodes did not start")

    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: None)
    monkeypatch.setattr(reproduction, "_directed", breaks)
    lines: list[str] = []
    found = _searched(BUGS["returning"], tmp_path, lines.append)

    assert found.outcome is Outcome.CANNOT_RUN
    assert found.attempts == 0
    assert len(lines) == reproduction.BREAKS_MAX
    assert "the nodes did not start" in lines[0]


@pytest.mark.cluster
@pytest.mark.usefixtures("can_run")
@pytest.mark.parametrize(
    "name",
    [
        "returning",
        "returning-run",
        "name-prefix",
        "ghost-write",
        "open-transaction",
        "hostile-header",
    ],
)
def test_bug_shows_in_the_library_of_this_machine_as_on_record(
    dissever: Callable, tmp_path: Path, name: str
) -> None:
    ran = dissever("reproduce", name, "--json", "--runs", str(tmp_path))

    (found,) = json.loads(ran.stdout)
    if found["is_expected"] is None:
        pytest.skip(f"nothing is on record of libdqlite {found['release']}")
    assert found["is_expected"], ran.text
    assert ran.status == (0 if found["outcome"] == "shown" else 1)
    assert Path(found["run"], "seen.txt").read_text().splitlines() == found["seen"]
    assert list(Path(found["run"]).glob("nodes/n1/stderr-1.log"))


@pytest.mark.cluster
@pytest.mark.usefixtures("can_run")
def test_bug_that_is_not_there_is_not_shown(tmp_path: Path) -> None:
    async def attempt(deployment: DqliteDeployment, say: Say) -> bool:
        say(f"{len(deployment.cluster.nodes)} nodes do what they should")
        return False

    innocent = Bug("innocent", "none", releases=(), references="", test=Directed(attempt))
    found = _searched(innocent, tmp_path, lambda _: None)

    assert found.outcome is Outcome.NOT_SHOWN
    assert found.attempts == innocent.test.attempts  # type: ignore[union-attr]
    assert found.seen == ("3 nodes do what they should",)
