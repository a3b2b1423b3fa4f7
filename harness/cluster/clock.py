"""
Clocks that nodes have of their own, by libfaketime: a process preloads it, and it adds the offset
in a file to the time.

Only the offset is used. A rate other than 1 is not taken back by a later file, and
`FAKETIME_XRESET` swallows offsets (both observed, 0.9.10), so a clock drifts by many small steps of
the offset. Programs that are statically linked, or written in Go, keep the machine's time.

Source: libfaketime's README, 4d to 4f.
"""

from __future__ import annotations

from pathlib import Path

from dissever.harness.cluster import NodeClock
from dissever.harness.missing import Missing

RIGHT = "+0\n"
"""What the file of a clock holds while the clock is right."""

_LIBRARY = "faketime/libfaketimeMT.so.1"
_FOLDERS = ("/usr/lib", "/usr/local/lib", "/lib")


def library() -> Path | None:
    """Where libfaketime is on this machine."""
    for folder in _FOLDERS:
        for path in sorted((Path(folder, _LIBRARY), *Path(folder).glob(f"*/{_LIBRARY}"))):
            if path.exists():
                return path
    return None


def missing() -> Missing | None:
    """Why nodes on this machine cannot have clocks of their own, or None."""
    if library() is None:
        return Missing("libfaketime is not installed", "apt-get install libfaketime")
    return None


def node_clock(file: str, preload: str, *, is_monotonic: bool) -> NodeClock:
    """A clock kept in a file; `is_monotonic`: the monotonic clock follows it as well."""
    environment = {
        "LD_PRELOAD": preload,
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DISABLE_SHM": "1",  # Its semaphore in /dev/shm would be left behind.
        "NO_FAKE_STAT": "1",
    }
    if not is_monotonic:
        environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    return NodeClock(file, environment)
