"""
Histories in files: our own JSON lines, Jepsen's and Knossos' EDN, Porcupine's logs and texts.

What a file holds is told from its content. Every error names line and column; what was left out is
noted with the reason. A file without times gets 1 ms an event: position is the order.

Source: Jepsen, `store.clj`; Knossos, `history.clj`; Porcupine, `test_data/`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from dissever.harness import edn
from dissever.harness.edn import EdnError, Keyword
from dissever.harness.history import Event, History, Key, Process, Type

NS_PER_EVENT: Final = 1_000_000


class Format(StrEnum):
    """What can be read; EDN covers one map a line, and one vector of maps."""

    JSON_LINES = "json lines"
    EDN = "edn"
    ETCD_LOG = "etcd log"


class FormatError(ValueError):
    """A file that is no history, with line and column, counted from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Loaded:
    """A history, the format it came in, and what was dropped or made up, one sentence each."""

    history: History
    format: Format
    notes: tuple[str, ...] = ()


def read_history(path: Path, *, keyed: bool = False) -> Loaded:
    """
    Read a file; see `parse_history`.

    Raises:
        OSError: When it cannot be read.
        FormatError: When it is no history.
    """
    return parse_history(path.read_bytes(), keyed=keyed)


def parse_history(data: bytes, *, keyed: bool = False) -> Loaded:
    """
    Args:
        keyed: In EDN, values are pairs [key value] of many independent objects.

    Raises:
        FormatError: When the data are no history; never for a last JSON line that is cut off.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if b'{"' not in data[:1024]:
            before = data[: error.start]
            column = error.start - (before.rfind(b"\n") + 1) + 1
            raise FormatError("expected UTF-8", before.count(b"\n") + 1, column) from error
        text = ""
    if data.lstrip()[:2] in (b'{"', b"{}") or not data.strip():
        return _json_lines(data)
    if re.match(r"\s*(INFO|WARN|ERROR|DEBUG)\b", text):
        return _number(_etcd(text), Format.ETCD_LOG)
    return _number(_edn(text, keyed=keyed), Format.EDN)


def to_json_lines(history: History) -> bytes:
    """One event a line, as the journal writes it."""
    return msgspec.json.Encoder().encode_lines(history.events)


def to_edn(history: History, *, keyed: bool = False) -> str:
    """
    One map a line, as Jepsen writes it.

    Args:
        keyed: Write values as [key value], not the key beside the value.
    """
    return "".join(edn.write(_to_map(event, keyed=keyed)) + "\n" for event in history)


def _json_lines(data: bytes) -> Loaded:
    decoder = msgspec.json.Decoder(Event)
    events: list[Event] = []
    notes: list[str] = []
    ignored: Counter[str] = Counter()
    lines = data.split(b"\n")
    last = max((i for i, line in enumerate(lines) if line.strip()), default=-1)
    for i, line in enumerate(lines[: last + 1]):
        if not line.strip():
            continue
        try:
            events.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if i == last and not data.endswith(b"\n"):
                notes.append(f"line {i + 1} is cut off and was left out")
                break
            raise FormatError(str(error), i + 1, _column(error)) from error
        _check_index(events, i + 1)
        ignored.update(_others(line))
    notes[:0] = _left_out(ignored)
    if not events:
        notes.append("the file holds no events")
    return Loaded(History(tuple(events)), Format.JSON_LINES, tuple(notes))


def _others(line: bytes) -> Iterable[str]:
    """The fields of a line that an event has not."""
    try:
        _KNOWN_FIELDS.decode(line)
    except msgspec.ValidationError:
        every = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        return [name for name in every if name not in _FIELDS]
    return ()


def _left_out(fields: Mapping[str, int]) -> list[str]:
    """What was not kept, by name, in order of first use."""
    return [f"{count} fields :{name} were left out" for name, count in fields.items()]


def _column(error: Exception) -> int:
    """Of an error of msgspec, which counts bytes from 0; of a wrong value it says no place."""
    if isinstance(error, UnicodeDecodeError):
        return error.start + 1
    place = re.search(r"\(byte (\d+)\)", str(error))
    return int(place[1]) + 1 if place else 1


def _check_index(events: list[Event], line: int) -> None:
    index = events[-1].index
    if index < 0 or (len(events) > 1 and events[-2].index >= index):
        raise FormatError(
            f"expected an index after {events[-2].index}, got {index}"
            if len(events) > 1
            else f"expected an index from 0, got {index}",
            line,
            1,
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """An event that may lack an index and a time, and where it stood."""

    line: int
    process: Process
    type: Type
    f: str
    value: Any
    index: int | None = None
    time: int | None = None
    key: Key | None = None
    node: str | None = None
    error: Any = None
    ignored: tuple[str, ...] = ()


def _number(drafts: Iterable[_Draft], source: Format) -> Loaded:
    """Give each event its index and time."""
    events: list[Event] = []
    ignored: Counter[str] = Counter()
    made_up = 0
    for position, draft in enumerate(drafts):
        index = position if draft.index is None else draft.index
        made_up += draft.time is None
        time = index * NS_PER_EVENT if draft.time is None else draft.time
        events.append(
            Event(
                index,
                time,
                draft.process,
                draft.type,
                draft.f,
                draft.value,
                draft.key,
                draft.node,
                draft.error,
            )
        )
        _check_index(events, draft.line)
        ignored.update(draft.ignored)
    notes = _left_out(ignored)
    if made_up:
        notes.append(f"{made_up} events have no time: each counts as 1 ms after the one before")
    if not events:
        notes.append("the file holds no events")
    return Loaded(History(tuple(events)), source, tuple(notes))


_FIELDS: Final = frozenset(
    {"process", "type", "f", "value", "index", "time", "key", "node", "error"}
)

_KNOWN_FIELDS: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "_KnownFields",
        [(name, msgspec.Raw, msgspec.Raw()) for name in sorted(_FIELDS)],
        forbid_unknown_fields=True,
    )
)


def _edn(text: str, *, keyed: bool) -> Iterator[_Draft]:
    line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    try:
        for form, offset in edn.read_forms(text):
            line = bisect_right(line_starts, offset)
            place = line, offset - line_starts[line - 1] + 1
            for each in form if isinstance(form, list) else [form]:
                yield _draft(each, place, keyed=keyed)
    except EdnError as error:
        raise FormatError(str(error), error.line, error.column) from error


def _draft(form: Any, place: tuple[int, int], *, keyed: bool) -> _Draft:
    """An operation map; `place` is where it, or the vector that holds it, begins."""
    if not isinstance(form, dict):
        raise FormatError(f"expected a map, got {edn.write(form)[:60]}", *place)
    for name in ("process", "type", "f"):
        if form.get(Keyword(name)) is None:
            raise FormatError(f"an operation has no :{name}", *place)
    fields = {str(name): _plain(value) for name, value in form.items()}
    if fields["type"] not in tuple(Type):
        raise FormatError(f"expected a type of operation, got :{fields['type']}", *place)
    key, value = fields.get("key"), fields.get("value")
    is_client = isinstance(fields["process"], int)
    if keyed and is_client:
        if not isinstance(value, list) or len(value) != 2:
            raise FormatError(f"expected [key value], got {edn.write(value)[:60]}", *place)
        key, value = value
    return _Draft(
        place[0],
        fields["process"],
        Type(fields["type"]),
        str(fields["f"]),
        value,
        _integer(fields, "index", place),
        _integer(fields, "time", place),
        key,
        fields.get("node"),
        fields.get("error"),
        tuple(name for name in fields if name not in _FIELDS),
    )


def _integer(fields: dict[str, Any], name: str, place: tuple[int, int]) -> int | None:
    value = fields.get(name)
    if value is None or type(value) is int:
        return value
    raise FormatError(f"expected an integer as :{name}, got {edn.write(value)[:60]}", *place)


def _plain(value: Any) -> Any:
    """EDN as JSON values: keywords and symbols become texts."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, str) else value


