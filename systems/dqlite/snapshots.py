"""Which snapshots a node holds, by the names of its files. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dissever.harness.system import Snapshot

_SNAPSHOT = re.compile(r"snapshot-\d+-(\d+)-\d+\.meta")
_SEGMENT = re.compile(r"(\d{16})-\d{16}")


def snapshots_of(names: Sequence[str]) -> frozenset[Snapshot]:
    """
    By the names of raft's files: `snapshot-<term>-<index>-<time>.meta`, and `<first>-<last>`.

    A node that takes a snapshot keeps entries before it; one that installs a snapshot keeps none.
    """
    firsts = [int(found[1]) for name in names if (found := _SEGMENT.fullmatch(name))]
    return frozenset(
        Snapshot(name, all(first > int(found[1]) for first in firsts))
        for name in names
        if (found := _SNAPSHOT.fullmatch(name))
    )
