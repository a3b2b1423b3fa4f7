"""
What a run takes on the disk: allocated blocks, because files of full disks may have holes.

A folder on another file system is left out: it is the mount of a run that goes on, or of one whose
harness was killed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from dissever.harness.store import NODES
from dissever.runs import inside

BLOCK_BYTES: Final = 512
"""Of `st_blocks`, whatever the file system has."""

DATA: Final = "data"
"""In a node's folder: its data directory."""

DEPTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Sizes:
    """`data_bytes` is a part of `all_bytes`. `unreadable` is a folder of unknown size, or empty."""

    all_bytes: int
    data_bytes: int
    unreadable: str = ""


def is_data(parts: tuple[str, ...]) -> bool:
    """Whether this folder of a run is the data directory of a node."""
    return len(parts) == 3 and parts[0] == NODES and parts[2] == DATA


def sizes_of(run: int) -> Sizes:
    """Count the files below an open folder; those with several names count once."""
    device = os.fstat(run).st_dev
    seen: set[int] = set()
    total = data = 0
    unreadable = ""
    waiting: list[tuple[tuple[str, ...], bool]] = [((), False)]
    while waiting:
        parts, is_of_data = waiting.pop()
        try:
            with inside.folder(run, "/".join(parts)) as descriptor:
                if os.fstat(descriptor).st_dev != device or len(parts) > DEPTH_MAX:
                    continue
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        found = entry.stat(follow_symlinks=False)
                        inner = (*parts, entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append((inner, is_of_data or is_data(inner)))
                        if found.st_dev != device or found.st_ino in seen:
                            continue
                        if found.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                            seen.add(found.st_ino)
                        total += found.st_blocks * BLOCK_BYTES
                        data += found.st_blocks * BLOCK_BYTES * is_of_data
        except FileNotFoundError:  # A node removes files while it runs.
            continue
        except OSError:
            unreadable = unreadable or "/".join(parts)
    return Sizes(total, data, unreadable)
