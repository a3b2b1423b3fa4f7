"""The line that repeats a run works wherever it is typed."""

from __future__ import annotations

import pytest

from dissever.harness.plan import Options, Plan
from dissever.reports.subject import Subject


def subject(command: str, *, system: str = "dqlite", workload: str = "set") -> Subject:
    options = Options(system=system, workload=workload, seed=1)
    return Subject.of(Plan(options=options, command=command, started="", directory="/a place"))


@pytest.mark.parametrize(
    "command",
    [
        "dissever test dqlite --workload set --plan faults.yaml --seed 1",
        "dissever test dqlite --workload set --plan plan --seed 1",
        "dissever test dqlite --workload set --file deploy/compose.yml --seed 1",
        "dissever test dqlite --workload set --checker ./mine.py:Mine --seed 1",
    ],
)
def test_command_with_a_relative_path_goes_to_where_the_run_was_started(command: str) -> None:
    assert subject(command).repeat() == f"cd '/a place' && {command}"


@pytest.mark.parametrize(
    ("system", "workload"), [("mykv:MyKv", "set"), ("mykv.py", "set"), ("dqlite", "my.work:Load")]
)
def test_command_with_code_of_its_user_goes_there_too(system: str, workload: str) -> None:
    command = f"dissever test {system} --workload {workload} --seed 1"

    assert subject(command, system=system, workload=workload).directory == "/a place"


@pytest.mark.parametrize(
    "command",
    [
        "dissever test dqlite --workload set --faults kill:one,partition:halves --seed 1",
        "dissever test dqlite --workload set --plan /plans/faults.yaml --seed 1",
        "dissever test dqlite --workload set --library 1.18.2 --url http://host/x --seed 1",
    ],
)
def test_command_that_works_everywhere_stays_as_it_is(command: str) -> None:
    assert subject(command).repeat("/bin/dissever") == command.replace(
        "dissever", "/bin/dissever", 1
    )


def test_without_a_command_nothing_is_typed() -> None:
    assert subject("").repeat() == ""
