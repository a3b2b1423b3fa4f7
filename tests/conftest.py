"""For all tests: signals as of a terminal; a Docker engine that seems far away; a browser."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
RELAY = Path(__file__).with_name("relay.py")
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")

# A background job ignores SIGINT, what nohup starts ignores SIGHUP, and so would every process that
# tests start: those that send it would wait for ever. A handler, unlike an ignored signal, is not
# inherited by a new program.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


# Commands that tests start must not write into the summary of a CI job, nor annotate it.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(_name, None)


ALONE = {"cluster": "nodes", "docker": "nodes", "browser": "browser", "mutants": "mutants"}
"""
Marker -> the group of the files that use it. Several processes may run the tests; those of a group
run in one of them.

Nodes that share a machine with other nodes elect and answer late.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]
        """Each file in one process, and each group of files."""

        def _split_scope(self, nodeid: str) -> str:
            return _group(config.rootpath / nodeid.partition("::")[0])

    return Groups(config, log)


@functools.cache
def _group(file: Path) -> str:
    """The group of a file with tests, or its path."""
    text = file.read_text(encoding="utf-8")
    groups = (group for marker, group in ALONE.items() if f"pytest.mark.{marker}" in text)
    return next(groups, str(file))


@pytest.fixture
def far_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have DOCKER_HOST name this machine's engine by TCP at an address, as if it were another's."""
    with contextlib.ExitStack() as relays:

        def at(address: str) -> None:
            relay = relays.enter_context(
                subprocess.Popen(
                    [sys.executable, "-I", RELAY, address, ENGINE],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            relays.callback(relay.kill)
            assert relay.stdout is not None
            host = f"[{address}]" if ":" in address else address
            monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}:{relay.stdout.readline().strip()}")

        yield at


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield started
        started.close()
