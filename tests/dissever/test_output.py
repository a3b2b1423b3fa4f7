"""The exit status is the verdict whatever happens to the output, and no text drives a terminal."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from dissever.commands import output
from dissever.commands.streams import Sturdy
from dissever.harness import store
from dissever.harness.values import printable
from dissever.judging import judge_file

STALE = """
{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}
{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}
{"index":2,"time":2,"process":1,"type":"invoke","f":"write","value":"é"}
{"index":3,"time":3,"process":1,"type":"ok","f":"write","value":"é"}
{"index":4,"time":4,"process":0,"type":"invoke","f":"read","value":null}
{"index":5,"time":5,"process":0,"type":"ok","f":"read","value":1}
"""
INVALID = 1


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    """A file whose verdict is invalid."""
    path = tmp_path / "stale.jsonl"
    path.write_text(STALE, encoding="utf-8")
    return path


def _shell(command: str, stale: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in which $CHECK is `dissever check`, and $FILE that file."""
    return subprocess.run(
        ["bash", "-c", command],
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
            "CHECK": f"{sys.executable} -m dissever check",
            "FILE": str(stale),
            **environment,
        },
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        "$CHECK $FILE",
        "$CHECK $FILE >&-",
        "$CHECK $FILE >&- 2>&-",
        "$CHECK $FILE <&- >&- 2>&-",
        "$CHECK $FILE 2>&-",
        "$CHECK $FILE >/dev/full",
        "$CHECK $FILE --json >/dev/full 2>/dev/full",
        "$CHECK $FILE | true; exit ${PIPESTATUS[0]}",
        "$CHECK $FILE --json | head -1; exit ${PIPESTATUS[0]}",
        "$CHECK $FILE 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}",
        "$CHECK $FILE --html /dev/full",
        "$CHECK $FILE --html /nowhere/page.html",
    ],
)
def test_status_is_the_verdict_where_nothing_can_be_written(stale: Path, command: str) -> None:
    ran = _shell(command, stale)

    assert ran.returncode == INVALID, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert b"Exception ignored" not in ran.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_terminal_that_lacks_characters_gets_their_numbers(
    stale: Path, environment: dict[str, str]
) -> None:
    ran = _shell("$CHECK $FILE", stale, **environment)

    assert ran.returncode == INVALID, ran.stderr
    assert b"INVALID" in ran.stdout
    assert b"\\u2717" in ran.stdout
    assert b"Traceback" not in ran.stderr


def test_page_that_cannot_be_written_is_told_after_the_verdict(stale: Path) -> None:
    ran = _shell("$CHECK $FILE --html /nowhere/page.html 2>&1", stale)
    said = ran.stdout.decode()

    assert "INVALID" in said
    assert "/nowhere/page.html could not be written: No such file or directory" in said
    assert said.index("INVALID") < said.index("could not be written")
    assert "report  " not in said


def test_terminal_that_goes_away_does_not_end_a_check(
    dissever: Callable, stale: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*arguments: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGHUP)
        return judge_file(*arguments, **more)

    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr("dissever.commands.check.judge_file", judged)
    ran = dissever("check", str(stale))

    assert ran.status == INVALID
    assert signal.getsignal(signal.SIGHUP) is before


def test_terminal_that_goes_away_ends_a_run_which_is_judged(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dissever.harness.journal import Journal

    write = Journal.__call__

    def hang_up(journal: Journal, event: Any) -> None:
        write(journal, event)
        if event.index == 100:
            signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(Journal, "__call__", hang_up)
    ran = dissever("test", "simulated", "-t", "500", "--seed", "1", "-q")

    assert ran.status == 2
    assert "the run ended early: interrupted" in ran.text


class _Broken:
    """A stream that refuses everything."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    flush = write


def test_stream_that_breaks_loses_what_is_written_and_says_why() -> None:
    stream = Sturdy(_Broken())  # type: ignore[arg-type]

    assert stream.write("words") == len("words")
    assert isinstance(stream.lost, OSError)
    assert Sturdy(None).write("words") == len("words")
    assert not Sturdy(None).isatty()


HOSTILE = "\x1b[2J\x07\x9b31m\u202e\u2066\x7f\u2028\x00\u200e"
"""Clears the screen, rings, colours by C1, turns the direction, deletes, ends a line, is no XML."""

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _hostile(tmp_path: Path) -> Path:
    """A stale read, in which every text is hostile."""
    events = [json.loads(line) for line in STALE.split("\n") if line]
    for event in events:
        event["node"] = f"n{HOSTILE}1"
        event["key"] = f"k{HOSTILE}"
        if event["value"] is not None:
            event["value"] = f"{event['value']}{HOSTILE}"
    events.append(
        {"index": 6, "time": 6, "process": f"net{HOSTILE}", "type": "info", "f": f"cut{HOSTILE}"}
    )
    path = tmp_path / f"file{HOSTILE.replace(chr(0), '')}.jsonl"
    path.write_text("\n".join(json.dumps(event) for event in events), encoding="utf-8")
    return path


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_of_a_history_drives_the_terminal(
    dissever: Callable, tmp_path: Path, more: tuple[str, ...]
) -> None:
    ran = dissever("-v", "check", str(_hostile(tmp_path)), *more)

    assert ran.status == INVALID
    assert CONTROL.search(ran.stdout) is None
    assert CONTROL.search(ran.stderr) is None
    assert "\\u202e" in ran.stdout
    if more:
        anomaly = json.loads(ran.stdout)["results"][0]["anomalies"][0]
        assert HOSTILE in anomaly["key"]


def test_error_message_with_a_hostile_name_is_shown_escaped(
    dissever: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "bad\x1b[31m"
    path.write_text("{")
    ran = dissever("check", str(path))

    assert ran.status == 3
    assert CONTROL.search(ran.stdout + ran.stderr) is None
    assert "bad\\x1b[31m" in ran.text


def test_line_of_a_nodes_log_reaches_no_report_as_it_is(dissever: Callable, runs: Path) -> None:
    dissever("test", "simulated", "-t", "2", "--seed", "1", "-q")
    log = runs / "latest" / "nodes" / "n1" / "stderr-1.log"
    log.write_text(f"Assertion {HOSTILE} failed", encoding="utf-8")
    ran = dissever("-vv", "check", str(runs / "latest"))
    junit = (runs / "latest" / store.JUNIT).read_text(encoding="utf-8")

    assert ran.status == INVALID
    assert CONTROL.search(ran.stdout + ran.stderr) is None
    assert CONTROL.search(junit) is None
    assert "\\x1b[2J" in "".join(ET.fromstring(junit).itertext())


def test_json_stays_json_with_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"key": "".join(map(chr, range(0xD7FF))) + "\U000e0001\U0010ffff\ue000"}
    output.print_json(value)
    printed = capsys.readouterr().out

    assert CONTROL.search(printed) is None
    assert json.loads(printed) == value


def test_what_can_be_read_stays_as_it_is() -> None:
    assert printable("naïve 分布 → ✓ 'quoted' \\n") == "naïve 分布 → ✓ 'quoted' \\n"
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"
