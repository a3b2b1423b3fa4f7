"""The register of known bugs, and the wire on which their requests go."""

from __future__ import annotations

from dissever import planning
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Anomaly, Result, Verdict, merge
from dissever.nemesis.plans.script import Script, read_script
from dissever.systems.dqlite.bugs import BUGS, RELEASES, Searched
from dissever.systems.dqlite.bugs.searched import SHRUNK_RECOVERY_S, SILENCE_S, anomalies, silence_s
from dissever.systems.dqlite.bugs.wire import Answer
from dissever.systems.dqlite.system import DqliteSystem
from dqlite.wire import codec
from dqlite.wire.schema import Failure

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


def _history(*events: tuple[float, int | str, Type, str, object]) -> History:
    return History(
        [
            Event(index=index, time=int(time * 1e9), process=process, type=type_, f=f, value=value)
            for index, (time, process, type_, f, value) in enumerate(events)
        ]
    )


FULL = (
    (1.0, "disk-full", Type.INVOKE, "start-disk-full", None),
    (2.0, "disk-full", Type.INFO, "start-disk-full", {"targets": ["n1"]}),
)
FREE = (
    (3.0, "disk-full", Type.INVOKE, "stop-disk-full", None),
    (4.0, "disk-full", Type.INFO, "stop-disk-full", {"targets": ["n1"]}),
)
NEVER_AGAIN = ((5.0, 0, Type.INVOKE, "add", 1), (20.0, 1, Type.INVOKE, "add", 2))


def test_silence_counts_from_the_last_disk_that_healed() -> None:
    assert silence_s(_history(*FULL, *FREE, *NEVER_AGAIN)) == 16.0 > SILENCE_S


def test_an_acknowledged_add_ends_the_silence() -> None:
    ok = ((18.0, 0, Type.OK, "add", 1),)

    assert silence_s(_history(*FULL, *FREE, NEVER_AGAIN[0], *ok, NEVER_AGAIN[1])) == 2.0


def test_silence_while_a_disk_is_full_is_no_sign() -> None:
    assert silence_s(_history(*FULL, *NEVER_AGAIN)) == 0.0
    assert silence_s(_history(*NEVER_AGAIN)) == 0.0


def test_shrunk_plans_have_at_most_three_faults_and_can_be_planned() -> None:
    searched = [bug for bug in BUGS.values() if isinstance(bug.test, Searched)]
    shrunk = [
        (bug.name, options)
        for bug in searched
        for options in bug.test.options
        if options.recovery_limit_s == SHRUNK_RECOVERY_S
    ]

    assert {name for name, _ in shrunk} == {
        "lost-writes",
        "replicas-differ",
        "stale-read",
        "stuck-after-disk-error",
        "disk-error-crash",
    }
    for _, options in shrunk:
        script = read_script(options.script)
        assert isinstance(script, Script)
        assert 1 <= len(script.faults) <= 3
        planning.checked(options, DqliteSystem())
