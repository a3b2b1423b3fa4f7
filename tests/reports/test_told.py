"""A crash and the line that it left in a log are one anomaly of a report."""

from __future__ import annotations

from dissever.harness.episodes import episodes_of
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Result, Results, Step, Verdict, merge
from dissever.reports.anomaly_view import findings
from dissever.reports.meaning import means
from dissever.reports.told import said, told

LINE = "nodes/n1/stderr-1.log:1: sm.c:83: Assertion `ok' failed."
OTHER = "nodes/n2/stderr-1.log:1: sm.c:83: Assertion `ok' failed."


def invalid(checker: str, name: str, *lines: str) -> Result:
    steps = tuple(Step(line, ()) for line in lines)
    anomaly = Anomaly(name=name, summary=f"of {checker}", indices=(), steps=steps)
    return Result(checker=checker, verdict=Verdict.INVALID, why="", anomalies=(anomaly,))


def run(*lines: str) -> Results:
    return merge(
        [invalid("logs", "assertion", *lines), invalid("nodes", "crash", "n1 ended", LINE)]
    )


def names(results: Results) -> list[str]:
    return [anomaly.name for _, anomaly in told(results)]


def test_line_that_is_a_last_word_of_a_crash_is_told_by_the_crash_alone() -> None:
    results = run(LINE)
    crash = told(results)[0][1]

    assert names(results) == ["crash"]
    assert [each.name for each in said(results, crash)] == ["assertion"]
    assert "a log has a line" not in means(results)


def test_lines_of_which_a_crash_tells_only_some_stay_an_anomaly() -> None:
    assert names(run(LINE, OTHER)) == ["crash", "assertion"]
    assert names(run(OTHER)) == ["crash", "assertion"]
    assert names(run()) == ["crash", "assertion"]
    assert "a log has a line" in means(run(OTHER))


def test_line_without_a_crash_stays() -> None:
    results = merge([invalid("logs", "assertion", LINE)])

    assert names(results) == ["assertion"]
    assert len(findings(results, History(()), episodes_of(History(())))) == 1


def test_line_among_the_last_words_of_a_crash_is_told_by_it_though_no_step_has_it() -> None:
    words = {"path": "nodes/n1/stderr-1.log", "first": 1, "lines": ["double free"]}
    end = {"what": "n1: process 1 ended by SIGABRT", "node": "n1", "last_words": words}
    anomaly = Anomaly(name="crash", summary=f"{end['what']}, and nobody asked for that", indices=())
    nodes = Result(
        checker="nodes",
        verdict=Verdict.INVALID,
        why="",
        anomalies=(anomaly,),
        details={"unasked": [end]},
    )
    line = "nodes/n1/stderr-1.log:1: double free"

    assert names(merge([nodes, invalid("logs", "memory-error", line)])) == ["crash"]
    assert names(merge([nodes, invalid("logs", "memory-error", OTHER)])) == [
        "crash",
        "memory-error",
    ]
