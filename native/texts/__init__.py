"""
Every key of a history of texts judged in one call of C: `put`, `append`, `get` of the whole.

The one decision that is not obvious: C reads the bytes of texts where the loader left them; of
values that Python made, texts alone are written out once more.

Source: `texts.h`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Columns
from dissever.native.load import Values
from dissever.native.registers import KeyOutcomes, judge_objects

_LENGTH: Final = 4
"""Bytes before each text that hold its length."""


def judge_texts(
    columns: Columns,
    *,
    initial: str,
    configurations_max: int,
    bytes_max: int,
    threads: int | None = None,
) -> KeyOutcomes:
    """
    Judge each key as a text; see `judge_keys`.

    Args:
        initial: What each key holds at first.

    Raises:
        ValueError: When the columns contradict each other.
        MemoryError: When the split by key does not fit into memory.
    """
    ids = {name: number for number, name in enumerate(columns.fs)}
    kept, values = _pointer(columns.values)
    first = ffi.from_buffer("uint8_t[]", _bytes(initial))
    objects = {
        "read": ids.get("get", -1),
        "write": ids.get("put", -1),
        "append": ids.get("append", -1),
        "cas": -1,
        "initial": -1,
        "texts": values,
        "initial_text": first,
        "initial_bytes": len(first),
    }
    outcomes = judge_objects(columns, objects, configurations_max, bytes_max, threads)
    del kept  # Until here: C reads it.
    return outcomes


def _bytes(text: str) -> bytes:
    """Half a surrogate pair is a letter like any other."""
    return text.encode("utf-8", "surrogatepass")


def _pointer(values: Sequence[Any]) -> tuple[Any, Any]:
    """What must be kept alive, and a `struct load_values *`."""
    if isinstance(values, Values):
        return values, values.pointer()
    texts = [_bytes(each) if isinstance(each, str) else b"" for each in values]
    tags = bytes(lib.LOAD_TEXT if isinstance(each, str) else lib.LOAD_NIL for each in values)
    sizes = (len(text) + _LENGTH for text in texts)
    words = array("q", [0, *accumulate(sizes)])
    data = b"".join(array("I", [len(text)]).tobytes() + text for text in texts)
    struct = ffi.new("struct load_values *", {"n": len(texts), "bytes_n": len(data)})
    struct.tags = ffi.from_buffer("uint8_t[]", tags)
    struct.words = ffi.from_buffer("int64_t[]", words)
    struct.bytes = ffi.from_buffer("uint8_t[]", data)
    return (tags, words, data), struct
