"""
Integers, text and blobs as the protocol writes them: little endian, in words of eight bytes.

Readers raise ValueError or struct.error on malformed bytes, writers do on values that do not fit;
`codec` translates both.

Source: `dqlite/src/lib/serialize.h`.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Generic, NamedTuple, TypeVar

WORD = 8

_T = TypeVar("_T")


class Format(NamedTuple, Generic[_T]):
    """
    How a value is read and written; `read` also returns the offset of what follows it.

    Attributes:
        code: Of `struct`, for a plain number: a run of numbers is read and written at once.
    """

    read: Callable[[bytes, int], tuple[_T, int]]
    write: Callable[[bytearray, _T], None]
    code: str = ""


def _number(code: str) -> Format[Any]:
    """A number as `struct` writes it."""
    struct = Struct(f"<{code}")
    unpack, pack, size = struct.unpack_from, struct.pack, struct.size
    return Format(
        lambda data, offset: (unpack(data, offset)[0], offset + size),
        lambda out, value: out.extend(pack(value)),
        code,
    )


def converted(
    format_: Format[Any], read: Callable[[Any], _T], write: Callable[[_T], Any]
) -> Format[_T]:
    """The same bytes for values of another type."""

    def read_converted(data: bytes, offset: int) -> tuple[_T, int]:
        value, offset = format_.read(data, offset)
        return read(value), offset

    return Format(read_converted, lambda out, value: format_.write(out, write(value)))


def counted(item: Format[_T], count_max: int) -> Format[tuple[_T, ...]]:
    """A word that counts items, and the items."""

    def read(data: bytes, offset: int) -> tuple[tuple[_T, ...], int]:
        count, offset = U64.read(data, offset)
        if count > count_max:
            raise ValueError(f"{count} items exceed {count_max}")
        items = []
        for _ in range(count):
            value, offset = item.read(data, offset)
            items.append(value)
        return tuple(items), offset

    def write(out: bytearray, items: tuple[_T, ...]) -> None:
        U64.write(out, len(items))
        for value in items:
            item.write(out, value)

    return Format(read, write)


def _read_text(data: bytes, offset: int) -> tuple[str, int]:
    """UTF-8 up to its NUL; whatever pads the last word is skipped."""
    end = data.index(0, offset)
    return data[offset:end].decode(), offset + (end - offset) // WORD * WORD + WORD


def _write_text(out: bytearray, text: str) -> None:
    encoded = text.encode()
    if 0 in encoded:
        raise ValueError("text with a NUL would be cut there; use a blob")
    out += encoded
    out += _NULS[len(encoded) % WORD]


def _read_blob(data: bytes, offset: int) -> tuple[bytes, int]:
    """A length and that many bytes; servers leave old bytes in the padding."""
    length, start = U64.read(data, offset)
    end = start + length
    if end > len(data):
        raise ValueError(f"a blob of {length} bytes at {offset} ends after the body")
    return data[start:end], end + -length % WORD


def _write_blob(out: bytearray, blob: bytes) -> None:
    U64.write(out, len(blob))
    out += blob
    out += bytes(-len(blob) % WORD)


_NULS = tuple(bytes(WORD - length) for length in range(WORD))
"""What ends a text and fills its last word, by how much of that is taken."""

U64: Format[int] = _number("Q")
I64: Format[int] = _number("q")
F64: Format[float] = _number("d")
U32: Format[int] = _number("I")
TEXT = Format(_read_text, _write_text)
BLOB = Format(_read_blob, _write_blob)
