"""
The columns of operations as few bytes, and any bytes as text in the page.

A column becomes numbers that are small, mostly by differences: from the operation before, from the
last one of the same lane, or, for values, from the last value of the same key. Then the lowest
bytes of all its numbers stand together, then the next ones, because bytes that are alike compress
well. `page/data.js` undoes each step.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import sub
from typing import Any, Final

from dissever.reports.drawn import TEXT, Drawn

COMPRESSION: Final = 6
HEAD_BYTES: Final = 4
"""Of the length of the JSON, which stands before it: little-endian, unsigned."""


def packed(shared: dict[str, Any], operations: Drawn, lanes: Sequence[int]) -> str:
    """
    Everything that the script draws, as gzip in base64, which browsers decode themselves.

    The plain bytes are the length of a JSON text, that text, and the columns. The JSON is `shared`
    with `operations`: how many there are, the tables, and the name and bytes a number of each
    column, in order. Base64 holds no `<`, so nothing that came from a system can end the element.
    """
    columns = dict(_columns(operations, lanes))
    widths = {name: _width(column) for name, column in columns.items()}
    tables = operations.tables
    head = shared | {
        "operations": {
            "count": len(operations),
            "columns": list(widths.items()),
            "tables": {name: getattr(tables, name) for name in tables.__dataclass_fields__},
        }
    }
    text = _json(head)
    planes = (_planes(column, widths[name]) for name, column in columns.items())
    return _encoded(b"".join([len(text).to_bytes(HEAD_BYTES, "little"), text, *planes]))


def packed_json(data: Any) -> str:
    """JSON alone, in the same form."""
    text = _json(data)
    return _encoded(len(text).to_bytes(HEAD_BYTES, "little") + text)


def packed_bytes(data: Any) -> int:
    """How many bytes of a page some JSON takes."""
    return len(_encoded(_json(data)))


def _json(data: Any) -> bytes:
    # Half a surrogate pair, which UTF-8 cannot hold, may come from a system under test.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _encoded(raw: bytes) -> str:
    # A fixed time keeps the page a pure function of the run.
    return base64.b64encode(gzip.compress(raw, COMPRESSION, mtime=0)).decode("ascii")


def _columns(operations: Drawn, lanes: Sequence[int]) -> Iterator[tuple[str, array[int]]]:
    """The columns in the order in which the script can undo them."""
    yield "index", _rises(operations.index)
    yield "done", array("q", operations.done)
    yield "start", _rises(operations.start_us)
    yield "took", array("q", map(sub, operations.end_us, operations.start_us))
    yield "type", array("q", operations.type)
    yield "f", array("q", operations.f)
    yield "error", array("q", operations.error)
    yield "lane", array("q", lanes)
    for name in ("process", "key", "node"):
        yield name, array("q", _since_last(getattr(operations, name), lanes))
    both = zip(operations.asked, operations.answered, strict=True)
    yield "kinds", array("q", ((asked & 3) << 2 | answered & 3 for asked, answered in both))
    asked, answered = _values(operations)
    yield "asked", asked
    yield "answered", answered
    if operations.weight:
        yield "weight", array("q", operations.weight)


def _rises(column: Sequence[int]) -> array[int]:
    """Differences of a column that never falls."""
    return array("q", map(sub, column, [0, *column[:-1]]))


def _since_last(column: Iterable[int], groups: Iterable[int]) -> Iterator[int]:
    """Differences from the last number of the same group."""
    last: dict[int, int] = defaultdict(int)
    for number, group in zip(column, groups, strict=True):
        difference = number - last[group]
        yield difference << 1 if difference >= 0 else ~(difference << 1)
        last[group] = number


def _values(operations: Drawn) -> tuple[array[int], array[int]]:
    """
    What was asked and answered, as differences from the last number of the same key, or from the
    last text.
    """
    last: dict[int, int] = defaultdict(int)
    columns = array("q"), array("q")
    appends = [column.append for column in columns]
    rows = zip(operations.key, operations.asked, operations.answered, strict=True)
    for key, *codes in rows:
        for code, append in zip(codes, appends, strict=True):
            if not code:
                append(0)
                continue
            of = -1 if code & 3 == TEXT else key
            difference = (code >> 2) - last[of]
            append(difference << 1 if difference >= 0 else ~(difference << 1))
            last[of] = code >> 2
    return columns


def _width(column: array[int]) -> int:
    """How many bytes hold the greatest number."""
    return (max(column, default=0).bit_length() + 7) // 8


def _planes(column: array[int], width: int) -> bytes:
    """The lowest bytes of all numbers, then the next ones, up to the width."""
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    return b"".join(raw[place :: column.itemsize] for place in range(width))
