"""What the benchmark measures, writes and refuses."""

import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dqlite.client.searching import ConnectorOptions
from dqlite.commands.benchmark.main import cli, judge
from dqlite.commands.benchmark.measuring import (
    Measurement,
    Track,
    Work,
    percentile,
    report,
    summarize,
)
from dqlite.commands.benchmark.workers import Draw, Worker, Workload, run_workers
from dqlite.dbapi.database import Database

BENCHMARK = (sys.executable, "-m", "dqlite.commands.benchmark")


def test_report_is_that_of_go_dqlite() -> None:
    track = Track(
        [Measurement(1700000000000000001, 1_500_000), Measurement(1700000000000000002, 12_000_034)],
        [(1700000000000000003, "database is locked (5)")],
    )

    assert report(track) == (
        "n 2\nn_err 1\navg [ms] 6.750017\nmax [ms] 12.000034\nmin [ms] 1.500000\n"
        "measurements [timestamp in ns] [ms]\n"
        "1700000000000000001 1.500000\n1700000000000000002 12.000034\n\n"
        "errors\n1700000000000000003 database is locked (5)\n\n"
    )


def test_report_of_nothing_but_errors_has_zeros() -> None:
    assert report(Track([], [(1, "x")])).startswith(
        "n 0\nn_err 1\navg [ms] 0.000000\nmax [ms] 0.000000\nmin [ms] 0.000000\n"
    )


def test_summary_puts_workers_together() -> None:
    tracks = [
        Track([Measurement(0, ms * 1_000_000) for ms in range(1, 51)]),
        Track([Measurement(0, ms * 1_000_000) for ms in range(51, 101)], [(0, "x")]),
    ]
    summary = summarize(Work.EXEC, tracks, elapsed_s=4.0)

    assert (summary.n, summary.errors, summary.per_second) == (100, 1, 25.0)
    assert (summary.least, summary.percentiles, summary.most) == (1.0, (50.0, 95.0, 99.0), 100.0)
    assert summary.mean == 50.5


@given(st.lists(st.integers(0, 1000), min_size=1).map(sorted), st.integers(1, 100))
def test_percentile_is_the_least_value_that_so_many_do_not_exceed(
    ordered: Sequence[int], rank: int
) -> None:
    found = percentile(ordered, rank)

    assert sum(each <= found for each in ordered) * 100 >= rank * len(ordered)
    assert sum(each < found for each in ordered) * 100 < rank * len(ordered)


def test_workload_reads_only_keys_that_were_written() -> None:
    draw = Draw(Workload(reads=0.5, key_bytes=4, value_bytes=9), random.Random(1))
    written = set()
    kinds = []
    for _ in range(200):
        statement = draw.next()
        kinds.append(statement.work)
        if statement.work is Work.QUERY:
            assert statement.parameters[0] in written
            continue
        key, value = statement.parameters
        assert (len(key), len(value)) == (4, 9)
        assert value[:5] == value[0] * 5
        if len(written) < 100:
            written.add(key)
            draw.succeeded(statement)

    assert 70 < kinds.count(Work.QUERY) < 130


@pytest.mark.cluster
def test_driver_measures_and_writes_results(
    library: None, tmp_path: Path, ports: Callable[[], str]
) -> None:
    address = ports()
    done = subprocess.run(
        [*BENCHMARK, "--db", address, "--driver", "--cluster", address, "--dir", str(tmp_path),
         "--duration", "1", "--workers", "2", "-w", "KvReadWrite", "--seed", "1", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    results = tmp_path / address / "results"
    files = sorted(path.name for path in results.iterdir())

    assert summary["results"] == str(results)
    assert summary["exec"]["n"] > 0
    assert summary["exec"]["p50_ms"] <= summary["exec"]["p99_ms"] <= summary["exec"]["max_ms"]
    assert [re.sub(r"\d+$", "T", name) for name in files if "exec" in name] == [
        "0-exec-T",
        "1-exec-T",
    ]
    counted = sum(
        int((results / name).read_text().split()[1]) for name in files if "-exec-" in name
    )
    assert counted == summary["exec"]["n"]


def test_worker_with_nothing_but_errors_is_reported(ports: Callable[[], str]) -> None:
    options = ConnectorOptions(retry_limit=0, dial_timeout_s=1)
    database = Database(ports(), "benchmark", connector=options)  # nobody is there
    stop = threading.Event()
    worker = Worker(database, Draw(Workload(0.0, 4, 4), random.Random(1)), stop)
    run_workers([worker], stop, lambda: stop.wait(0.2))

    assert worker.tracks[Work.EXEC].is_useless
    with pytest.raises(click.ClickException, match=r"^worker 0: each exec failed, \d+ of them"):
        judge([worker])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--driver"], "a driver needs --cluster"),
        (["-w", "kvdelete"], "'kvdelete' is not one of"),
        (["--workers", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_is_refused(
    tmp_path: Path, ports: Callable[[], str], words: Sequence[str], message: str
) -> None:
    done = CliRunner().invoke(cli, ["--db", ports(), "--dir", str(tmp_path), *words])

    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.cluster
def test_node_that_is_missing_is_named(
    library: None, tmp_path: Path, ports: Callable[[], str]
) -> None:
    address, missing = ports(), ports()
    words = ["--driver", "--cluster", f"{address},{missing}", "--cluster-timeout", "2"]
    done = CliRunner().invoke(cli, ["--db", address, "--dir", str(tmp_path), *words])

    assert done.exit_code == 1
    assert done.stderr.endswith(f"not in the cluster after 2.0 s: {missing}\n")
