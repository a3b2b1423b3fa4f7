"""
One node of `dqlite-rundemo`: inserts rows while it leads, reports on standard output, and dies.

The demo starts `python -m dqlite.commands.rundemo.node`. A report is a line of JSON. The node ends
with status 0 when it dies as planned, without any clean-up, or when its standard input ends; with 1
when something happened that must not.

Source: dqlite v0.0.1, `cmd/dqlite/run-demo`.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from dqlite.app.app import App
from dqlite.client.blocking import BlockingClient
from dqlite.commands.rundemo.ledger import count_missing
from dqlite.errors import Abandoned, Error, NotApplied
from dqlite.node.options import NodeOptions, SnapshotParams

DATABASE = "rundemo"
INSERTS = 50
LATENCY_MS = 20
TIMEOUT_S = 5.0

_SNAPSHOTS = SnapshotParams(threshold=512, trailing=1024)
_LIFE_S = (5.0, 25.0)
_INSERT_PAUSE_S = (0.010, 0.025)
_ROUND_PAUSE_S = (0.25, 0.5)
_RETRY_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Commit:
    """An acknowledged transaction: its first number, its rows, and how many it found missing."""

    first: int
    rows: int
    missing: int


def run_round(
    client: BlockingClient,
    pause: Callable[[], object],
    *,
    inserts: int = INSERTS,
    is_broken: bool = False,
) -> Commit:
    """
    Append rows in one transaction, which reads first what is there.

    Args:
        pause: Called before each insert.
        is_broken: Leave out the row in the middle but report it: a mistake that must be noticed.

    Raises:
        NotApplied: Nothing was inserted.
        Indeterminate: Perhaps all was: COMMIT was sent, and its answer tells nothing or is lost.
    """
    try:
        client.exec_sql("BEGIN")
        client.exec_sql("CREATE TABLE IF NOT EXISTS test (n INT)")
        numbers = read_numbers(client)
        first = len(numbers)
        for number in range(first, first + inserts):
            pause()
            if not (is_broken and number == first + inserts // 2):
                client.exec_sql("INSERT INTO test(n) VALUES(?)", (number,))
    except NotApplied:
        raise
    except Error as error:
        raise Abandoned(f"before COMMIT: {error}") from error
    client.exec_sql("COMMIT")
    return Commit(first, inserts, count_missing(numbers))


def read_numbers(client: BlockingClient) -> list[object]:
    """Return the numbers in the table, in the order of its rows."""
    return [number for (number,) in client.query_sql("SELECT n FROM test ORDER BY rowid").rows]


def _insert(app: App, rng: random.Random, *, is_broken: bool) -> None:
    """Insert for ever, while this node leads; raise what must not happen."""
    while True:
        try:
            with app.client(TIMEOUT_S) as client:
                leader = client.leader()
                if leader is None or leader.address != app.address:
                    time.sleep(_RETRY_PAUSE_S)
                    continue
                client.open(DATABASE)
                done = run_round(
                    client, lambda: time.sleep(rng.uniform(*_INSERT_PAUSE_S)), is_broken=is_broken
                )
            _report("commit", **asdict(done))
            time.sleep(rng.uniform(*_ROUND_PAUSE_S))
        except Error as error:
            if not (error.retryable or error.ambiguous):
                raise
            _report("unknown" if error.ambiguous else "retry", reason=str(error))
            time.sleep(_RETRY_PAUSE_S)


def _report(event: str, **details: Any) -> None:
    """Write one line at once: a reader gets it whole, or not at all."""
    os.write(1, f"{json.dumps({'event': event, **details})}\n".encode())


def _die() -> None:
    _report("death")
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


@click.command()
@click.option("--address", required=True)
@click.option("--join", default="")
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path))
@click.option("--seed", required=True, help="Of the pauses, and of the time of death.")
@click.option("--calm", is_flag=True, help="Neither insert nor die.")
@click.option("--broken", is_flag=True, help="Leave out a row of each transaction.")
def node(address: str, join: str, directory: Path, seed: str, calm: bool, broken: bool) -> None:
    """Run one node of dqlite-rundemo."""
    rng = random.Random(seed)
    life_s = rng.uniform(*_LIFE_S)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    directory.mkdir(parents=True, exist_ok=True)
    options = NodeOptions(network_latency_ms=LATENCY_MS, snapshot_params=_SNAPSHOTS)
    cluster = [join] if join else []
    with App(directory, address=address, cluster=cluster, node_options=options) as app:
        _report("start")
        if calm:
            threading.Event().wait()
        death = threading.Timer(life_s, _die)
        death.daemon = True
        death.start()
        app.ready()
        _insert(app, rng, is_broken=broken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a node; an error is one line on standard error and status 1."""
    try:
        node.main(args=arguments, standalone_mode=False)
    except Error as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # the node need not stop cleanly, and its threads need not end


if __name__ == "__main__":
    main()
