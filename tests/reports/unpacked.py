"""What is packed in a page, as the script undoes it; written against packing.py's words alone."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any


def data_of(page: str) -> Any:
    """What is embedded for the script; `operations` has a list per column."""
    match = re.search(r'<script type="text/plain" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return unpacked(match[1])


def unpacked(text: str) -> Any:
    """As `data_of`, of the text that `packed` made."""
    raw = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(raw[:4], "little")
    data = json.loads(raw[4 : 4 + length])
    operations, at = data["operations"], 4 + length
    count, columns = operations["count"], {}
    for name, width in operations["columns"]:
        planes = [raw[at + place * count : at + (place + 1) * count] for place in range(width)]
        columns[name] = [
            sum(b << 8 * i for i, b in enumerate(row)) for row in zip(*planes, strict=True)
        ]
        columns[name] = columns[name] or [0] * count
        at += width * count
    assert at == len(raw)
    columns["index"], columns["start"] = _sums(columns["index"]), _sums(columns["start"])
    for name in ("process", "key", "node"):
        last: dict[int, int] = defaultdict(int)
        for i, lane in enumerate(columns["lane"]):
            last[lane] += _signed(columns[name][i])
            columns[name][i] = last[lane]
    _words(columns, operations["tables"]["text"])
    operations["columns"] = columns
    return data


def _words(columns: dict[str, list[Any]], texts: list[str]) -> None:
    """Numbers become the words that they stand for."""
    last: dict[Any, int] = defaultdict(int)
    for i, kinds in enumerate(columns["kinds"]):
        for name, kind in (("asked", kinds >> 2), ("answered", kinds & 3)):
            if not kind:
                columns[name][i] = ""
                continue
            group = "text" if kind == 2 else columns["key"][i]
            last[group] += _signed(columns[name][i])
            number = last[group]
            columns[name][i] = (
                texts[number] if kind == 2 else f"→ {number}" if kind == 3 else f"{number}"
            )


def _signed(number: int) -> int:
    return -(number + 1) // 2 if number % 2 else number // 2


def _sums(numbers: Iterable[int]) -> list[int]:
    sums, total = [], 0
    for number in numbers:
        total += number
        sums.append(total)
    return sums
