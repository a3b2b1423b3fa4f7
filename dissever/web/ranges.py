"""
Which bytes of a file are asked for: the header `Range`, or a query such as `?tail=65536`.

Source: RFC 9110, section 14.
"""

from __future__ import annotations

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unsatisfiable(ValueError):
    """None of the bytes that are asked for exist."""


def of_header(header: str, size_bytes: int) -> tuple[int, int] | None:
    """
    Start and length; None where the header asks for no single range, and all is sent.

    Raises:
        Unsatisfiable: When it asks for bytes past the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes or end <= start:
        raise Unsatisfiable(f"the file has {size_bytes:,} bytes")
    return start, end - start


def of_tail(text: str, size_bytes: int) -> tuple[int, int] | None:
    """Start and length of the last bytes; None where the text is no number."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    length = min(size_bytes, int(text))
    return size_bytes - length, length
