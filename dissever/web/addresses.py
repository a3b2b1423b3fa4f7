"""
Paths in addresses, which may hold any bytes that a name of a file can hold.

`a%2Fb` is no way to write `a/b`, and a component that leads upwards leads nowhere.
"""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes

from dissever.runs.inside import NotInside, parts_of


def quoted_path(path: str) -> str:
    """A path as a part of an address, or as the value of a field of a form."""
    return quote(os.fsencode(path), safe="/")


def path_of(quoted: str) -> str:
    """
    The relative path that an address means.

    Raises:
        NotInside: When a component is empty, leads upwards, or holds a separator or NUL.
    """
    try:
        encoded = [part.encode("latin-1") for part in quoted.split("/")]
    except UnicodeEncodeError as error:
        raise NotInside("expected an address in ASCII") from error
    parts = [os.fsdecode(unquote_to_bytes(part)) for part in encoded]
    if any("/" in part for part in parts):
        raise NotInside("expected no separator within a component")
    return "/".join(parts_of("/".join(parts)))
