"""
Whether clusters of namespaces can be made on this machine: one is made.

Versions and settings would not be enough: a sandbox may forbid one call of many, which only the
kernel knows. Settings are read afterwards (`surroundings.py`), to say what would help.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dissever.harness.cluster import surroundings
from dissever.harness.cluster.channel import MESSAGE_BYTES_MAX, start_keeper
from dissever.harness.cluster.filters import ruleset
from dissever.harness.cluster.keeper.cgroups import Groups
from dissever.harness.missing import Missing

BRIDGE: Final = "10.77.0.254"
"""The harness's address on the network of every cluster."""

_PROBE_S = 5.0
_DISK_BYTES = 1 << 20

_SCRATCH: Final = Path("/sys")
"""What the trial's keeper may hide from itself: a temporary folder would outlive SIGKILL."""

_PACKAGES = {"ip": "iproute2", "nft": "nftables"}

_ELSEWHERE: Final = "use --backend containers, or a Linux machine (on Windows: WSL 2)"


def address(number: int) -> str:
    """The address of a cluster's node, counted from 1."""
    return f"10.77.0.{number}"


def probe(faultfs: str | None = None) -> Missing | None:
    """
    Why no cluster can be made here, or None: tried with a real one of two nodes, some 100 ms.

    Args:
        faultfs: The program that the nodes' data goes through; None: none.

    Never raises, and blocks: for `dissever doctor` and the start of a run.
    """
    if not sys.platform.startswith("linux"):
        return Missing("only Linux has network namespaces", _ELSEWHERE)
    try:
        tools = {name: tool(name) for name in ("ip", "nft")}
    except FileNotFoundError as error:
        return Missing(str(error.strerror), f"apt-get install {_PACKAGES[error.filename]}")
    with tempfile.TemporaryFile() as said:
        try:
            process, channel = start_keeper(said)
        except OSError as error:
            return Missing(f"no keeper: {error}", "Linux 5.3 or later is needed")
        with process, channel:
            reason = _try_out(channel, tools, faultfs)
            channel.close()
        if reason is None:
            return None
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines() or [reason]
        return Missing(lines[0], surroundings.remedy())  # A traceback may follow.


def missing_limits() -> Missing | None:
    """Why control groups cannot limit nodes: a group is made, limited, read back and removed."""
    groups = Groups(os.getpid())
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        groups.limit("probe", (), 0.5, 1 << 26)
        readings = groups.readings("probe")
        groups.lift("probe")
    except OSError as error:
        remedy = "run as root, on a machine with the cpu and memory controllers"
        return Missing(f"no control groups: {error.strerror or error}", remedy)
    finally:
        groups.clear(proc)
        os.close(proc)
    if readings["cpu"]["limit"] != 0.5 or readings["memory"]["limit"] != 1 << 26:
        return Missing(f"limits of control groups do not stay: {readings}", "use another machine")
    return None


def tool(name: str) -> str:
    """
    The path of a program, which may stand where only root looks.

    Raises:
        FileNotFoundError: When it is not installed.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(2, f"{name} is not installed", name)
    return found


def _try_out(channel: socket.socket, tools: Mapping[str, str], faultfs: str | None) -> str | None:
    """Make two hosts, cut one, and say what did not work. Blocks."""
    channel.settimeout(_PROBE_S)
    nodes = [
        {"name": f"n{i}", "address": address(i), "directory": str(_SCRATCH / f"n{i}")}
        for i in (1, 2)
    ]
    rules = ruleset([address(2)])
    requests: list[dict[str, Any]] = [
        {"verb": "scratch", "path": str(_SCRATCH)},
        {
            "verb": "open",
            "nodes": nodes,
            "bridge": BRIDGE,
            "ip": tools["ip"],
            "disk_bytes": _DISK_BYTES,
            "faultfs": faultfs,
        },
        {"verb": "run", "node": "n1", "argv": [tools["nft"], "-f", "-"], "stdin": rules},
    ]
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        for number, request in enumerate(requests):
            channel.send(json.dumps({"id": number, **request}).encode())
            answer = json.loads(channel.recv(MESSAGE_BYTES_MAX) or b'{"error": [0, ""]}')
            if "error" in answer:
                return answer["error"][1] or "the keeper ended"
        done = answer["result"]
        return f"nft failed: {done['stderr'].strip()}" if done["exit_status"] else None
    return "the keeper did not answer"
