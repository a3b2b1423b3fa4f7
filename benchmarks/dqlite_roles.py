"""
Seven real nodes that stop, die and come back, at random: do the roles follow, is a row ever lost?

    python benchmarks/dqlite_roles.py --time 120 --seed 1

Each node is a process with a `dqlite.App`. Every step stops one or two of them, by SIGTERM (which
hands over first) or by SIGKILL, waits until the nodes that are up have three voters and as many
stand-bys as there can be, starts them again, and waits until seven nodes have 3 voters, 3 stand-bys
and 1 spare. Never two voters are killed at once: the others would be no quorum. A client inserts
rows all the time; at the end every acknowledged row must be there.

Exit status: 0 if all steps settled and no row is missing, else 1.

Source: go-dqlite 3.0.4, `test/roles.sh`.
"""

import argparse
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from dqlite import (
    App,
    BlockingConnector,
    ConnectorOptions,
    DqliteError,
    MemoryStore,
    NodeOptions,
    Role,
)

NODES = range(1, 8)
PATIENCE_S = 60.0
LATENCY_MS = 20
INTERVAL_S = 0.5


class Cluster:
    """The processes, and what their leader says of them."""

    def __init__(self, directory: Path, net: str) -> None:
        self._directory = directory
        self._net = net
        self._processes: dict[int, subprocess.Popen[str]] = {}
        addresses = [self.address(number) for number in NODES]
        options = ConnectorOptions(dial_timeout_s=1, request_timeout_s=2)
        self.connector = BlockingConnector(MemoryStore.of(addresses), options)

    def address(self, number: int) -> str:
        return f"{self._net}.{number}:9001"

    def start(self, number: int) -> None:
        """Start a node, and wait until it is ready."""
        path = self._directory / str(number)
        path.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, __file__, "--node", str(number), str(path), self._net],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes[number] = process
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"node {number} did not become ready")

    def stop(self, numbers: list[int], how: signal.Signals) -> None:
        """Signal some nodes at once, and wait for their ends."""
        for number in numbers:
            self._processes[number].send_signal(how)
        for number in numbers:
            process = self._processes.pop(number)
            status = process.wait(PATIENCE_S)
            if how is signal.SIGTERM and status:
                print(f"node {number} ended with status {status} after SIGTERM", flush=True)

    def roles(self) -> dict[int, Role]:
        with self.connector.connect(timeout_s=PATIENCE_S) as client:
            members = client.cluster()
        return {int(m.address.partition(":")[0].rpartition(".")[2]): m.role for m in members}

    def settle(self) -> float:
        """Wait until the roles are as they should be; return for how many seconds."""
        began = time.monotonic()
        roles: dict[int, Role] = {}
        while time.monotonic() - began < PATIENCE_S:
            try:
                roles = self.roles()
            except DqliteError:
                continue
            if self._is_settled(roles):
                return time.monotonic() - began
            time.sleep(0.05)
        raise SystemExit(f"not settled after {PATIENCE_S} s: {roles}, up: {list(self._processes)}")

    def _is_settled(self, roles: dict[int, Role]) -> bool:
        up = [roles.get(number) for number in self._processes]
        down = [role for number, role in roles.items() if number not in self._processes]
        wanted = (3, min(3, len(up) - 3))
        return (up.count(Role.VOTER), up.count(Role.STANDBY)) == wanted and Role.VOTER not in down

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


class Writer:
    """Inserts numbers through whoever leads, each once, and remembers which were acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self.acknowledged: list[int] = []
        self.attempts = 0
        self._connector = cluster.connector
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()

    def missing(self) -> int:
        """How many acknowledged rows are not there."""
        with self._connector.connect(timeout_s=PATIENCE_S) as client:
            client.open("roles")
            rows = {row[0] for row in client.query_sql("SELECT n FROM t").rows}
        return len(set(self.acknowledged) - rows)

    def _write(self) -> None:
        while not self._is_over.is_set():
            try:
                with self._connector.connect(timeout_s=1) as client:
                    client.open("roles")
                    client.exec_sql("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
                    while not self._is_over.wait(0.005):
                        self.attempts += 1
                        client.exec_sql("INSERT INTO t VALUES (?)", [self.attempts])
                        self.acknowledged.append(self.attempts)
            except DqliteError:
                continue


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--time", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--node", nargs=3, metavar=("NUMBER", "DIR", "NET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.node:
        return run_node(*arguments.node)

    rng = random.Random(arguments.seed)
    directory = Path(tempfile.mkdtemp(prefix="dqlite-roles-"))
    cluster = Cluster(directory, f"127.{random.SystemRandom().randint(2, 250)}.77")
    times: dict[str, list[float]] = defaultdict(list)
    try:
        for number in NODES:
            cluster.start(number)
        times["join"].append(cluster.settle())
        writer = Writer(cluster)
        end = time.monotonic() + arguments.time
        try:
            while time.monotonic() < end:
                take_step(cluster, rng, times)
        finally:
            writer.close()
        missing = writer.missing()
    finally:
        cluster.close()
        shutil.rmtree(directory)
    print_report(times)
    print(f"rows: {writer.attempts} tried, {len(writer.acknowledged)} acknowledged, "
          f"{missing} missing")  # fmt: skip
    return 1 if missing else 0


def take_step(cluster: Cluster, rng: random.Random, times: dict[str, list[float]]) -> None:
    """Stop one node or two, and start them again."""
    how = rng.choice((signal.SIGTERM, signal.SIGKILL))
    roles = cluster.roles()
    victims = rng.sample(list(NODES), rng.choice((1, 1, 2)))
    if how is signal.SIGKILL and all(roles[victim] is Role.VOTER for victim in victims[:2]):
        victims = victims[:1]
    names = "+".join(sorted(roles[victim].name.lower() for victim in victims))
    began = time.monotonic()
    cluster.stop(victims, how)
    stopped = time.monotonic()
    times[f"{how.name} {names}: ended"].append(stopped - began)
    times[f"{how.name} {names}: settled"].append(cluster.settle())
    began = time.monotonic()
    for victim in victims:
        cluster.start(victim)
        times["back: ready"].append(time.monotonic() - began)
    times["back: settled"].append(cluster.settle())


def print_report(times: dict[str, list[float]]) -> None:
    print(f"{'event':32} {'times':>5} {'median s':>9} {'max s':>7}")
    for event, seconds in sorted(times.items()):
        print(f"{event:32} {len(seconds):5} {statistics.median(seconds):9.2f} {max(seconds):7.2f}")


def run_node(number: str, directory: str, net: str) -> int:
    """Be one node until SIGTERM; hand over then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    app = App(
        directory,
        address=f"{net}.{number}:9001",
        cluster=() if number == "1" else [f"{net}.{each}:9001" for each in NODES],
        roles_interval_s=INTERVAL_S,
        node_options=NodeOptions(network_latency_ms=LATENCY_MS),
    )
    with app:
        app.ready(PATIENCE_S)
        print("ready", flush=True)
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
        try:
            app.handover(10)
        except DqliteError as error:
            print(f"node {number}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
