"""Which runs are meant, ages and sizes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dissever.harness.results import Verdict
from dissever.runs import NO_VERDICT, Query, State, Stored
from dissever.runs.units import age_text, parse_age_s, parse_since, parse_size, short_age, size_text

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
RUN = Stored(
    path="mykv/register/x",
    state=State.JUDGED,
    system="mykv.py:MyKv",
    workload="register",
    faults=("kill", "pause"),
    seed=7,
    started=(NOW - timedelta(days=3)).isoformat(),
    verdict=Verdict.INVALID,
    signatures=("linearizable/stale-read/read@leader", "nodes/crash/SIGSEGV/raft.c"),
)
UNJUDGED = Stored(path="a", state=State.NOT_JUDGED, system="a", workload="b", started=RUN.started)


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(system="mykv.py:MyKv"),
        Query(system="MyKv"),
        Query(workload="register"),
        Query(faults=("kill",)),
        Query(faults=("pause", "kill")),
        Query(verdicts=("valid", "invalid")),
        Query(signature="linearizable"),
        Query(signature="linearizable/stale-read"),
        Query(signature="linearizable/stale-read/read@leader"),
        Query(signature="nodes/crash"),
        Query(signature="nodes/crash/SIGSEGV"),
        Query(seed=7),
        Query(since=NOW - timedelta(days=4)),
    ],
)
def test_run_is_meant(query: Query) -> None:
    assert query.matches(RUN)


@pytest.mark.parametrize(
    "query",
    [
        Query(system="mykv"),
        Query(workload="set"),
        Query(faults=("kill", "partition")),
        Query(verdicts=("valid",)),
        Query(verdicts=(NO_VERDICT,)),
        Query(signature="linear"),
        Query(signature="linearizable/stale-read/read@follower"),
        Query(signature="nodes/crash/SIGABRT"),
        Query(seed=0),
        Query(since=NOW - timedelta(days=2)),
        Query(system="MyKv", seed=8),
    ],
)
def test_run_is_not_meant(query: Query) -> None:
    assert not query.matches(RUN)


def test_run_without_a_verdict_has_a_word_and_no_signature() -> None:
    assert Query(verdicts=(NO_VERDICT,)).matches(UNJUDGED)
    assert not Query(signature="linearizable").matches(UNJUDGED)
    assert not Query(verdicts=("unknown",)).matches(UNJUDGED)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("5G", 5 * 10**9), ("1.5 MB", 1_500_000), ("10k", 10_000), ("7B", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "5 X", "1e9", "٣G", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "age_s"),
    [("90m", 5400), ("12h", 43_200), ("1d12h", 129_600), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_ages(text: str, age_s: float) -> None:
    assert parse_age_s(text) == age_s


@pytest.mark.parametrize("text", ["", "7", "7.5", "1e3", "d", "-7d", "7y", "7 days", "inf", "nan"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="expected an age"):
        parse_age_s(text)


def test_since_is_an_age_or_a_date() -> None:
    assert parse_since("1d", NOW) == NOW - timedelta(days=1)
    assert parse_since("2026-11-29", NOW) == datetime(2026, 11, 29, tzinfo=UTC)
    assert parse_since("2026-11-29T10:00:00+02:00", NOW) == datetime(2026, 11, 29, 8, tzinfo=UTC)
    for text in ("yesterday", "999999999w", ""):
        with pytest.raises(ValueError, match="expected an age"):
            parse_since(text, NOW)


def test_sizes_and_ages_as_people_read_them() -> None:
    sizes = [size_text(size) for size in (0, 999, 1000, 9_940, 9_960, 999_600, 5 * 10**12)]

    assert sizes == ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "1.0 MB", "5.0 TB"]
    assert [short_age(s) for s in (-5, 0, 59, 60, 3600, 200_000)] == [
        *("0s", "0s", "59s", "1m", "1h", "2d")
    ]
    assert [age_text(s) for s in (-5, 0, 60, 7200, 86_400)] == [
        *("in the future", "just now", "1 minute ago", "2 hours ago", "1 day ago")
    ]
