"""Real nodes of raft: what they refuse, and that they serve."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dissever import running
from dissever.harness.client import NotApplied
from dissever.harness.cluster.backends import NAMESPACES
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.reader import read_history
from dissever.harness.results import Verdict
from dissever.planning import checked
from dissever.systems.raft import calls
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT
from dissever.systems.raft.programs import program
from dissever.systems.raft.system import RaftSystem

ADDRESS = "127.13.1.1"
"""Of loopback, and of nobody else."""

SERVES_LIMIT_S = 30.0


@pytest.fixture
def node() -> str:
    if isinstance(found := program("node-0.22.1"), Missing):
        pytest.skip(f"{found.reason}; {found.remedy}")
    return str(found)


@pytest.fixture
def running_node(node: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A cluster of one."""
    words = [node, str(tmp_path), "1", ADDRESS, "election_ms=100", "heartbeat_ms=20"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def asked(request: calls.Request) -> bytes:
    """What the node answers once it serves."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + SERVES_LIMIT_S
    while True:
        try:
            transport, link = await loop.create_connection(Link, ADDRESS, CLIENT_PORT)
        except OSError:
            if time.monotonic() > until:
                raise
        else:
            try:
                return await link.ask(request)
            except NotApplied:  # It does not lead yet.
                if time.monotonic() > until:
                    raise
            finally:
                transport.close()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "expected 3 words or more"),
        (["data", "2", ADDRESS], "2: expected the place of one of the addresses"),
        (["data", "1", ","], "ADDRESS: expected an address"),
        (["data", "1", ADDRESS, "election_ms"], "election_ms: expected OPTION=VALUE"),
        (["data", "1", ADDRESS, "election_ms=never"], "election_ms: it must be a whole number"),
        (["data", "1", ",".join([ADDRESS] * 10)], "ADDRESS: more than 9 addresses"),
    ],
)
def test_wrong_words_are_refused_in_one_line(node: str, words: list[str], why: str) -> None:
    done = subprocess.run(
        [node, *words], capture_output=True, text=True, check=False, timeout=SERVES_LIMIT_S
    )

    assert done.returncode == 64
    assert done.stderr.splitlines()[0].startswith(why) or why in done.stderr.splitlines()[0]


def test_a_folder_that_is_not_there_is_said(node: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [node, str(tmp_path / "none"), "1", ADDRESS],
        capture_output=True,
        text=True,
        check=False,
        timeout=SERVES_LIMIT_S,
    )

    assert done.returncode == 1
    assert "does not start" in done.stderr


def test_node_serves_hears_nonsense_and_ends_when_asked(
    running_node: subprocess.Popen[str],
) -> None:
    async def talk() -> tuple[int | None, int | None]:
        await asked(calls.write(3, 7))
        for nonsense in (b"\xff" * 64, b"\0" * 8, b"\5\0\0\0\1\0\0\0\x63"):
            with socket.create_connection((ADDRESS, CLIENT_PORT)) as connection:
                connection.sendall(nonsense)
                assert connection.recv(1) == b""
        with socket.create_connection((ADDRESS, CLIENT_PORT)) as connection:
            connection.sendall(b"\x09\0")  # It goes in the middle of a request.
        written = calls.value_of(await asked(calls.read(3)))
        missing = calls.value_of(await asked(calls.read(4, is_local=True)))
        return written, missing

    assert asyncio.run(talk()) == (7, None)
    running_node.send_signal(signal.SIGTERM)
    assert running_node.wait(SERVES_LIMIT_S) == 0


def test_the_digest_is_of_what_was_applied(running_node: subprocess.Popen[str]) -> None:
    async def digests() -> list[str]:
        found = []
        for key in (1, None, 2):
            if key is not None:
                await asked(calls.write(key, 7))
            found.append(calls.digest_of(await asked(calls.digest())))
        return found

    before, again, after = asyncio.run(digests())

    assert before == again
    assert after != before


def test_servers_are_broken_on_purpose_only_where_they_are_simulated() -> None:
    options = Options(
        system="raft",
        workload="set",
        backend=NAMESPACES,
        nodes=("n1", "n2", "n3"),
        system_options={"break": "crash"},
    )

    with pytest.raises(ValueError, match="expected --break on simulated servers"):
        checked(options, RaftSystem())


@pytest.mark.cluster
def test_a_run_on_real_nodes_finds_nothing_wrong(tmp_path: Path) -> None:
    options = Options(
        system="raft",
        workload="set",
        backend=NAMESPACES,
        nodes=("n1", "n2", "n3"),
        faults=("kill",),
        time_limit_s=6,
        seed=1,
        system_options={"timings": "exaggerated"},
    )
    if missing := RaftSystem().probe(options):
        pytest.skip(f"{missing.reason}; {missing.remedy}")

    run = running.run(options, runs=tmp_path)

    found = {each.checker: each.verdict for each in run.judged.results.results}
    assert found["set"] is Verdict.VALID
    assert found["nodes"] is Verdict.VALID
    assert found["liveness"] is Verdict.VALID
    compared = [
        e
        for e in read_history(run.directory / "history.jsonl").history
        if e.f == "compare-replicas" and e.value
    ]
    assert len(set(compared[-1].value["replicas"].values())) == 1
    assert run.interruption == ""
