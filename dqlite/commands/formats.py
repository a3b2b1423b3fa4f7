"""
How rows are shown: `pipe` (as the shells of SQLite and go-dqlite do), `table`, `json`, `csv`.

What a database holds must not steer a terminal, so characters that are not printable are shown as
their escapes. JSON has its own escapes and loses nothing. CSV that is not shown on a terminal is
exact: it is for programs.

Source: RFC 4180; RFC 8259; SQLite, `cli.html`.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from enum import Enum

from rich.cells import cell_len

from dqlite.values import Iso8601, UnixTime, Value


class Format(Enum):
    """How rows are shown."""

    PIPE = "pipe"
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FORMATS = {"tabular": Format.TABLE, **{each.value: each for each in Format}}
"""By their names on the command line; `tabular` is go-dqlite's word."""


def format_rows(
    format: Format,  # noqa: A002 - the field's word
    columns: Sequence[str],
    rows: Sequence[Sequence[Value]],
    *,
    is_exact: bool = False,
) -> Iterator[str]:
    """
    Yield the lines that show a result, none for a result without columns.

    Args:
        is_exact: CSV keeps control characters, as a program wants it.
    """
    if not columns:
        return
    match format:
        case Format.PIPE:
            for row in rows:
                yield "|".join(text(value) for value in row)
        case Format.TABLE:
            yield from _table(columns, rows)
        case Format.JSON:
            yield from _json(columns, rows)
        case Format.CSV:
            for row in (columns, *rows):
                yield _csv([_plain(value) if is_exact else text(value) for value in row])


def text(value: Value, *, null: str = "") -> str:
    """Return a value on one line, without characters that a terminal would obey."""
    return printable(_plain(value, null=null))


def printable(shown: str, *, keep: str = "") -> str:
    """Escape what is not printable, as Python writes it; `keep` lists what stays."""
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in shown)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _plain(value: Value, *, null: str = "") -> str:
    match value:
        case None:
            return null
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"X'{value.hex().upper()}'"
        case Iso8601():
            return value.text
        case UnixTime():
            return str(value.seconds)
        case _:
            return str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> Iterator[str]:
    """A header, a rule, and the rows, each column as wide as its widest value; numbers right."""
    cells = [[text(value, null="NULL") for value in row] for row in (columns, *rows)]
    widths = [max(cell_len(row[index]) for row in cells) for index in range(len(columns))]
    yield _aligned(cells[0], widths, [False] * len(columns))
    yield "  ".join("-" * width for width in widths)
    for row, shown in zip(rows, cells[1:], strict=True):
        yield _aligned(shown, widths, [_is_number(value) for value in row])


def _aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        space = " " * (width - cell_len(cell))
        padded.append(space + cell if is_right else cell + space)
    return "  ".join(padded).rstrip()


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> Iterator[str]:
    """An array with one object a line, as the shell of SQLite writes it."""
    names = _distinct(columns)
    objects = [
        f"{{{','.join(f'{json_text(name)}:{_json_value(value)}' for name, value in zip(names, row, strict=True))}}}"  # noqa: E501
        for row in rows
    ]
    yield "[" + ",\n".join(objects) + "]"


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names that can be keys of one object: the second `a` is `a:1`, as SQLite renames it."""
    names: list[str] = []
    for column in columns:
        name, count = column, 0
        while name in names:
            count += 1
            name = f"{column}:{count}"
        names.append(name)
    return names


def _json_value(value: Value) -> str:
    match value:
        case bytes():
            return json_text({"hex": value.hex()})
        case Iso8601():
            return json_text(value.text)
        case UnixTime():
            return json_text(value.seconds)
        case float() if math.isinf(value):
            return "1e999" if value > 0 else "-1e999"  # JSON has no infinity; this reads as one
        case _:
            return json_text(value)


def json_text(value: object) -> str:
    """Return JSON on one line, readable where characters are printable, escaped where not."""
    shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in shown)


def _csv(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # these characters get quotes
    return line.getvalue().removesuffix("\r\n")
