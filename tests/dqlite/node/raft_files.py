"""Files of raft made by hand, after `uv_encoding.c` of raft, and independent of the reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POLYNOMIAL = 0x04C11DB7
ROLES = {0: 1, 1: 0, 2: 2}
"""Role on the wire -> on disk."""


@dataclass(frozen=True)
class Made:
    """An entry to write; types are 1 command, 2 barrier, 3 change."""

    term: int
    type: int = 1
    data: bytes = b"\1\1" + bytes(6) + b"db\0\0\0\0\0\0"


def crc(data: bytes, value: int = 0) -> int:
    """Bit by bit, as the definition says."""
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (POLYNOMIAL if value & 1 << 31 else 0)) & 0xFFFFFFFF
    return value


def batch(entries: Sequence[Made]) -> bytes:
    header = struct.pack("<Q", len(entries)) + b"".join(
        struct.pack("<QB3xI", each.term, each.type, len(each.data)) for each in entries
    )
    data = b"".join(each.data for each in entries)
    return struct.pack("<II", crc(header), crc(data)) + header + data


def segment(*batches: Sequence[Made], zeros: int = 0) -> bytes:
    return struct.pack("<Q", 1) + b"".join(map(batch, batches)) + bytes(zeros)


def closed(directory: Path, first: int, *batches: Sequence[Made]) -> Path:
    last = first + sum(map(len, batches)) - 1
    path = directory / f"{first:016}-{last:016}"
    path.write_bytes(segment(*batches))
    return path


def configuration(*members: tuple[int, str, int]) -> bytes:
    """Members as id, address, role on the wire."""
    text = struct.pack("<BQ", 1, len(members)) + b"".join(
        struct.pack("<Q", node_id) + address.encode() + b"\0" + bytes([ROLES[role]])
        for node_id, address, role in members
    )
    return text + bytes(-len(text) % 8)


def change(term: int, *members: tuple[int, str, int]) -> Made:
    return Made(term, 3, configuration(*members))


def frames(database: str, pages: Sequence[int], page_size: int = 512) -> bytes:
    name = database.encode() + b"\0"
    return b"".join(
        (
            struct.pack("<BB6x", 1, 2),
            name + bytes(-len(name) % 8),
            struct.pack("<QIB3x", 0, 0, 1),
            struct.pack("<IH2x", len(pages), page_size),
            struct.pack(f"<{len(pages)}Q", *pages),
            bytes(page_size * len(pages)),
        )
    )


def metadata(directory: Path, number: int, version: int, term: int, vote: int = 0) -> None:
    path = directory / f"metadata{number}"
    path.write_bytes(struct.pack("<4Q", 1, version, term, vote))


def snapshot(
    directory: Path, term: int, index: int, *members: tuple[int, str, int], timestamp: int = 7
) -> Path:
    path = directory / f"snapshot-{term}-{index}-{timestamp}"
    path.write_bytes(b"data" * 16)
    text = configuration(*members)
    head = struct.pack("<QQ", 1, len(text))
    whole = struct.pack("<QQ", 1, crc(head + text)) + head + text
    path.with_name(f"{path.name}.meta").write_bytes(whole)
    return path
