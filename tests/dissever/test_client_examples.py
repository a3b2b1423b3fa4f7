"""The clients of examples/clients: programs in shell and in Go, against a real etcd."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dissever.harness.client import Invocation, NotApplied
from dissever.harness.generator import limit, then_with_keys
from dissever.harness.history import Type
from dissever.harness.plan import Options
from dissever.harness.results import Budget, Verdict
from dissever.systems import load
from dissever.systems.clients.answers import completion, parsed, request
from dissever.workloads import WORKLOADS
from tests.workloads.memory import history_of

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
    part = PAGE.partition("### Transactions")[0]
    lines = [line for line in part.splitlines() if line[:2] in ("→ ", "← ")][2:]
    asked, answered = lines[::2], lines[1::2]

    assert len(asked) == len(answered) == 3
    for number, (question, line) in enumerate(zip(asked, answered, strict=True), start=1):
        said = json.loads(question[2:])
        invocation = Invocation(said["f"], said["value"], key=said["key"])
        answer = parsed(line[2:].encode(), number)
        assert request(number, invocation).decode() == f"{question[2:]}\n"
        assert completion(answer, invocation, "registers").type.value == answer["type"]


def test_transactions_of_the_page_are_asked_and_answered_so() -> None:
    section = PAGE.partition("### Transactions")[2]
    asked = [json.loads(line[2:]) for line in section.splitlines() if line.startswith("→ ")]
    answers = [line[2:] for line in section.splitlines() if line.startswith("← ")]
    invocations = [Invocation(each["f"], each["value"]) for each in asked]

    for each, invocation in zip(asked, invocations, strict=True):
        assert json.loads(request(each["id"], invocation)) == each
    ends = [
        completion(parsed(line.encode(), each["id"]), invocation, "transactions")
        for line, each, invocation in zip(answers, asked, invocations, strict=True)
    ]
    assert [end.type for end in ends] == [Type.OK, Type.FAIL]


@pytest.mark.parametrize("workload", ["append", "wr", "bank"])
def test_python_client_of_the_page_serves_transactions(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sqlite3 as the driver."""
    file = tmp_path / "database"
    driver = ModuleType("driver")

    class Connection(sqlite3.Connection):
        """A read begins a transaction, too, as PEP 249 has it."""

        def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
            cursor = super().cursor()
            cursor.execute("BEGIN IMMEDIATE")
            return cursor

    def connect(host: str, port: int) -> sqlite3.Connection:
        assert (host, port) == ("127.0.0.1", 4711)
        return sqlite3.connect(file, timeout=0, isolation_level=None, factory=Connection)

    driver.__dict__.update(OperationalError=sqlite3.OperationalError, connect=connect)
    monkeypatch.setitem(sys.modules, "driver", driver)
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE register (id INTEGER PRIMARY KEY, value INTEGER)")
        database.execute("CREATE TABLE list (id INTEGER, position INTEGER, value INTEGER)")
    source = PAGE.partition("### Transactions")[2].partition("```python")[2].partition("```")[0]
    named: dict[str, Any] = {}
    exec(source, named)

    class Client:
        """What stands between a class and a workload, without threads and forwarders."""

        def __init__(self) -> None:
            self.made = named["SqlClient"](SimpleNamespace(host="127.0.0.1", port=4711))

        def __getattr__(self, name: str) -> Any:
            if not hasattr(self.made, name):
                raise AttributeError(name)

            async def call(*arguments: Any) -> Any:
                await asyncio.sleep(0.001)
                try:
                    return getattr(self.made, name)(*arguments)
                except self.made.not_applied as error:
                    raise NotApplied(str(error)) from error

            return call

    run = Options(system="page", workload=workload, workload_options={"blind-writes": "no"})
    each = WORKLOADS[workload]
    work = then_with_keys(
        limit(300, each.operations(run)), lambda keys: each.final(run, keys), each.keys
    )
    history = history_of(work, lambda: each.client(Client()))
    results = [check(history, Budget()) for check in each.checkers(run).values()]

    assert [result.verdict for result in results] == [Verdict.VALID], results
