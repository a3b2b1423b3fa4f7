"""
Files and folders below a root that no link and no name can lead out of.

Every component of a path is opened by itself, relative to the folder before it, and never through a
link. So a folder that is exchanged for a link meanwhile leads nowhere, too.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe would let its reader wait for ever, so nothing is waited for."""


class NotInside(OSError):
    """A path that leads out, a link, or what is neither a file nor a folder."""


def parts_of(path: str) -> tuple[str, ...]:
    """
    The components of a relative path.

    Raises:
        NotInside: When one of them is empty, `.` or `..`, or holds NUL.
    """
    parts = tuple(path.split("/"))
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise NotInside("expected a path inside of the folder of runs")
    return parts


@contextlib.contextmanager
def folder(root: int, path: str) -> Iterator[int]:
    """
    A folder, open as long as the block lasts.

    Args:
        root: An open folder.
        path: Relative to it, with / between its components; empty for the root itself.

    Raises:
        OSError: When it is no folder, is a link, or cannot be opened.
    """
    descriptor = os.dup(root)
    try:
        for part in parts_of(path) if path else ():
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened(root: Path) -> Iterator[int]:
    """The root itself, which the user named, so that it may be a link."""
    descriptor = os.open(root, FOLDER & ~os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(directory: int, name: str) -> int:
    """
    Open a file of an open folder.

    Raises:
        OSError: When it is no file, is a link, or cannot be opened.
    """
    descriptor = os.open(name, FILE, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotInside("expected a file, found something else")
    return descriptor


def open_path(root: int, path: str) -> int:
    """
    Open a file by its path relative to an open folder.

    Raises:
        OSError: As `open_file`.
    """
    above, _, name = path.rpartition("/")
    parts_of(path)
    with folder(root, above) as directory:
        return open_file(directory, name)


def read(directory: int, name: str, bytes_max: int) -> bytes:
    """
    All of a file of an open folder.

    Raises:
        OSError: As `open_file`, and when it holds more bytes.
    """
    with open(open_file(directory, name), "rb") as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise NotInside(f"expected at most {bytes_max:,} bytes, found more")
    return content
