"""`dissever serve` as a process: it says where it is, and ends when it is told to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.web import Server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_says_where_it_is_and_ends_well(
    number: signal.Signals, runs: Path, keep_run: Callable[..., Path]
) -> None:
    keep_run(runs, 77)
    with subprocess.Popen(
        [sys.executable, "-m", "dissever", "serve", runs, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+/) shows the runs in ", line)
        assert found is not None
        with urllib.request.urlopen(found[1], timeout=30) as answer:  # It is our own.
            page = answer.read().decode()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)

    assert '<td class="number">77</td>' in page
    assert (process.returncode, errors) == (0, "ended\n")


def test_port_that_is_taken_is_one_line(
    dissever: Callable[..., Any], server: Server, runs: Path
) -> None:
    port = server.server_address[1]
    ran = dissever("serve", str(runs), "--port", str(port))

    assert ran.status == 3
    assert ran.stderr == f"Error: port {port} is taken: --port 0 finds a free one\n"


def test_folder_that_is_not_there_is_wrong_usage(dissever: Callable[..., Any], runs: Path) -> None:
    assert dissever("serve", str(runs)).status == 64
