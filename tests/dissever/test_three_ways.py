"""One plug-in from the command line, from pytest and from a script: the same plan each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dissever import pytest_runs

pytest_plugins = ("pytester",)

SYSTEM = '''"""A register that lives in virtual time, as a user's file."""

from dissever.systems.simulated import SimulatedSystem


class Mine(SimulatedSystem):
    name = "mine"
'''

SCRIPT = """
from dissever import run

run(system="mine.py", faults=["kill", "partition"], nodes=3, seed=7, time_limit=9).assert_valid()
"""

TEST = """
import pytest

@pytest.mark.dissever(
    system="mine.py", faults=["kill", "partition"], nodes=3, seed=7, time_limit=9
)
def test_mine(run_plan):
    run_plan().assert_valid()
"""

COMMAND = ("test", "mine.py", "-f", "kill,partition", "-n", "3", "--seed", "7", "-t", "9", "-q")


def test_the_same_seed_gives_the_same_plan_and_history(pytester: pytest.Pytester) -> None:
    assert pytest_runs.OPTIONS
    here = pytester.path
    here.joinpath("mine.py").write_text(SYSTEM)
    here.joinpath("test_mine.py").write_text(TEST)
    found = []
    for make in (
        lambda: python("-m", "dissever", *COMMAND),
        lambda: python("-c", SCRIPT),
        lambda: pytester.runpytest("-p", "no:hypothesispytest").assert_outcomes(passed=1),
    ):
        make()
        found.append(left_by_the_latest(here / "runs"))

    assert found[0] == found[1] == found[2]
    assert found[0]["plan"]["options"]["system"] == "mine.py"
    assert found[0]["schedule"].count(b"\n") > 4


def python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def left_by_the_latest(runs: Path) -> dict[str, Any]:
    """What defines the run, but for when it began, and what came of it."""
    latest = runs / "latest"
    plan = json.loads((latest / "plan.json").read_text())
    del plan["started"]
    names = ("schedule.jsonl", "history.jsonl")
    return {"plan": plan} | {name.split(".")[0]: (latest / name).read_bytes() for name in names}


PROCESSES = '''"""Three copies of nothing: each node answers by itself."""

import socket

from dissever import Processes

SERVER = """
import socketserver, sys
held = {}
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            key, _, value = line.decode().strip().split(",")
            if value:
                held[key] = value
            self.wfile.write(held.get(key, "").encode() + bytes([10]))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    def handle_error(self, *_):
        pass
Server((sys.argv[1], 8080), Handler).serve_forever()
"""


class Client:
    def __init__(self, endpoint):
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout=2)
        self._file = self._socket.makefile("rw")

    def _ask(self, key, value=""):
        print(key, "", value, sep=",", file=self._file, flush=True)
        return self._file.readline().strip()

    def read(self, key):
        answer = self._ask(key)
        return int(answer) if answer else None

    def write(self, key, value):
        self._ask(key, value)

    def compare_and_set(self, key, old, new):
        return self.read(key) == old and not self.write(key, new)

    def close(self):
        self._socket.close()


class Alone(Processes):
    command = ["{python}", "-c", SERVER, "{address}"]
    client_ports = (8080,)
    client = Client
'''


@pytest.mark.cluster
def test_a_system_of_processes_is_found_out_and_is_broken_step_by_step(
    pytester: pytest.Pytester,
) -> None:
    pytester.path.joinpath("alone.py").write_text(PROCESSES)
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.dissever(system="alone.py", nodes=2, seed=1)

        @pytest.mark.dissever(time_limit=2)
        def test_run(run_plan):
            run_plan().assert_valid()

        def test_steps(cluster):
            client = cluster.client("n1")
            client.write(1, 5)
            assert client.read(1) == 5
            assert cluster.client("n2").read(1) is None
            with cluster.pause("n2"):
                assert not cluster.answers("n2")
            cluster.await_ready()
        """
    )
    ran = pytester.runpytest_subprocess("-p", "no:hypothesispytest")

    ran.stdout.fnmatch_lines(["*NotValid: ✗ INVALID*"])
    ran.stdout.fnmatch_lines(["*repeat  dissever test alone.py --workload register*"])
    assert ran.parseoutcomes()["passed"] == 1
