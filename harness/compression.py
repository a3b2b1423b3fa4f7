"""
Compressed files: gzip, xz, bzip2, and zstd where this Python has it.

The first bytes say what a file is, not its name. What comes out has a limit, because a small file
can hold more than any memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any, Final

BYTES_MAX: Final = 1 << 33
"""Of what a compressed file holds."""

_CHUNK: Final = 1 << 20


class CompressionError(ValueError):
    """A compressed file that cannot be read."""


def _zstd(file: IO[bytes]) -> Any:
    try:
        module = import_module("compression.zstd")
    except ModuleNotFoundError as error:
        raise CompressionError(
            "this Python cannot read zstd; decompress the file first: zstd -d"
        ) from error
    return module.open(file)


_READERS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""First bytes -> what reads such a file."""


def decompressed(data: bytes | memoryview) -> bytes | None:
    """
    What compressed data hold, or None where they are not compressed.

    Raises:
        CompressionError: When they are damaged or cut off, hold more than BYTES_MAX, or are zstd,
            which Python has from 3.14 on.
    """
    head = bytes(data[:6])
    reader = next((each for magic, each in _READERS.items() if head.startswith(magic)), None)
    if reader is None:
        return None
    found = bytearray()
    try:
        with reader(io.BytesIO(data)) as file:
            while chunk := file.read(_CHUNK):
                found += chunk
                if len(found) > BYTES_MAX:
                    raise CompressionError(f"the file holds more than {BYTES_MAX:,} bytes")
    except CompressionError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise CompressionError(f"the compressed file is damaged: {error}") from error
    return bytes(found)
