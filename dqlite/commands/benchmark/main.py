"""
The program `dqlite-benchmark`: a node of a cluster, one of which drives the workload.

Exit status: 0, 1 after an error or when a worker had nothing but errors, 2 for wrong usage.

Source: go-dqlite 3.0.4, `cmd/dqlite-benchmark`.
"""

import contextlib
import json
import logging
import random
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import click

from dqlite.app.app import App
from dqlite.client.blocking import BlockingClient
from dqlite.commands import signals
from dqlite.commands.benchmark.measuring import PERCENTILES, Summary, Work, report, summarize
from dqlite.commands.benchmark.workers import (
    SCHEMA,
    SHARES_OF_READS,
    Draw,
    Worker,
    Workload,
    run_workers,
)
from dqlite.commands.formats import Format, format_rows
from dqlite.commands.nodes import app_options, log_to_stderr
from dqlite.commands.servers import plain_errors, sturdy_streams
from dqlite.dbapi.database import Database
from dqlite.errors import Error

_ONLINE_TIMEOUT_S = 2.0
_PAUSE_S = 0.1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--driver", is_flag=True, help="Run the workload from this node; on one node.")
@click.option(
    "-c",
    "--cluster",
    multiple=True,
    metavar="ADDRESSES",
    help="All nodes that take part; the driver waits for them.",
)
@click.option(
    "--cluster-timeout",
    "cluster_timeout_s",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="How long.",
)
@click.option(
    "-w",
    "--workload",
    "workload_name",
    default="kvwrite",
    show_default=True,
    type=click.Choice(list(SHARES_OF_READS), case_sensitive=False),
    help="Writes only, or as many reads as writes.",
)
@click.option(
    "--duration",
    "duration_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Of the workload.",
)
@click.option(
    "--workers",
    "worker_count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 500),
    metavar="N",
    help="Threads that run it.",
)
@click.option(
    "--key-size", default=32, show_default=True, type=click.IntRange(1, 1 << 20), metavar="BYTES"
)
@click.option(
    "--value-size",
    default=1024,
    show_default=True,
    type=click.IntRange(0, 1 << 24),
    metavar="BYTES",
)
@click.option("--seed", type=int, help="Of keys and values; drawn and printed if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@app_options("/tmp/dqlite-benchmark")
def cli(
    app: App,
    directory: Path,
    driver: bool,
    cluster: Sequence[str],
    cluster_timeout_s: float,
    workload_name: str,
    duration_s: float,
    worker_count: int,
    key_size: int,
    value_size: int,
    seed: int | None,
    as_json: bool,
) -> None:
    """
    Measure how fast a cluster writes and reads single rows.

    Each node runs this program; the one with --driver runs the workload. Its results, a file for
    each worker and kind of statement, stand in DIR/<address>/results. A signal ends the workload
    early; what was measured counts.

    \b
    Examples:
      dqlite-benchmark --db 127.0.0.1:9001 --driver --cluster 127.0.0.1:9001
    \b
      dqlite-benchmark --db 127.0.0.1:9002 --join 127.0.0.1:9001 &
      dqlite-benchmark --db 127.0.0.1:9003 --join 127.0.0.1:9001 &
      dqlite-benchmark --db 127.0.0.1:9001 --driver --workers 16 -w kvreadwrite \\
        --cluster 127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9003
    """
    addresses = [each for some in cluster for each in some.split(",") if each]
    if driver and not addresses:
        raise click.UsageError("a driver needs --cluster: the addresses to wait for")
    log_to_stderr(logging.ERROR)
    with plain_errors(), signals.blocked_signals(), contextlib.ExitStack() as undo:
        undo.callback(app.close)
        app.start()
        try:
            signals.unless_signalled(lambda: app.ready(cluster_timeout_s))
            if not driver:
                click.echo("Benchmark client ready. Send signal to abort or when done.")
                signals.wait()
                return
            database = signals.unless_signalled(lambda: _open(app, addresses, cluster_timeout_s))
        except signals.Signalled:
            return
        seed = secrets.randbits(32) if seed is None else seed
        workload = Workload(SHARES_OF_READS[workload_name.lower()], key_size, value_size)
        workers, elapsed_s = _run(database, workload, worker_count, seed, duration_s)
        results = _write(workers, directory / "results")
        summaries = [
            summarize(work, (worker.tracks[work] for worker in workers), elapsed_s=elapsed_s)
            for work in Work
        ]
        if as_json:
            click.echo(_json(summaries, workload_name, worker_count, seed, elapsed_s, results))
        else:
            _show(summaries, elapsed_s, results)
        judge(workers)


def _open(app: App, addresses: Sequence[str], timeout_s: float) -> Database:
    """Wait until all nodes take part, and make the table."""
    deadline = time.monotonic() + timeout_s
    while missing := _missing(app, addresses):
        if time.monotonic() > deadline:
            listed = ", ".join(missing)
            raise click.ClickException(f"not in the cluster after {timeout_s} s: {listed}")
        time.sleep(_PAUSE_S)
    app.open("benchmark")  # waits for a leader
    database = Database(app.store, "benchmark", connector=app.connector_options, autocommit=True)
    with contextlib.closing(database.connect()) as connection:
        connection.execute(SCHEMA)
    return database


def _missing(app: App, addresses: Sequence[str]) -> list[str]:
    """The addresses that are no members, or do not answer."""
    try:
        with app.client() as client:
            members = {member.address for member in client.cluster()}
    except Error:
        return list(addresses)
    return [each for each in addresses if each not in members or not _is_online(each)]


def _is_online(address: str) -> bool:
    try:
        BlockingClient.connect(address, timeout_s=_ONLINE_TIMEOUT_S).close()
    except Error:
        return False
    return True


def _run(
    database: Database, workload: Workload, count: int, seed: int, duration_s: float
) -> tuple[list[Worker], float]:
    """Run the workload; the workers that did, and the seconds that it took."""
    stop = threading.Event()
    workers = [
        Worker(database, Draw(workload, random.Random(f"{seed}-{index}")), stop)
        for index in range(count)
    ]
    return workers, run_workers(workers, stop, lambda: signals.wait(duration_s))


def _write(workers: Sequence[Worker], directory: Path) -> Path:
    """Write a file for each worker and kind of statement that it tried, as go-dqlite does."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    now_s = int(time.time())
    for index, worker in enumerate(workers):
        for work, track in worker.tracks.items():
            if track.measurements or track.errors:
                path = directory / f"{index}-{work.value}-{now_s}"
                path.write_text(report(track), encoding="utf-8")
    return directory


def _json(
    summaries: Sequence[Summary], workload: str, workers: int, seed: int, elapsed_s: float,
    directory: Path,
) -> str:  # fmt: skip
    return json.dumps(
        {
            "workload": workload,
            "workers": workers,
            "seed": seed,
            "duration_s": round(elapsed_s, 3),
            "results": str(directory),
            **{each.work.value: each.json() for each in summaries},
        }
    )


def _show(summaries: Sequence[Summary], elapsed_s: float, directory: Path) -> None:
    columns = ("", "n", "errors", "ops/s", "mean ms", "min",
               *(f"p{rank}" for rank in PERCENTILES), "max")  # fmt: skip
    rows = [
        (each.work.value, each.n, each.errors, round(each.per_second, 1), each.mean, each.least,
         *each.percentiles, each.most)
        for each in summaries
        if each.n or each.errors
    ]  # fmt: skip
    for line in format_rows(Format.TABLE, columns, rows):
        click.echo(line)
    click.echo(f"Benchmark done after {elapsed_s:.1f} s. Results available here:\n{directory}")


def judge(workers: Sequence[Worker]) -> None:
    """Raise when a worker has nothing but errors: its numbers would be missing in the sums."""
    for index, worker in enumerate(workers):
        for work, track in worker.tracks.items():
            if track.is_useless:
                raise click.ClickException(
                    f"worker {index}: each {work.value} failed, {len(track.errors)} of them; "
                    f"the first: {track.errors[0][1]}"
                )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program, and exit with its status."""
    sturdy_streams()
    cli.main(args=arguments, prog_name="dqlite-benchmark")
