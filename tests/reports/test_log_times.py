"""Times and levels of lines, as the loggers of many systems write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.reports.log_times import Stamp, level_of, stamp_of

AT = datetime(2026, 11, 30, 20, 45, 4, 396_123, UTC)
AT_NS = int(AT.timestamp()) * 10**9 + 396_123_000
MS_NS = AT_NS // 10**6 * 10**6

SAMPLES = {
    "dqlite": ("LIBDQLITE[7] 2026-11-30T20:45:04.396123000 000007 INFO  open: x", AT_NS, True),
    "dqlite in ns": (f"LIBDQLITE {AT_NS} src/leader.c:12 exec", AT_NS, False),
    "raft in ns": (f"LIBRAFT[12] {AT_NS} src/convert.c:40 vote", AT_NS, False),
    "redis": ("4:X 30 Nov 2026 20:45:04.396 # +sdown master", MS_NS, True),
    "etcd": ('{"level":"warn","ts":"2026-11-30T20:45:04.396123Z","msg":"x"}', AT_NS, False),
    "zap": (f'{{"level":"info","ts":{AT_NS / 1e9:.3f},"msg":"x"}}', MS_NS, False),
    "nats": ("[4] 2026/11/30 20:45:04.396123 [INF] Starting nats-server", AT_NS, True),
    "postgres": ("2026-11-30 20:45:04.396 UTC [12] LOG:  starting", MS_NS, False),
    "postgres elsewhere": ("2026-11-30 20:45:04.396 CET [12] LOG:  starting", MS_NS, True),
    "python": ("2026-11-30 20:45:04,396 ERROR root: failed", MS_NS, True),
    "klog": ("E1130 20:45:04.396123   1 main.go:12] failed", AT_NS, True),
    "syslog": ("Nov 30 20:45:04 n1 kvd: hello", AT_NS // 10**9 * 10**9, True),
    "ISO with a zone": ("2026-11-30T21:45:04.396+01:00 hello", MS_NS, False),
    "ISO to the west": ("2026-11-30T15:15:04.396-0530 hello", MS_NS, False),
    "milliseconds": (f"[{AT_NS // 10**6}] hello", MS_NS, False),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_time_of_a_line_is_read(name: str) -> None:
    line, unix_ns, is_local = SAMPLES[name]

    assert stamp_of(line, year=2026) == Stamp(unix_ns, is_local)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no time",
        "2026-13-30T20:45:04Z there is no such month",
        "2026-02-30 20:45:04 there is no such day",
        "0000-01-01 00:00:00 there is no such year",
        "2026-11-30 25:61:61 there is no such hour",
        "id 1796071504396 is in the middle of a line",
        "10.77.0.1:9001 accepted",
        f"{'x' * 300} 2026-11-30T20:45:04Z too far to the right",
    ],
)
def test_line_without_a_time_has_none(line: str) -> None:
    assert stamp_of(line, year=2026) is None


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_too_strange(line: str) -> None:
    stamp_of(line, year=2026)
    level_of(line)


@settings(deadline=None)
@given(
    st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2200-01-01")),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_iso_time_is_read_as_python_reads_it(at: datetime, minutes: int) -> None:
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    whole_s = int((zoned.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    stamp = stamp_of(zoned.isoformat(timespec="microseconds"), year=2026)

    assert stamp == Stamp(whole_s * 10**9 + at.microsecond * 1000, is_local=False)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"error","msg":"no INFO here"}', "error"),
        ("time=x level=warning msg=y", "warning"),
        ("4:X 30 Nov 2026 20:45:04.396 # +sdown master", "warning"),
        ("4:X 30 Nov 2026 20:45:04.396 * Ready", "info"),
        ("4:M 30 Nov 2026 20:45:04.396 . ping", "debug"),
        ("E1130 20:45:04.396123   1 main.go:12] failed", "error"),
        ("2026-11-30 20:45:04 UTC [1] FATAL:  could not start", "error"),
        ("[4] 2026/11/30 20:45:04 [WRN] slow consumer", "warning"),
        ("LIBDQLITE[7] 2026-11-30T20:45:04.3 000007 DEBUG open", "debug"),
        ("node: raft.c:12: start: Assertion `x' failed.", "error"),
        ("panic: runtime error", "error"),
        ("Traceback (most recent call last):", "error"),
        ("hello", "none"),
        ("INFORMATION about ERRORS", "none"),
    ],
)
def test_level_of_a_line_is_read(line: str, level: str) -> None:
    assert level_of(line) == level
