"""The example of go-dqlite's README, typed as it stands there, on three demo nodes."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from dqlite.commands.demo.main import cli
from tests.dqlite.commands.test_metrics import parse

DEMO = (sys.executable, "-m", "dqlite.commands.demo")


class Demos:
    """Demo nodes in processes; node i has `api[i]` and `db[i]`."""

    def __init__(self, directory: Path, ports: Callable[[], str]) -> None:
        self.api = [ports() for _ in range(3)]
        self.db = [ports() for _ in range(3)]
        self.processes: list[subprocess.Popen[str]] = []
        self._directory = directory

    def start(self, index: int, *options: str) -> subprocess.Popen[str]:
        """Start a node; it is not waited for."""
        join = ["--join", self.db[0]] if index else []
        process = subprocess.Popen(
            [*DEMO, "--api", self.api[index], "--db", self.db[index], *join,
             "--dir", str(self._directory), "--network-latency", "20", *options],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def serving(self, index: int) -> None:
        """Wait until a node serves."""
        stream = self.processes[index].stderr
        assert stream is not None
        line = f"dqlite-demo: node {self.db[index]} serves http://{self.api[index]}\n"
        assert stream.readline() == line

    def get(self, index: int, path: str) -> str:
        with urlopen(f"http://{self.api[index]}/{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def put(self, index: int, path: str, value: bytes) -> str:
        request = Request(f"http://{self.api[index]}/{path}", data=value, method="PUT")
        with urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    def failing(self, index: int, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        """The status and the text of an answer that is an error."""
        with closing(http.client.HTTPConnection(self.api[index], timeout=20)) as connection:
            connection.request(method, f"/{path}", body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


@pytest.fixture
def demos(library: None, tmp_path: Path, ports: Callable[[], str]) -> Iterator[Demos]:
    demos = Demos(tmp_path, ports)
    yield demos
    demos.close()


def dqlite(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dqlite", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.cluster
def test_example_of_the_readme(demos: Demos) -> None:
    for index in range(3):
        demos.start(index, "--ops")
    for index in range(3):
        demos.serving(index)

    assert demos.put(0, "my-key", b"my-value") == "done"
    assert demos.get(0, "my-key") == "my-value"

    health = json.loads(demos.get(1, "health"))
    families = parse(demos.get(1, "metrics"))
    assert health["available"]
    assert demos.get(1, "leader") == f"{demos.db[0]}\n"
    assert {each["Address"] for each in json.loads(demos.get(1, "cluster"))} == set(demos.db)
    assert families["dqlite_cluster_has_leader"] == ("gauge", [("", {}, 1.0)])
    assert sum(value for _, _, value in families["dqlite_cluster_members"][1]) == 3

    demos.processes[0].terminate()  # kill -TERM %1; curl http://127.0.0.1:8002/my-key
    assert demos.get(1, "my-key") == "my-value"
    assert demos.processes[0].wait(timeout=20) == 0

    servers = ",".join(demos.db)
    assert dqlite("-s", servers, "demo", "SELECT * FROM model") == "my-key|my-value\n"
    assert dqlite("-s", servers, "demo", ".leader") in (f"{demos.db[1]}\n", f"{demos.db[2]}\n")


@pytest.mark.cluster
def test_loss_of_power_ends_a_node_cleanly(demos: Demos) -> None:
    process = demos.start(0)
    demos.serving(0)
    process.send_signal(signal.SIGPWR)

    assert process.wait(timeout=20) == 0


@pytest.mark.cluster
def test_answers_are_those_of_go_dqlite(demos: Demos) -> None:
    demos.start(0)
    demos.serving(0)

    assert demos.failing(0, "GET", "nothing") == (500, "sql: no rows in result set\n")
    assert demos.failing(0, "DELETE", "key") == (500, "unsupported method\n")
    assert demos.put(0, "health", b"a key without --ops") == "done"
    assert demos.get(0, "health") == "a key without --ops"
    assert demos.put(0, "/a%20b/c?query", "zwölf".encode()) == "done"
    assert demos.get(0, "a%20b/c") == "zwölf"
    assert demos.failing(0, "PUT", "key", b"\xff")[0] == 400
    assert demos.failing(0, "PUT", "key", b"a\0b")[0] == 500


@pytest.mark.cluster
def test_node_that_waits_for_its_cluster_can_be_stopped(
    demos: Demos, ports: Callable[[], str]
) -> None:
    demos.db[0] = ports()  # nobody is there
    process = demos.start(1)
    directory = demos._directory / demos.db[1]
    while not (directory / "info.yaml").exists():
        assert process.poll() is None
    process.terminate()

    assert process.wait(timeout=20) == 0


@pytest.mark.cluster
@pytest.mark.parametrize("options", [(), ("--verbose",)])
def test_search_for_the_cluster_is_logged_only_if_the_user_asks(
    demos: Demos, options: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(20)
        demos.db[0] = f"127.0.0.1:{nobody.getsockname()[1]}"
        process = demos.start(1, *options)
        for _ in range(10):  # more than one search takes: the first has failed then
            nobody.accept()[0].close()
    process.terminate()
    _, shown = process.communicate(timeout=20)

    assert process.returncode == 0
    assert ("no available dqlite leader server found" in shown) == bool(options)
    assert options or not shown


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--api", "127.0.0.1:1"], 2, "Missing option '-d'"),
        (["--api", "nonsense", "--db", "{db}"], 1, "cannot serve http://nonsense"),
        (["--api", "127.0.0.1:0", "--db", "{db}", "--voters", "2"], 2, "voters"),
        (["--api", "127.0.0.1:0", "--db", "{db}", "--cert", __file__], 2, "both --cert and --key"),
        (["--api", "127.0.0.1:0", "--db", "../up"], 2, "expected an address"),
    ],
)
def test_wrong_start_is_one_line(
    tmp_path: Path,
    library: None,
    ports: Callable[[], str],
    options: Sequence[str],
    status: int,
    message: str,
) -> None:
    words = [word.replace("{db}", ports()) for word in options]
    done = CliRunner().invoke(cli, ["--dir", str(tmp_path), *words])

    assert done.exit_code == status
    assert message in done.stderr.splitlines()[-1]
