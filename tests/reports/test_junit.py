"""junit.xml as CI servers read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dissever.harness.results import Result, Results, Verdict, merge
from dissever.reports import render_junit

REPORT = "runs/latest/index.html"


def suite_of(run: Any) -> ET.Element:
    document = render_junit(run.subject, run.history, run.results, REPORT)
    assert document.startswith('<?xml version="1.0" encoding="utf-8"?>')
    suite = ET.fromstring(document.encode()).find("testsuite")
    assert suite is not None
    return suite


def totals(suite: ET.Element) -> tuple[str | None, ...]:
    return tuple(suite.get(name) for name in ("tests", "failures", "errors", "skipped"))


def test_invalid_result_is_a_failure_that_explains_itself(invalid_run: Any) -> None:
    suite = suite_of(invalid_run)
    failure = suite.find("testcase[@name='linearizable']/failure")

    assert totals(suite) == ("3", "1", "0", "0")
    assert failure is not None
    assert failure.get("type") == "stale-read"
    assert "key 3 is not linearizable" in (failure.get("message") or "")
    assert "3. Later still a third client read 41" in (failure.text or "")
    assert REPORT in (failure.text or "")


def test_every_anomaly_of_a_checker_is_there(run_of_two_anomalies: Any) -> None:
    failure = suite_of(run_of_two_anomalies).find("testcase/failure")

    assert failure is not None
    assert "stale-read" in (failure.text or "")
    assert "second-anomaly: the second summary" in (failure.text or "")


def test_unknown_result_is_an_error(unknown_run: Any) -> None:
    suite = suite_of(unknown_run)
    error = suite.find("testcase[@name='linearizable']/error")

    assert totals(suite) == ("2", "0", "1", "0")
    assert error is not None
    assert "budget" in (error.get("message") or "")


def test_valid_run_passes(valid_run: Any) -> None:
    suite = suite_of(valid_run)

    assert totals(suite) == ("2", "0", "0", "0")
    cases = suite.findall("testcase")
    assert [[part.tag for part in case] for case in cases] == [["system-out"]] * 2
    assert all(case.findtext("system-out") for case in cases)


def test_run_that_checked_nothing_is_an_error(empty_run: Any) -> None:
    assert totals(suite_of(empty_run)) == ("1", "0", "1", "0")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Verdict.UNKNOWN, ("2", "0", "1", "0")), (Verdict.INVALID, ("2", "1", "0", "0"))],
)
def test_verdict_worse_than_every_checker_is_a_case_of_its_own(
    verdict: Verdict, expected: tuple[str, ...], run_of: Callable[..., Any]
) -> None:
    content = Result(checker="stats", verdict=Verdict.VALID, why="content")
    results = Results(verdict=verdict, why="the run ended early", results=(content,))

    assert totals(suite_of(run_of([], results))) == expected


def test_properties_say_how_to_repeat_the_run(invalid_run: Any) -> None:
    properties = {
        each.get("name"): each.get("value") for each in suite_of(invalid_run).iter("property")
    }

    assert properties["seed"] == "7741"
    assert properties["faults"] == "partition,kill,pause"
    assert properties["command"] == invalid_run.subject.command
    assert properties["operations"] == str(len(invalid_run.history.operations))


def test_what_xml_cannot_hold_is_written_as_its_number(run_of: Callable[..., Any]) -> None:
    why = "answered \x00\x1b <b> & ]]> \ud800"
    run = run_of([], merge([Result(checker="x\x07", verdict=Verdict.INVALID, why=why)]))
    failure = suite_of(run).find("testcase/failure")

    assert failure is not None
    assert failure.get("message") == r"answered \x00\x1b <b> & ]]> \ud800"
