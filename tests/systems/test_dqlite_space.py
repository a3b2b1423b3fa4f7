"""A node that cannot start for want of room: the cause is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dissever.harness.cluster import Command, Disk
from dissever.systems.dqlite.space import lack_of_room

HEAD = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"


class Hosts:
    """What `df` says on each node; an exception is raised instead."""

    def __init__(self, *said: str | OSError) -> None:
        self._said = {f"n{number}": each for number, each in enumerate(said, 1)}
        self.nodes = tuple(self._said)

    def disk(self, node: str) -> Disk:
        return Disk(f"/{node}/data")

    async def command(self, node: str, argv: Sequence[str]) -> Command:
        assert argv[-1] == f"/{node}/data"
        said = self._said[node]
        if isinstance(said, OSError):
            raise said
        return Command(0, said, "")


def _free(kib: int) -> str:
    return f"{HEAD}none 20480 {20480 - kib} {kib} 81% /data\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ((_free(1 << 20), _free(1 << 21)), ""),
        ((_free(0),), "the disk of n1 has 0.0 MiB left, and a node needs 16 MiB"),
        (
            (_free(4068), _free(4068), _free(1 << 20)),
            "the disk of n1, n2 has 4.0 MiB left, and a node needs 16 MiB",
        ),
        ((OSError("no df"), ""), ""),
        ((f"{HEAD}", "nonsense"), ""),
    ],
)
def test_disk_without_room_is_named(said: Any, told: str) -> None:
    assert asyncio.run(lack_of_room(Hosts(*said))) == told  # type: ignore[arg-type]
