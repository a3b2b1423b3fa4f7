"""Where people stumble, `doctor` and a run name the remedy; much works on macOS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster import surroundings, trial

APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"

DARWIN = """
import os, select, signal, socket, sys, types
linux_only = {
    os: "O_PATH O_TMPFILE O_DIRECT pidfd_open memfd_create eventfd splice copy_file_range"
        " sched_setaffinity sched_getaffinity getxattr setxattr listxattr removexattr getresuid"
        " posix_fallocate setns unshare",
    socket: "AF_NETLINK AF_PACKET AF_VSOCK SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED SO_BINDTODEVICE"
        " SO_DOMAIN SO_PROTOCOL TCP_INFO TCP_USER_TIMEOUT",
    signal: "SIGRTMIN SIGRTMAX SIGPWR SIGSTKFLT SIGPOLL SIGCLD sigwaitinfo sigtimedwait",
    select: "epoll",
}
for module, names in linux_only.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "darwin"
sys.modules["_scproxy"] = types.ModuleType("_scproxy")  # A part of macOS, which urllib asks.
sys.modules["_scproxy"]._get_proxy_settings = sys.modules["_scproxy"]._get_proxies = dict
"""
"""What a Python of macOS lacks of ours, as far as it shows in modules."""


@pytest.fixture
def restricted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is Ubuntu 24.04 as it comes, and this is an ordinary user of it."""
    switch = tmp_path / "proc" / "sys" / APPARMOR.replace(".", "/")
    switch.parent.mkdir(parents=True)
    switch.write_text("1\n")
    denied = "cannot make namespaces: write uid_map: Permission denied"
    remedy = partial(surroundings.remedy, tmp_path, is_root=False, release="6.8.0")
    monkeypatch.setattr(trial, "_try_out", lambda *_: denied)
    monkeypatch.setattr(surroundings, "remedy", remedy)


@pytest.mark.usefixtures("restricted")
def test_doctor_names_the_switch_of_apparmor(dissever: Callable[..., Any]) -> None:
    told = json.loads(dissever("doctor", "--json").stdout)
    machine = {each["what"]: each for each in told["machine"]}

    assert not machine["network namespaces"]["available"]
    assert machine["network namespaces"]["remedy"].endswith(f"sudo sysctl -w {APPARMOR}=0")


@pytest.mark.usefixtures("restricted")
def test_error_of_a_run_names_the_switch_of_apparmor(dissever: Callable[..., Any]) -> None:
    ran = dissever("test", "dqlite", "--backend", "namespaces")

    assert ran.status == 3
    assert "dqlite cannot run here: cannot make namespaces: " in ran.text
    assert f"sudo sysctl -w {APPARMOR}=0" in ran.text
    assert "Traceback" not in ran.text


def test_traceback_of_a_keeper_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    start = trial.start_keeper

    def failing(log: Any) -> Any:
        log.write(b"PID 1: mount /proc: Operation not permitted\nTraceback (most recent call last)")
        return start(log)

    monkeypatch.setattr(trial, "start_keeper", failing)
    monkeypatch.setattr(trial, "_try_out", lambda *_: "the keeper ended")
    missing = trial.probe()

    assert missing is not None
    assert missing.reason == "PID 1: mount /proc: Operation not permitted"


@pytest.fixture
def darwin(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line in a Python that takes this machine for macOS."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = f"{DARWIN}\nimport dissever.cli\ndissever.cli.main(sys.argv[1:])"
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_module_is_imported_on_macos(tmp_path: Path) -> None:
    script = f"""{DARWIN}
import importlib, pkgutil
import dissever
for each in pkgutil.walk_packages(dissever.__path__, "dissever."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()


def test_macos_judges_what_it_simulates(
    darwin: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ran = darwin("test", "simulated", "--time-limit", "4", "--faults", "kill", "--seed", "1")
    checked = darwin("check", "runs/latest")

    assert (ran.returncode, checked.returncode) == (0, 0), ran.stderr + checked.stderr


def test_macos_is_sent_to_containers(
    darwin: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ran = darwin("test", "dqlite", "--backend", "namespaces")

    assert ran.returncode == 3
    assert "only Linux has network namespaces; use --backend containers" in ran.stderr
