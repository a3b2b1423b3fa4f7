"""The register of known bugs, and the wire on which their requests go."""

from __future__ import annotations

from dissever.harness.results import Anomaly, Result, Verdict, merge
from dissever.systems.dqlite import DqliteSystem
from dissever.systems.dqlite_bugs import BUGS, RELEASES
from dissever.systems.dqlite_bugs.bug import anomalies
from dissever.systems.dqlite_bugs.wire import Answer
from dqlite import codec
from dqlite.schema import Failure

PARTIAL = bytes.fromhex(
    "0800000000000000 0100000000000000 736576656e000000 0100000000000000 0700000000000000"
    "0100000000000000 696e746567657220 6f766572666c6f77 0000000000000000"
)
"""SELECT 7 AS seven UNION ALL SELECT abs(-9223372036854775808), as 1.11.1 to 1.18.7 answer it."""


def test_every_bug_is_under_its_name_and_in_some_release() -> None:
    assert [bug.name for bug in BUGS.values()] == list(BUGS)
    assert all(bug.releases and set(bug.releases) <= set(RELEASES) for bug in BUGS.values())


def test_what_every_bug_runs_on_makes_sense() -> None:
    for bug in BUGS.values():
        for options in bug.test.options:
            DqliteSystem().check(options)


def test_failure_behind_rows_reads_differently_from_the_start() -> None:
    body = PARTIAL[codec.HEADER_BYTES :]
    response = codec.decode_response(codec.decode_header(PARTIAL), body)

    assert response == Failure(1, "integer overflow")
    assert Answer(response, body).read_from_the_start == (1, "seven")


def test_signs_are_anomalies_of_one_checker_by_name() -> None:
    def result(checker: str, *names: str) -> Result:
        found = tuple(Anomaly(name=name, summary=f"{name}!", indices=()) for name in names)
        return Result(checker=checker, verdict=Verdict.INVALID, why="", anomalies=found)

    results = merge([result("set", "lost", "duplicate"), result("logs", "lost")])

    assert anomalies(results, "set", "lost") == ("lost!",)
    assert anomalies(results, "liveness", "lost") == ()
