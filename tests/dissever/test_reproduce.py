"""The command that finds known bugs of dqlite again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dissever.known_bugs import LIMIT_S, Outcome, Target, release_of, reproduce

from dissever import known_bugs
from dissever.harness.missing import Missing
from dissever.harness.runner import CannotRun
from dissever.systems import load
from dissever.systems.dqlite.bugs import BUGS, Bug, Directed
from dissever.systems.dqlite.bugs.bug import Say
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.system import DqliteSystem

HERE = Target("namespaces")


@pytest.fixture
def can_run() -> None:
    missing = load("dqlite").probe()
    if missing is not None:
        pytest.skip(f"dqlite cannot run here: {missing.reason}; {missing.remedy}")


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


@pytest.mark.parametrize(
    ("told", "release"),
    [
        ("libdqlite0 1.18.1-1, sha256:467b87d8a8bd", "1.18.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11000", "1.11.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11800", "1.18.1"),
        ("/usr/lib/libdqlite.so.0, sha256 1234, which calls itself 11807", "1.18.7"),
        ("something else", ""),
    ],
)
def test_release_is_told_by_the_package_or_by_the_library(told: str, release: str) -> None:
    assert release_of({"libdqlite": told}) == release


def test_what_cannot_run_is_told_with_the_reason_and_the_remedy(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = Missing("no Docker engine answers", "start one")
    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: absent)
    ran = dissever(
        *("reproduce", "returning", "--version", "sid", "--json", "--runs", str(tmp_path))
    )

    (finding,) = json.loads(ran.stdout)
    assert ran.status == 3
    assert (finding["bug"], finding["version"]) == ("returning", "sid")
    assert finding["outcome"] == "cannot run here"
    assert finding["is_expected"] is None
    assert finding["seen"] == ["no Docker engine answers; start one"]
    assert finding["command"] == "dissever reproduce returning --version sid"


def test_attempts_that_broke_are_no_evidence_that_a_bug_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks(*_: object) -> None:
        raise CannotRun("the nodes did not start")

    monkeypatch.setattr(DqliteSystem, "probe", lambda _self, _options: None)
    monkeypatch.setattr(known_bugs, "_direct", breaks)
    told: list[str] = []
    finding = reproduce(BUGS["returning"], HERE, LIMIT_S, tmp_path, told.append)

    assert finding.outcome is Outcome.CANNOT_RUN
    assert finding.attempts == 0
    assert len(told) == known_bugs.BREAKS_MAX
    assert "the nodes did not start" in told[0]


@pytest.mark.cluster
@pytest.mark.usefixtures("can_run")
@pytest.mark.parametrize("name", ["returning", "returning-run", "name-prefix", "ghost-write"])
def test_bug_shows_in_the_library_of_this_machine_as_on_record(
    dissever: Callable, tmp_path: Path, name: str
) -> None:
    ran = dissever("reproduce", name, "--json", "--runs", str(tmp_path))

    (finding,) = json.loads(ran.stdout)
    if finding["is_expected"] is None:
        pytest.skip(f"nothing is on record of libdqlite {finding['release']}")
    assert finding["is_expected"], ran.text
    assert ran.status == (0 if finding["outcome"] == "shown" else 1)
    assert Path(finding["run"], "seen.txt").read_text().splitlines() == finding["seen"]
    assert list(Path(finding["run"]).glob("nodes/n1/stderr-1.log"))


@pytest.mark.cluster
@pytest.mark.usefixtures("can_run")
def test_bug_that_is_not_there_is_not_shown(tmp_path: Path) -> None:
    async def attempt(deployment: DqliteDeployment, say: Say) -> bool:
        say(f"{len(deployment.cluster.nodes)} nodes do what they should")
        return False

    innocent = Bug("innocent", "none", releases=(), references="", test=Directed(attempt))
    finding = reproduce(innocent, HERE, LIMIT_S, tmp_path, lambda _: None)

    assert finding.outcome is Outcome.NOT_SHOWN
    assert finding.attempts == innocent.test.attempts  # type: ignore[union-attr]
    assert finding.seen == ("3 nodes do what they should",)