def _plain_key(key: Any) -> str:
    return str(key) if isinstance(key, str) else edn.write(key)


_ETCD: Final = re.compile(
    r"\S+\s+jepsen\.util - (?P<process>\S+)\s+:(?P<type>\w+)\s+:(?P<f>[\w-]+)\s*(?P<value>.*)\Z"
)


def _etcd(text: str) -> Iterator[_Draft]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _ETCD.match(line)
        if match is None:
            raise FormatError("expected INFO jepsen.util - <process> <type> <f> <value>", number, 1)
        kind = match["type"]
        if kind not in set(Type):
            raise FormatError(f"expected a type, got :{kind}", number, match.start("type"))
        value, error = _etcd_value(match, number)
        process = match["process"]
        yield _Draft(
            number,
            int(process) if process.isdigit() else process.lstrip(":"),
            Type(kind),
            match["f"],
            value,
            error=error,
        )


def _etcd_value(match: re.Match[str], line: int) -> tuple[Any, str | None]:
    """The value and the error: a keyword such as :timed-out is an error."""
    try:
        forms = [form for form, _ in edn.read_forms(match["value"])]
    except EdnError as error:
        column = match.start("value") + error.column
        raise FormatError(str(error), line, column) from error
    value = forms[0] if forms else None
    return (None, str(value)) if isinstance(value, Keyword) else (_plain(value), None)


def _to_map(event: Event, *, keyed: bool) -> dict[Keyword, Any]:
    is_keyed = keyed and event.is_client
    process = event.process if isinstance(event.process, int) else Keyword(event.process)
    fields = {
        "index": event.index,
        "time": event.time,
        "process": process,
        "type": Keyword(event.type.value),
        "f": Keyword(event.f),
        "value": [event.key, event.value] if is_keyed else event.value,
    }
    rest = {"key": None if is_keyed else event.key, "node": event.node, "error": event.error}
    fields |= {name: value for name, value in rest.items() if value is not None}
    return {Keyword(name): value for name, value in fields.items()}
