"""Several faults cut at the same time: each knows only its own part."""

from __future__ import annotations

import asyncio
from typing import Any

from dissever.nemesis.partitions.cuts import Cuts, LinkEvidence

FIRST, SECOND = {"n2": frozenset({"n1"})}, {"n4": frozenset({"n3"})}


def test_a_second_cut_leaves_the_first_in_force(cluster: Any) -> None:
    async def both() -> None:
        cuts = Cuts(cluster)
        await cuts.add("first", FIRST)
        await cuts.add("second", SECOND)

    asyncio.run(both())

    assert cluster.grudge == FIRST | SECOND


def test_healing_one_cut_leaves_the_other_in_force(cluster: Any) -> None:
    async def one_of_two() -> None:
        cuts = Cuts(cluster)
        await cuts.add("first", FIRST)
        await cuts.add("second", SECOND)
        await cuts.remove("first")

    asyncio.run(one_of_two())

    assert cluster.grudge == SECOND


def test_only_a_cut_that_counts_and_does_not_leak_holds() -> None:
    link = ("n1", "n2")
    sound: dict[str, Any] = {
        "links": (link,), "leaking": (), "uncounted": (), "lost": (), "dropped": {link: 1}
    }  # fmt: skip

    assert LinkEvidence(**sound).is_held
    for name in ("leaking", "uncounted", "lost"):
        assert not LinkEvidence(**{**sound, name: (link,)}).is_held, name
    assert not LinkEvidence(**{**sound, "links": ()}).is_held
    assert LinkEvidence(**sound).is_healed
    assert not LinkEvidence(**{**sound, "lost": (link,)}).is_healed
