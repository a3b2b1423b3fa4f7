"""The command `export`: where it writes, what it refuses, and what it says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.reports.exports import FORMATS

QUICK = ("test", "simulated", "--time-limit", "2", "--quiet", "--seed", "1")


@pytest.fixture
def run(dissever: Callable[..., Any], runs: Path) -> Path:
    """The directory of an invalid run."""
    assert dissever(*QUICK, "--bug", "stale-read").status == 1
    return (runs / "latest").resolve()


def test_file_is_what_standard_output_gets(
    dissever: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "history.edn"
    written = dissever("export", str(run), "--format", "edn", "-o", str(path))
    piped = subprocess.run(
        [sys.executable, "-m", "dissever", "export", str(run), "--format", "edn"],
        capture_output=True,
        check=True,
    )

    assert (written.status, written.stdout, written.stderr) == (0, "", "")
    assert piped.stdout == path.read_bytes()
    assert piped.stderr == b""
    assert path.read_bytes().count(b"\n") == (run / "history.jsonl").read_bytes().count(b"\n")


def test_reader_that_stops_early_is_no_error(run: Path) -> None:
    command = f"{sys.executable} -m dissever export {run} --format edn | head -c 20"
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False
    )

    assert (piped.returncode, piped.stderr) == (0, b"")
    assert len(piped.stdout) == 20


def test_history_file_is_written_in_another_format(
    dissever: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.edn", tmp_path / "second.edn"
    dissever("export", str(run), "--format", "edn", "-o", str(first))
    ran = dissever("export", str(first), "--format", "edn", "-o", str(second))

    assert ran.status == 0
    assert second.read_bytes() == first.read_bytes()


def test_disk_that_is_full_is_said_in_one_line(dissever: Callable[..., Any], run: Path) -> None:
    ran = dissever("export", str(run), "--format", "edn", "-o", "/dev/full")

    assert ran.status == 3
    assert ran.stderr == "Error: /dev/full: No space left on device\n"


def test_file_that_was_there_stays_when_the_history_is_broken(
    dissever: Callable[..., Any], tmp_path: Path
) -> None:
    target, broken = tmp_path / "target", tmp_path / "broken.jsonl"
    target.write_text("what was there")
    broken.write_text('{"index":0,"time":0,"process":0,"type":"ok","f":"read"}\n')
    ran = dissever("export", str(broken), "--format", "edn", "-o", str(target))

    assert ran.status == 3
    assert len(ran.stderr.splitlines()) == 1
    assert str(broken) in ran.stderr
    assert target.read_text() == "what was there"


def test_run_that_was_not_judged_is_written_with_a_note(
    dissever: Callable[..., Any], run: Path
) -> None:
    (run / "results.json").unlink()
    ran = dissever("export", str(run), "--format", "edn", "-o", "/dev/null")

    assert ran.status == 0
    assert "note: no anomaly is marked, because the run was not judged" in ran.stderr


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if not each.of_verdicts])
def test_history_of_several_runs_is_refused(
    name: str, dissever: Callable[..., Any], run: Path
) -> None:
    ran = dissever("export", str(run), str(run), "--format", name)

    assert ran.status == 64
    assert f"{name} holds the history of one run: expected one path, got 2 paths" in ran.text


def test_misspelt_format_is_answered_with_the_nearest(
    dissever: Callable[..., Any], run: Path
) -> None:
    ran = dissever("export", str(run), "--format", "eden")

    assert ran.status == 64
    assert "edn" in ran.text


def test_help_names_every_format(dissever: Callable[..., Any]) -> None:
    ran = dissever("export", "--help")

    assert all(f"--format {name}" in ran.stdout for name in FORMATS)


def test_markdown_takes_folders_of_runs(
    dissever: Callable[..., Any], run: Path, runs: Path
) -> None:
    dissever(*QUICK[:-1], "2")
    ran = dissever("export", str(runs), "--format", "markdown")

    assert ran.status == 0
    assert ran.stdout.startswith("### ✗ dissever: invalid (1 invalid, 1 valid)")


def test_markdown_of_a_history_file_is_refused(dissever: Callable[..., Any], run: Path) -> None:
    ran = dissever("export", str(run / "history.jsonl"), "--format", "markdown")

    assert ran.status == 64
    assert "a history file, which has no verdict" in ran.text


def test_markdown_of_a_run_that_was_not_judged_is_unknown(
    dissever: Callable[..., Any], run: Path
) -> None:
    (run / "results.json").unlink()
    ran = dissever("export", str(run), "--format", "markdown")

    assert ran.status == 0
    assert ran.stdout.startswith("### ? dissever: unknown")
    assert "not judged" in ran.stdout


def test_missing_extra_is_said_in_one_line(
    dissever: Callable[..., Any], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = dissever("export", str(run), "--format", "parquet", "-o", str(tmp_path / "x.parquet"))

    assert ran.status == 3
    assert len(ran.stderr.splitlines()) == 1
    assert "pip install 'dissever[parquet]'" in ran.stderr
    assert not (tmp_path / "x.parquet").exists()


def on_terminal(*arguments: str) -> tuple[int, bytes]:
    """The status of the command line, and what it printed on a terminal."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dissever", *arguments], stdout=end, stderr=end
    )
    os.close(end)
    printed = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Nobody has the other end any more.
            break
        if not piece:
            break
        printed += piece
    os.close(terminal)
    return process.wait(), printed


def test_nothing_in_a_history_drives_the_terminal(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    hostile = "\x1b]0;x\x07\x9b31m\u202e"
    event = {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": hostile, "value": hostile}
    history.write_text(json.dumps(event) + "\n")
    for name in ("edn", "trace", "otlp"):
        status, printed = on_terminal("export", str(history), "--format", name)

        assert status == 0
        assert b"invoke" in printed or b"31m" in printed
        assert not any(each in printed.decode() for each in "\x1b\x07\x9b\u202e")


def test_binary_format_is_not_printed_on_a_terminal(run: Path) -> None:
    status, printed = on_terminal("export", str(run), "--format", "parquet")

    assert status == 64
    assert b"parquet is binary: name a file with -o, or pipe it" in printed
