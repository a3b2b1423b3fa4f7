"""Signals to the processes of a node: what must stop or end does, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dissever.harness.cluster.keeper import processes

LIMIT_S = 10.0

STARTER = """
import os, sys
opened = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)
os.posix_spawn("/bin/sleep", ["sleep", "600"], {}, file_actions=[opened])
os.execv("/bin/sleep", ["sleep", "600"])
"""
"""It waits in vfork(2) until its child has opened a pipe that nobody writes to, and calls exec."""


@pytest.mark.parametrize("is_child_stopped", [False, True], ids=["child runs", "child stopped"])
def test_process_that_starts_another_one_stops(is_child_stopped: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    starter = subprocess.Popen([sys.executable, "-c", STARTER, pipe], start_new_session=True)
    try:
        _wait_for({starter.pid: "D"}, of=starter.pid)
        (child,) = set(_session(starter.pid)) - {starter.pid}
        if is_child_stopped:
            os.kill(child, signal.SIGSTOP)
            _wait_for({starter.pid: "D", child: "T"}, of=starter.pid)
        stopping = processes.signal_until("stop", lambda: _session(starter.pid))
        next(stopping)
        # Both are as far as they get before the pipe is open.
        writer = os.open(pipe, os.O_RDWR)
        for wait_s in stopping:
            time.sleep(wait_s)
        os.close(writer)

        assert [processes.states(pid) for pid in (starter.pid, child)] == ["T", "T"]
    finally:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()


def _session(leader: int) -> list[int]:
    return [pid for pid in processes.everyone() if processes.session(pid) == leader]


def _wait_for(states: dict[int, str], of: int) -> None:
    """Until both processes of a session are there, and these are in these states."""
    deadline = time.monotonic() + LIMIT_S
    while len(_session(of)) < 2 or any(processes.states(p) != s for p, s in states.items()):
        assert time.monotonic() < deadline, {pid: processes.states(pid) for pid in _session(of)}
        time.sleep(0.005)
