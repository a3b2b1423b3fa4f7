"""Annotations of GitHub Actions: few, each on one line, with nothing that ends it early."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dissever.reports import Entry, entry, github_annotations, overview


def entry_of(run: Any, **changed: Any) -> Entry:
    made = entry(run.subject, run.history, run.results, directory="runs/a", page=None)
    return replace(made, **changed)


def test_valid_run_has_none(valid_run: Any) -> None:
    assert github_annotations(overview([entry_of(valid_run)])) == ()


def test_one_for_each_signature(run_of_two_anomalies: Any) -> None:
    entries = [entry_of(run_of_two_anomalies, seed=seed) for seed in range(7)]
    first, second = github_annotations(overview(entries))

    assert first.startswith("::error title=stale-read%3A dqlite%2C register::A read returned 41 ")
    assert "%0Ain 7 of 7 runs, with the seeds 0, 1, 2, 3, 4, …%0Arepeat: dissever run " in first
    assert second.startswith("::error title=second-anomaly")


def test_unknown_is_an_error(unknown_run: Any) -> None:
    (only,) = github_annotations(overview([entry_of(unknown_run)]))

    assert only.startswith("::error title=unknown%3A dqlite%2C register::the budget of 20,000,000")


def test_tenth_says_how_many_are_left_out(invalid_run: Any) -> None:
    made = entry_of(invalid_run)
    (finding,) = made.findings

    def lines(count: int) -> tuple[str, ...]:
        many = tuple(replace(finding, signature=str(number)) for number in range(count))
        return github_annotations(overview([replace(made, findings=many)]))

    assert len(lines(10)) == 10
    assert len(lines(11)) == 10
    assert lines(11)[-1].endswith("::2 more kinds of findings stand in the summary of the job")


def test_hostile_texts_end_nothing(invalid_run: Any) -> None:
    made = entry_of(invalid_run)
    (finding,) = made.findings
    hostile = "100%,a:b\r\n::stop-commands::x\u2028"
    finding = replace(finding, name=hostile, summary=hostile)
    (line,) = github_annotations(overview([replace(made, findings=(finding,), repeat=hostile)]))

    assert len(line.splitlines()) == 1
    properties, message = line.removeprefix("::error ").split("::", 1)
    assert properties.startswith(r"title=100%25%2Ca%3Ab\r\n%3A%3Astop-commands%3A%3Ax")
    assert message.startswith(r"100%25,a:b\r\n::stop-commands::x\u2028%0Arepeat: 100%25")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("mykv.py", "file=mykv.py,line=1,"),
        ("tests/my,kv.py:MyKv", "file=tests/my%2Ckv.py,line=1,"),
        ("compose.yaml", "file=compose.yaml,line=1,"),
        ("/elsewhere/mykv.py", ""),
        ("../mykv.py", ""),
        ("dqlite", ""),
    ],
)
def test_file_of_a_system_inside_the_repository_is_annotated(
    invalid_run: Any, system: str, expected: str
) -> None:
    (line,) = github_annotations(overview([entry_of(invalid_run, system=system)]))

    assert line.startswith(f"::error {expected}title=")


def test_run_that_could_not_be_made_is_an_error(valid_run: Any, invalid_run: Any) -> None:
    (line,) = github_annotations(overview([entry_of(valid_run)], "no\nDocker"))
    made = entry_of(invalid_run)
    many = tuple(replace(made.findings[0], signature=str(number)) for number in range(20))

    assert line == r"::error title=dissever%3A a run could not be made::no\nDocker"
    assert len(github_annotations(overview([replace(made, findings=many)], "no Docker"))) == 10
