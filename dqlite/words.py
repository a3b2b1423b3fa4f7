"""
Integers, text and blobs as the protocol writes them: little endian, in words of eight bytes.

A reader takes `(data, offset)` and returns the value and the next offset. Readers raise
ValueError or struct.error on malformed bytes, writers do on values that do not fit; `codec`
translates both.

Source: `dqlite/src/lib/serialize.h`.
"""

from struct import Struct

WORD = 8

u64 = Struct("<Q")
i64 = Struct("<q")
f64 = Struct("<d")
u32 = Struct("<I")


def read_u64(data: bytes, offset: int) -> tuple[int, int]:
    """Read a word as an unsigned integer."""
    return u64.unpack_from(data, offset)[0], offset + WORD


def read_i64(data: bytes, offset: int) -> tuple[int, int]:
    """Read a word as a signed integer."""
    return i64.unpack_from(data, offset)[0], offset + WORD


def read_f64(data: bytes, offset: int) -> tuple[float, int]:
    """Read a word as an IEEE 754 double."""
    return f64.unpack_from(data, offset)[0], offset + WORD


def read_u32(data: bytes, offset: int) -> tuple[int, int]:
    """Read half a word."""
    return u32.unpack_from(data, offset)[0], offset + 4


def read_text(data: bytes, offset: int) -> tuple[str, int]:
    """Read UTF-8 up to its NUL; whatever pads the last word is skipped."""
    end = data.index(0, offset)
    return data[offset:end].decode(), offset + (end - offset) // WORD * WORD + WORD


def read_blob(data: bytes, offset: int) -> tuple[bytes, int]:
    """Read a length and that many bytes; servers leave old bytes in the padding."""
    length, start = read_u64(data, offset)
    end = start + length
    if end > len(data):
        raise ValueError(f"a blob of {length} bytes at {offset} ends after the body")
    return data[start:end], end + -length % WORD


def write_text(out: bytearray, text: str) -> None:
    """Append UTF-8, a NUL and zeros up to a full word."""
    encoded = text.encode()
    if 0 in encoded:
        raise ValueError("text with a NUL would be cut there; use a blob")
    out += encoded
    out += bytes(WORD - len(encoded) % WORD)


def write_blob(out: bytearray, blob: bytes) -> None:
    """Append the length, the bytes and zeros up to a full word."""
    out += u64.pack(len(blob))
    out += blob
    out += bytes(-len(blob) % WORD)
