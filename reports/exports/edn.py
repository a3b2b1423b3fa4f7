"""
A history in EDN, one map a line, as Jepsen stores it and Elle and Knossos read it.

Clients are integers. A value on one of many keys is a pair [key value], as `jepsen.independent`
writes it. Functions of micro-operations are keywords, and texts stay texts. What a nemesis did is
of the process `:nemesis` and always `:info`, because no checker may take it for an operation. Our
own reader gives the operations of clients back as they were. Of faults that overlap it cannot:
Jepsen's nemesis does one thing at a time, so begins and ends need no names of their own.
Source: github.com/edn-format/edn; Jepsen, `history.clj`, `independent.clj`; Elle, `txn.clj`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import isfinite, isnan
from typing import Any, Final

from dissever.harness.history import Event, History, is_transaction
from dissever.reports.exports.record import Record, joined

INTEGER_MAX: Final = (1 << 63) - 1
"""Of a long; a larger integer is marked with N."""

_KEYWORD: Final = re.compile(r"[A-Za-z*!_?$%&=<>][\w*!?$%&=<>.+\-]*", re.ASCII)
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_ESCAPED: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def write_edn(records: Sequence[Record]) -> Iterator[bytes]:
    """The history of one record."""
    (record,) = records
    return joined(lines(record.history))


def lines(history: History) -> Iterator[str]:
    """Each event as a map on a line of its own, by index."""
    is_keyed = any(key is not None for key in history.keys)
    for event in history.stream_events():
        yield _client(event, is_keyed) if event.is_client else _nemesis(event)


def _client(event: Event, is_keyed: bool) -> str:
    value = value_text(event.value, micro=is_transaction(event.value))
    if is_keyed:
        value = f"[{value_text(event.key)} {value}]"
    return _line(event, str(event.process), event.type.value, value)


def _nemesis(event: Event) -> str:
    return _line(event, ":nemesis", "info", value_text(event.value))


def _line(event: Event, process: str, kind: str, value: str) -> str:
    node = f", :node {_text(event.node)}" if event.node is not None else ""
    error = f", :error {value_text(event.error)}" if event.error is not None else ""
    return (
        f"{{:index {event.index}, :time {event.time}, :process {process}, :type :{kind}, "
        f":f {_name(event.f)}, :value {value}{node}{error}}}\n"
    )


def value_text(value: Any, *, micro: bool = False) -> str:
    """
    A JSON value as EDN.

    Args:
        micro: It is a list of micro-operations, whose functions are written as keywords.
    """
    if micro:
        return f"[{' '.join(_micro(each) for each in value)}]"
    if value is None:
        return "nil"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -INTEGER_MAX <= value <= INTEGER_MAX else f"{value}N"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} {value_text(of)}' for key, of in value.items())}}}"
    return f"[{' '.join(map(value_text, value))}]"


def _micro(part: Any) -> str:
    f, key, value = part
    return f"[{_name(f)} {value_text(key)} {value_text(value)}]"


def _float(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "##NaN" if isnan(value) else "##Inf" if value > 0 else "##-Inf"


@lru_cache(maxsize=1024)
def _name(text: str) -> str:
    """A keyword, or a text where the name cannot be one."""
    return f":{text}" if _KEYWORD.fullmatch(text) else _text(text)


def _key(key: Any) -> str:
    """A key of a map: JSON has texts alone, so one that reads as an integer was one."""
    text = str(key)
    return text if _WHOLE.fullmatch(text) else _name(text)


def _text(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_character, text))}"'


def _character(character: str) -> str:
    """What stands for a character in a text; one that hides or drives a terminal is escaped."""
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable() or character == " " or ord(character) > 0xFFFF:
        return character
    return f"\\u{ord(character):04x}"
