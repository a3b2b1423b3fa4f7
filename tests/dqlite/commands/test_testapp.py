"""The application of the Jepsen test of dqlite: what it is sent, and three real nodes behind it."""

import http.client
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from dqlite import errors
from dqlite.app.roles import RolesConfig
from dqlite.commands.testapp import bodies
from dqlite.commands.testapp.bodies import Accounts, Append, Malformed, Read, Transfer
from dqlite.commands.testapp.main import cli
from dqlite.commands.testapp.service import text_of
from dqlite.commands.testapp.stability import complaints
from dqlite.wire.schema import Member, Metadata, Role

LIMIT_S = 60.0


def test_transaction_is_read_and_answered_as_clojure_prints_it() -> None:
    asked = bodies.parse_transaction("[[:r 1 nil] [:append 2 -3]]")
    done = list(zip(asked, [[4, 5], []], strict=True))

    assert asked == (Read(1), Append(2, -3))
    assert bodies.transaction(done) == "[[:r 1 [4 5]] [:append 2 -3]]"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[", "nil", "[[:r 1 nil]", "[[:r 1 nil]]x", "[[:r 1 nil],[:r 2 nil]]", "[[:r 1]]",
     "[[:r 1 2]]", "[[:append 1 nil]]", "[[:append 1]]", "[[:w 1 2]]", "[[:r x nil]]",
     "[[:append 1 99999999999999999999]]", "[[:append 1 2]] [[:append 1 2]]"],
)  # fmt: skip
def test_other_transactions_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        bodies.parse_transaction(text)


def test_bodies_of_the_bank() -> None:
    begun = "{:accounts [0 1 2], :max-transfer 10, :total-amount 7}"

    assert bodies.parse_accounts(begun) == Accounts((0, 1, 2), 2)
    assert bodies.parse_transfer("{:from 1, :to 2, :amount 5}") == Transfer(1, 2, 5)
    assert bodies.parse_transfer("{:amount 5, :to 2, :from 1}") == Transfer(1, 2, 5)
    assert bodies.balances([(0, 5), (1, -5)]) == "{0 5, 1 -5}"
    assert bodies.balances([]) == "{}"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (bodies.parse_accounts, "{:accounts [], :total-amount 0}"),
        (bodies.parse_accounts, "{:accounts 3, :total-amount 0}"),
        (bodies.parse_accounts, "{:accounts [1]}"),
        (bodies.parse_transfer, "{:from 1, :to 2}"),
        (bodies.parse_transfer, "{:from [1], :to 2, :amount 3}"),
        (bodies.parse_transfer, ""),
        (bodies.parse_number, "x"),
        (bodies.parse_number, "1 2"),
        (bodies.parse_number, ""),
    ],
)
def test_other_bodies_are_malformed(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.Busy("busy", 5), "database is locked"),
        (errors.TimedOut("late"), "context deadline exceeded"),
        (errors.ConnectionLost("end"), "driver: bad connection"),
        (errors.LeadershipLost("deposed", 10506), "driver: bad connection"),
        (errors.Indeterminate("disk I/O error", 10), "driver: bad connection"),
        (errors.ProtocolError("nonsense"), "driver: bad connection"),
        (errors.Closed("closed"), "sql: database is closed"),
        (errors.StatementError("no such table: map", 1), "no such table: map"),
        *(
            (
                error,
                "failed to create dqlite connection: no available dqlite leader server found",
            )
            for error in (
                errors.NoLeader("none"),
                errors.NotLeader("deposed", 10250),
                errors.Abandoned("before COMMIT"),
            )
        ),
    ],
)
def test_what_an_error_means_is_said_in_the_words_of_the_client(
    error: errors.Error, text: str
) -> None:
    assert text_of(error) == text


V, B, S = Role.VOTER, Role.STANDBY, Role.SPARE


