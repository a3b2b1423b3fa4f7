"""What is on the disk whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from dissever.harness.history import Event, Type
from dissever.harness.journal import Journal, NotJson

EVENT = Event(0, 5, 0, Type.INVOKE, "write", [1, {"a": None}], "k", "n1")

ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from dissever.harness.history import Event, Type
from dissever.harness.journal import Journal

with Journal(Path(sys.argv[1])) as journal:
    for i in count():
        journal(Event(i, i, i % 7, Type.INVOKE, "write", "x" * (i % 3000)))
        if i == 3000:
            print("begun", flush=True)
"""


def test_event_reads_back_as_it_was(tmp_path) -> None:
    with Journal(tmp_path / "h") as journal:
        journal(EVENT)
        journal(Event(1, 6, "net", Type.INFO, "cut", error=["x", "y"]))

    lines = (tmp_path / "h").read_bytes().splitlines()

    assert msgspec.json.decode(lines[0], type=Event) == EVENT
    assert lines[1] == (
        b'{"index":1,"time":6,"process":"net","type":"info","f":"cut","error":["x","y"]}'
    )


def test_line_is_on_the_disk_when_the_call_returns(tmp_path) -> None:
    with Journal(tmp_path / "h") as journal:
        journal(EVENT)

        assert (tmp_path / "h").read_bytes().endswith(b"\n")


def test_history_that_is_there_is_never_overwritten(tmp_path) -> None:
    (tmp_path / "h").write_text("mine")

    with pytest.raises(FileExistsError):
        Journal(tmp_path / "h")

    assert (tmp_path / "h").read_text() == "mine"


def test_value_that_is_no_json_leaves_nothing(tmp_path) -> None:
    endless = []
    endless.append(endless)
    with Journal(tmp_path / "h") as journal:
        journal(EVENT)
        for value in (["good", object()], "\ud800", endless):
            with pytest.raises(NotJson, match="event 1: "):
                journal(Event(1, 6, 0, Type.OK, "write", value))
        journal(EVENT)

    assert len(set((tmp_path / "h").read_bytes().splitlines())) == 1


def test_short_line_after_a_long_one_is_whole(tmp_path) -> None:
    with Journal(tmp_path / "h") as journal:
        journal(Event(0, 0, 0, Type.OK, "read", "x" * 100_000))
        journal(EVENT)

    assert msgspec.json.decode((tmp_path / "h").read_bytes().splitlines()[1], type=Event) == EVENT


def test_part_of_a_line_is_an_error(tmp_path, monkeypatch) -> None:
    with Journal(tmp_path / "h") as journal:
        monkeypatch.setattr(os, "write", lambda _, line: len(line) - 1)
        with pytest.raises(OSError, match="only part of event 0"):
            journal(EVENT)


def test_closing_twice_does_no_harm(tmp_path) -> None:
    journal = Journal(tmp_path / "h")
    journal.close()
    journal.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        journal(EVENT)


def test_sigkill_loses_at_most_the_line_that_is_written(tmp_path) -> None:
    path = tmp_path / "h"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGKILL)

    whole, _, cut = path.read_bytes().rpartition(b"\n")
    events = [msgspec.json.decode(line, type=Event) for line in whole.splitlines()]

    assert [event.index for event in events] == list(range(len(events)))
    assert len(events) > 3000
    assert b"\n" not in cut
