"""The program that runs one node."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.cluster
def test_ready_line_says_what_runs_and_sigterm_stops_it(program: Any) -> None:
    ready = json.loads(program.start(1, "--snapshot-threshold", "128"))

    assert ready["event"] == "ready"
    assert ready["address"] == program.addresses[1]
    assert len(ready["library"]["sha256"]) == 64
    assert ("auto_recovery" in ready["capabilities"]) == (ready["auto_recovery"] is False)
    assert program.terminate(1) == 0


@pytest.mark.cluster
def test_every_option_is_taken_or_its_function_is_named(program: Any) -> None:
    old = ("--bind-address", "127.0.0.1", "--snapshot-strategy", "static", "--failure-domain", "7")
    ready = json.loads(program.start(1, *old))
    assert ready["bind_address"] == "127.0.0.1"

    new = ("--block-size", "512", "--pool-threads", "2", "--no-snapshot-compression")
    roles = ("--target-voters", "3", "--target-standbys", "1", "--snapshot-strategy", "dynamic")
    has = bool(program.start(2, *new, *roles, "--busy-timeout-ms", "10"))
    assert has == ("busy_timeout" in ready["capabilities"])


@pytest.mark.cluster
def test_node_starts_again_on_what_a_kill_left(program: Any) -> None:
    program.start(1)
    program.kill(1)

    assert json.loads(program.start(1))["event"] == "ready"


@pytest.mark.cluster
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    "options",
    [
        ("--data-dir", "/dev/null/x"),
        ("--network-latency-ms", "0"),
        ("--address", "not-an-address.invalid:1"),
        ("--id", "0"),
        ("--target-voters", "0"),
        ("--snapshot-trailing", "1"),
    ],
)
def test_failure_to_start_is_one_line_and_status_1(
    address: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    command = [
        *(sys.executable, "-m", "dqlite.node", "--id", "1", "--address", address),
        *("--data-dir", str(tmp_path), *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("dqlite.node: ")
    assert done.stderr.count("\n") == 1


def test_help_has_examples_and_bootstrap_is_an_id() -> None:
    command = [sys.executable, "-m", "dqlite.node"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    wrong = subprocess.run([*command, "--id", "x"], capture_output=True, text=True, check=False)

    assert "examples:" in done.stdout
    assert "'bootstrap' founds a cluster" in " ".join(done.stdout.split())
    assert wrong.returncode == 2
    assert "--id" in wrong.stderr


def test_client_loads_without_cffi_and_node_without_asyncio() -> None:
    heavy = ("asyncio", "click", "sqlite3", "yaml", "rich", "dqlite.wire.schema")
    for used, unwanted in (("Client", ("cffi",)), ("Node", heavy), ("errors", heavy)):
        code = f"import sys; from dqlite import {used}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert not set(unwanted) & set(done.stdout.decode().split()), used