@pytest.mark.parametrize(
    ("nodes", "offline", "all_online", "found"),
    [
        ({1: V, 2: V, 3: V}, (), True, []),
        ({1: V, 2: V, 3: V}, (3,), False, []),
        ({1: V, 2: V, 3: V}, (3,), True, ["cluster is not healthy"]),
        ({1: V, 2: V, 3: V, 4: S}, (), True, ["extra online spare"]),
        ({1: V, 2: V, 3: V, 4: S}, (4,), False, []),
        ({1: V, 2: V, 3: B, 4: B, 5: B, 6: B}, (), True, ["extra online standby"]),
        ({1: V, 2: V, 3: V, 4: B, 5: B, 6: B, 7: S}, (), True, []),
    ],
)
def test_roles_are_judged(
    nodes: Mapping[int, Role], offline: Sequence[int], all_online: bool, found: Sequence[str]
) -> None:
    state = {
        Member(node_id, f"n{node_id}:8081", role): None if node_id in offline else Metadata(0, 0)
        for node_id, role in nodes.items()
    }

    assert complaints(state, RolesConfig(), all_online=all_online) == found


class Nodes:
    """Three nodes, each at a loopback address of its own; node i has `names[i]`."""

    def __init__(self, directory: Path, port: int) -> None:
        self._network = f"127.{random.randrange(1, 255)}.{random.randrange(255)}"
        self.names = [f"{self._network}.{index}" for index in (1, 2, 3)]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self._directory = directory
        self._port = port

    def start(self, index: int) -> None:
        """Start a node; it is not waited for."""
        with self.log(index).open("ab") as stderr:
            self.processes[index] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dqlite.testapp", "-dir", self.data(index)),
                    *("-node", self.names[index], "-cluster", ",".join(self.names)),
                    *("-latency", "20", "-disk", "0", "--port", str(self._port)),
                ],
                stderr=stderr,
            )

    def data(self, index: int) -> Path:
        return self._directory / f"data-{index}"

    def log(self, index: int) -> Path:
        return self._directory / f"log-{index}"

    def ask(self, index: int, method: str, path: str, body: str = "") -> str:
        """Return the answer, whose status is 200 whatever it says."""
        host = self.names[index]
        with closing(http.client.HTTPConnection(host, self._port, timeout=20)) as connection:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
        assert answer.status == 200, text
        return text

    def until(self, wanted: str, index: int, method: str, path: str, body: str = "") -> None:
        """Ask until a node gives this answer."""
        text = ""
        deadline = time.monotonic() + LIMIT_S
        while text != wanted:
            assert time.monotonic() < deadline, f"{text!r}\n{self.log(index).read_text()}"
            assert self.processes[index].poll() is None, self.log(index).read_text()
            try:
                text = self.ask(index, method, path, body)
            except OSError as error:
                text = str(error)  # it does not listen yet
            if text != wanted:
                time.sleep(0.05)

    def kill(self, index: int) -> None:
        self.processes[index].kill()
        self.processes[index].wait()

    def close(self) -> None:
        for index in self.processes:
            self.kill(index)


@pytest.fixture
def nodes(library: None, tmp_path: Path, ports: Callable[[], str]) -> Iterator[Nodes]:
    with closing(Nodes(tmp_path, int(ports().rpartition(":")[2]))) as nodes:
        for index in range(3):
            nodes.start(index)
        for index in range(3):
            nodes.until("nil", index, "GET", "/ready")
        yield nodes


@pytest.mark.cluster
def test_each_request_is_answered(nodes: Nodes) -> None:
    first = nodes.ask(0, "POST", "/append", "[[:append 1 2] [:append 1 3] [:r 1 nil]]")
    second = nodes.ask(1, "POST", "/append", "[[:r 1 nil] [:r 9 nil]]")
    assert first == "[[:append 1 2] [:append 1 3] [:r 1 [2 3]]]"
    assert second == "[[:r 1 [2 3]] [:r 9 []]]"

    assert nodes.ask(2, "POST", "/set", "7") == "7"
    assert nodes.ask(0, "GET", "/set") == "[2 3 7]"  # the values of one table, as in the original

    assert nodes.ask(0, "GET", "/leader").strip('"') in nodes.names
    members = nodes.ask(1, "GET", "/members")
    assert sorted(members.strip("[]").split()) == [f'"{name}"' for name in nodes.names]
    assert nodes.ask(2, "GET", "/stable") == "nil"
    assert nodes.ask(2, "GET", "/health") == "nil"
    assert "for jepsen" not in nodes.log(2).read_text()

    for method, path, body in [
        ("GET", "/append", ""), ("POST", "/append", "[[:r 1]]"), ("PUT", "/bank", "{}"),
        ("POST", "/set", "seven"), ("GET", "/nothing", ""), ("PATCH", "/set", "1"),
    ]:  # fmt: skip
        assert nodes.ask(0, method, path, body) == "Error: bad request", path
    assert nodes.ask(0, "DELETE", "/members", "127.0.0.9") == "Error: no node named 127.0.0.9"
    assert nodes.ask(0, "DELETE", "/members", "no.such.invalid").startswith("Error: cannot resolve")


