"""Files in folders that a node can write to: a node may have put something else in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["open_file"]


def open_file(path: Path, *, follows_links: bool) -> int:
    """
    Open a file for reading; the descriptor.

    Raises:
        OSError: When it cannot be read, or is no file: a pipe may never end.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follows_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no file")
    return descriptor
