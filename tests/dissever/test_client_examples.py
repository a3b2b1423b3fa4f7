"""The clients of examples/clients: programs in shell and in Go, against a real etcd."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.client import Invocation
from dissever.systems import load
from dissever.systems.clients.answers import completion, parsed, request

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "clients"
PAGE = (EXAMPLES.parent.parent / "docs" / "clients.md").read_text(encoding="utf-8")


def require(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an etcd of one node serves: `127.0.0.1:4711`."""
    require("etcd")
    folder = tmp_path_factory.mktemp("etcd")
    client, peer = (f"127.0.0.1:{free_port()}" for _ in range(2))
    words = ["etcd", "--data-dir", str(folder / "data")]
    for option, address in (
        ("listen-client-urls", client),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
    ):
        words += [f"--{option}", f"http://{address}"]
    words += ["--initial-cluster", f"default=http://{peer}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as run:
        try:
            wait_for(client)
            yield client
        finally:
            run.kill()


def wait_for(address: str) -> None:
    """Until it accepts connections and has elected itself."""
    host, port = address.split(":")
    for _ in range(600):
        try:
            with closing(socket.create_connection((host, int(port)))):
                break
        except OSError:
            time.sleep(0.05)
    time.sleep(0.1)


def test_client_in_shell_passes(dissever: Callable[..., Any], etcd: str) -> None:
    require("curl", "jq", "base64")
    client = str(EXAMPLES / "shell" / "client.sh")
    ran = dissever("client-test", client, "--address", etcd, "--limit", "1")

    assert ran.status == 0, ran.text
    assert "13 checks passed, 0 failed" in ran.text


def test_client_in_go_passes(dissever: Callable[..., Any], etcd: str, tmp_path: Path) -> None:
    require("go")
    client = tmp_path / "client"
    build = ["go", "build", "-o", str(client), "."]
    subprocess.run(build, cwd=EXAMPLES / "go", check=True, timeout=110)
    ran = dissever("client-test", str(client), "--address", etcd, "--limit", "1")

    assert ran.status == 0, ran.text
    assert "13 checks passed, 0 failed" in ran.text


@pytest.mark.cluster
def test_client_in_shell_serves_a_run(dissever: Callable[..., Any], runs: Path) -> None:
    require("curl", "jq", "base64", "etcd")
    missing = load("etcd").probe()
    if missing is not None:
        pytest.skip(f"etcd cannot run here: {missing.reason}")
    quick = ("-n", "1", "-t", "3", "--rate", "10", "--operation-limit", "5", "--concurrency", "2")
    ran = dissever("test", f"{EXAMPLES}/etcd.py:WithShell", *quick)

    assert ran.status == 0, ran.text
    assert list((runs / "latest").glob("nodes/n1/forwarder.json"))


def test_page_shows_the_client_in_shell_as_it_is() -> None:
    assert f"```sh\n{(EXAMPLES / 'shell' / 'client.sh').read_text()}```" in PAGE


def test_page_shows_requests_and_answers_as_they_are() -> None:
    """Its conversation, without the opening, whose value is cut short."""
    lines = [line for line in PAGE.splitlines() if line[:2] in ("→ ", "← ")][2:]
    asked, answered = lines[::2], lines[1::2]

    assert len(asked) == len(answered) == 3
    for number, (question, line) in enumerate(zip(asked, answered, strict=True), start=1):
        said = json.loads(question[2:])
        invocation = Invocation(said["f"], said["value"], key=said["key"])
        answer = parsed(line[2:].encode(), number)
        assert request(number, invocation).decode() == f"{question[2:]}\n"
        assert completion(answer, invocation, "registers").type.value == answer["type"]
