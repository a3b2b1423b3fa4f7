"""
The program `dqlite-rundemo`: three nodes insert rows and die at random; nothing may be missing.

Each node is a process that ends itself after 5 to 25 s without any clean-up, and is started again.
In the end all of them are killed and started once more, and the table is read with a quorum. What
was acknowledged has to be there: see `ledger`.

Exit status: 0 when nothing is missing, 1 when something is, when nothing was inserted, or when a
node failed, 2 for wrong usage.

Source: dqlite v0.0.1, `run-demo`.
"""

import contextlib
import json
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.stores import MemoryStore
from dqlite.commands import signals
from dqlite.commands.formats import printable
from dqlite.commands.rundemo.ledger import Ledger
from dqlite.commands.rundemo.node import DATABASE, read_numbers
from dqlite.commands.servers import plain_errors, sturdy_streams
from dqlite.errors import Error

NODES = 3

START_TIMEOUT_S = 60.0
FINAL_TIMEOUT_S = 60.0
_TICK_S = 0.1


@dataclass(slots=True)
class Node:
    """A node of the demo, and its present process, whose reports `reader` passes on."""

    index: int
    address: str
    directory: Path
    join: str
    incarnation: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    reader: threading.Thread | None = None


class Cluster:
    """
    Three nodes in processes of their own.

    Attributes:
        reports: Of the nodes, in the order of their coming; None is the end of a process.
    """

    def __init__(self, directory: Path, port: int, seed: int, *, is_broken: bool) -> None:
        addresses = [f"127.0.0.1:{port + index}" for index in range(NODES)]
        self.nodes = [
            Node(index, address, directory / str(index), addresses[0] if index else "")
            for index, address in enumerate(addresses)
        ]
        self.reports: queue.SimpleQueue[tuple[Node, dict[str, Any] | None]] = queue.SimpleQueue()
        self._seed = seed
        self._is_broken = is_broken

    def start(self, node: Node, *, is_calm: bool = False) -> None:
        """Start the next incarnation of a node; a calm one neither inserts nor dies."""
        node.incarnation += 1
        flags = [*["--calm"] * is_calm, *["--broken"] * self._is_broken]
        node.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dqlite.commands.rundemo.node"),
                *("--address", node.address, "--join", node.join, "--dir", str(node.directory)),
                *("--seed", f"{self._seed}-{node.index}-{node.incarnation}", *flags),
            ],
            stdin=subprocess.PIPE,  # its end tells the node that nobody wants it any more
            stdout=subprocess.PIPE,
        )
        node.reader = threading.Thread(target=self._read, args=(node, node.process), daemon=True)
        node.reader.start()

    def kill(self, node: Node) -> int | None:
        """Kill a node if it runs, and wait until it is gone; return how its process ended."""
        if node.process is None or node.reader is None:
            return None
        node.process.kill()
        status = node.process.wait()
        node.reader.join()
        for stream in (node.process.stdin, node.process.stdout):
            if stream is not None:
                stream.close()
        node.process = node.reader = None
        return status

    def _read(self, node: Node, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.reports.put((node, json.loads(line)))
        process.wait()
        self.reports.put((node, None))


class Demo:
    """Runs the cluster, and keeps the books."""

    def __init__(self, cluster: Cluster, *, is_verbose: bool) -> None:
        self.ledger = Ledger()
        self.deaths = 0
        self.unknown = 0
        self._cluster = cluster
        self._is_verbose = is_verbose
        self._begun = time.monotonic()
        self._first_commit: float | None = None

    def run(self, duration_s: float | None) -> None:
        """
        Let the nodes insert and die for so long, None for ever, or until a signal.

        Args:
            duration_s: From the first transaction that is acknowledged.

        Raises:
            click.ClickException: If a node ends in another way than by its planned death, or none
                inserts anything in time.
        """
        for node in self._cluster.nodes:
            self._cluster.start(node)
        while not self._is_over(duration_s):
            with contextlib.suppress(queue.Empty):
                self._take(*self._cluster.reports.get(timeout=_TICK_S))
            if signals.wait(0):
                self._say("a signal: the end comes early")
                break
        for node in self._cluster.nodes:
            self._cluster.kill(node)
        while not self._cluster.reports.empty():  # commits that were reported before the kill
            node, report = self._cluster.reports.get()
            if report is not None:
                self._take(node, report)

    def missing(self) -> int:
        """Start all nodes once more, and return how many acknowledged rows are missing."""
        for node in self._cluster.nodes:
            self._cluster.start(node, is_calm=True)
        store = MemoryStore.of([node.address for node in self._cluster.nodes])
        return self.ledger.missing(_read_with_quorum(BlockingConnector(store)))

    def _is_over(self, duration_s: float | None) -> bool:
        now = time.monotonic()
        if self._first_commit is None:
            if now > self._begun + START_TIMEOUT_S:
                raise click.ClickException(f"nothing was inserted in {START_TIMEOUT_S:.0f} s")
            return False
        return duration_s is not None and now > self._first_commit + duration_s

    def _take(self, node: Node, report: dict[str, Any] | None) -> None:
        if report is None:
            self._ended(node)
            return
        match report.pop("event"):
            case "commit":
                self.ledger.committed(**report)
                self._first_commit = self._first_commit or time.monotonic()
                self._say(
                    f"node {node.index + 1}: {report['rows']} rows inserted, "
                    f"{report['missing']} values missing"
                )
            case "death":
                self.deaths += 1
                self._say(f"node {node.index + 1}: dies")
            case "unknown":
                self.unknown += 1
                self._say(f"node {node.index + 1}: outcome unknown: {report['reason']}")
            case event if self._is_verbose:
                self._say(f"node {node.index + 1}: {event} {report.get('reason', '')}".rstrip())

    def _ended(self, node: Node) -> None:
        status = self._cluster.kill(node)
        if status:
            raise click.ClickException(
                f"node {node.index + 1} ended with status {status}, its directory: {node.directory}"
            )
        self._cluster.start(node)

    def _say(self, text: str) -> None:
        click.echo(f"{time.monotonic() - self._begun:7.1f} s  {printable(text)}")


def _read_with_quorum(connector: BlockingConnector) -> list[object]:
    """Read the table in a transaction that also writes, so a majority confirms what it read."""
    deadline = time.monotonic() + FINAL_TIMEOUT_S
    while True:
        try:
            with connector.connect(timeout_s=FINAL_TIMEOUT_S) as client:
                client.open(DATABASE)
                client.exec_sql("CREATE TABLE IF NOT EXISTS test (n INT)")
                client.exec_sql("BEGIN IMMEDIATE")
                numbers = read_numbers(client)
                client.exec_sql("INSERT INTO test(n) VALUES(?)", (len(numbers),))
                client.exec_sql("COMMIT")
                return numbers
        except Error as error:
            if time.monotonic() > deadline or not (error.retryable or error.ambiguous):
                raise
            time.sleep(_TICK_S)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--time",
    "duration_s",
    default=60.0,
    show_default=True,
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="How long nodes insert and die, from the first transaction on.",
)
@click.option("--forever", is_flag=True, help="Until a signal comes.")
@click.option("--seed", type=int, help="Of pauses and deaths; drawn and printed if not given.")
@click.option(
    "--port",
    default=9980,
    show_default=True,
    type=click.IntRange(1, 65535 - NODES),
    help="Of the first node; the others have the next ones.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="For the data; new or empty. Kept. Default: a temporary one, kept on failure.",
)
@click.option("--debug", is_flag=True, help="Show what nodes try again, too.")
@click.option(
    "--broken", is_flag=True, help="Leave out a row of each transaction, to see that it is noticed."
)
def cli(
    duration_s: float,
    forever: bool,
    seed: int | None,
    port: int,
    directory: Path | None,
    debug: bool,
    broken: bool,
) -> None:
    """
    Run three nodes that insert rows and die at random; count what is missing in the end.

    Each transaction appends 50 rows, and each node ends itself after 5 to 25 s, without any
    clean-up. The exit status is 0 only if rows were inserted and none is missing.

    \b
    Examples:
      dqlite-rundemo --time 600
      dqlite-rundemo --time 20 --seed 7 --broken
    """
    seed = secrets.randbits(32) if seed is None else seed
    with plain_errors(), _directory(directory) as place, signals.blocked_signals():
        click.echo(f"seed {seed}, data in {place}")
        cluster = Cluster(place, port, seed, is_broken=broken)
        demo = Demo(cluster, is_verbose=debug)
        try:
            demo.run(None if forever else duration_s)
            missing = demo.missing()
        finally:
            for node in cluster.nodes:
                cluster.kill(node)
        conclude(demo, missing)


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """A directory for the data; a temporary one goes when all went well."""
    if given is None:
        place = Path(tempfile.mkdtemp(prefix="dqlite-rundemo-"))
        yield place
        shutil.rmtree(place)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise click.UsageError(f"{given} is not empty")
    yield given


def conclude(demo: Demo, missing: int) -> None:
    """Print the sums; raise unless they are good."""
    ledger = demo.ledger
    click.echo(
        f"{ledger.rows} rows acknowledged in {len(ledger.acknowledged)} transactions, "
        f"{demo.deaths} deaths, {demo.unknown} outcomes unknown: {missing} missing"
    )
    if missing:
        raise click.ClickException(f"{missing} values are missing")
    if not ledger.rows:
        raise click.ClickException("nothing was inserted, so nothing could be missing")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its status."""
    sturdy_streams()
    cli.main(args=arguments, prog_name="dqlite-rundemo")