@pytest.mark.cluster
def test_bank_keeps_its_total(nodes: Nodes) -> None:
    begun = "{:accounts [0 1 2], :max-transfer 10, :total-amount 30}"
    assert [nodes.ask(index, "PUT", "/bank", begun) for index in range(3)] == ["nil"] * 3
    assert nodes.ask(1, "GET", "/bank") == "{0 10, 1 10, 2 10}"
    assert nodes.ask(2, "POST", "/bank", "{:from 0, :to 2, :amount 15}") == "nil"
    assert nodes.ask(0, "GET", "/bank") == "{0 -5, 1 10, 2 25}"


@pytest.mark.cluster
def test_the_others_go_on_without_a_killed_leader(nodes: Nodes) -> None:
    assert nodes.ask(0, "POST", "/set", "1") == "1"
    dead = nodes.names.index(nodes.ask(0, "GET", "/leader").strip('"'))
    alive = [index for index in range(3) if index != dead]
    nodes.kill(dead)
    nodes.until("2", alive[0], "POST", "/set", "2")  # fails until there is a leader
    assert nodes.ask(alive[1], "GET", "/set").startswith("[1 2")

    nodes.until("nil", alive[0], "GET", "/health")
    assert "for jepsen: cluster is not healthy" in nodes.log(alive[0]).read_text()

    nodes.kill(alive[1])
    wrong = nodes.ask(alive[0], "POST", "/append", "[[:append 1 5]]")
    assert wrong in (
        "Error: failed to create dqlite connection: no available dqlite leader server found",
        "Error: context deadline exceeded",
        "Error: driver: bad connection",
    )

    nodes.start(dead)
    nodes.start(alive[1])
    for index in range(3):
        nodes.until("nil", index, "GET", "/ready")
    assert nodes.ask(dead, "GET", "/set").startswith("[1 2")


@pytest.mark.cluster
def test_a_member_is_removed_and_comes_back(nodes: Nodes) -> None:
    assert nodes.ask(0, "DELETE", "/members", nodes.names[2]) == "nil"
    nodes.kill(2)
    assert nodes.ask(1, "GET", "/ready") == "Error: cluster has still only 2 nodes"
    for path in nodes.data(2).iterdir():
        path.unlink()
    (nodes.data(2) / "removed").touch()
    nodes.start(2)
    assert nodes.processes[2].wait(timeout=LIMIT_S) == 0

    (nodes.data(2) / "removed").unlink()
    (nodes.data(2) / "rejoin").touch()
    nodes.start(2)
    nodes.until("nil", 2, "GET", "/ready")


@pytest.mark.cluster
def test_signal_hands_the_leadership_over(nodes: Nodes) -> None:
    assert nodes.ask(0, "POST", "/set", "1") == "1"
    leader = nodes.names.index(nodes.ask(0, "GET", "/leader").strip('"'))
    nodes.processes[leader].send_signal(signal.SIGTERM)
    status = nodes.processes[leader].wait(timeout=LIMIT_S)

    assert status == 0
    assert nodes.ask((leader + 1) % 3, "GET", "/set") == "[1]"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-node", "n1"], 2, "Missing option '-cluster'"),
        (["-node", "n9", "-cluster", "n1,n2"], 2, "n9 is none of n1,n2"),
        (["-node", "no.such.invalid", "-cluster", "no.such.invalid"], 1, "Error: "),
        (["-node", "127.0.0.1", "-cluster", "127.0.0.1", "-latency", "0"], 2, "latency"),
    ],
)
def test_wrong_start_is_one_line(
    tmp_path: Path, library: None, options: Sequence[str], status: int, message: str
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    done = CliRunner().invoke(cli, ["-dir", str(tmp_path), *options])

    assert done.exit_code == status
    assert message in done.stderr.splitlines()[-1]
    assert resource.getrlimit(resource.RLIMIT_CORE) == limits  # of the tests' own process
