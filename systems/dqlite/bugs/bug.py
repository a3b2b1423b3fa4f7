"""What a known bug is: which releases have it, and the test that shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.deployment import DqliteDeployment

__all__ = ["RELEASES", "Bug", "Directed", "Say", "Searched"]

RELEASES = ("1.11.1", "1.18.1", "1.18.7")
"""The releases of libdqlite that Debian 12, 13 and sid have; a bug names those that have it."""

Say: TypeAlias = Callable[[str], None]
"""Shows the user one line of what was seen."""

NODES = ("n1", "n2", "n3")


@dataclass(frozen=True, slots=True)
class Directed:
    """
    Fixed steps on a fresh cluster of `nodes`.

    `attempt` takes them once and returns whether the bug showed; when it raises, the bug could not
    be tried. After `attempts` tries without the bug, the release counts as free of it.
    """

    attempt: Callable[[DqliteDeployment, Say], Awaitable[bool]]
    latency_ms: int = 20
    attempts: int = 3
    nodes: tuple[str, ...] = NODES

    @property
    def options(self) -> tuple[Options, ...]:
        """What the cluster is made of."""
        settings = {"latency-ms": self.latency_ms}
        return (
            Options(system="dqlite", workload="set", nodes=self.nodes, system_options=settings),
        )


@dataclass(frozen=True, slots=True)
class Searched:
    """
    A workload under faults, judged by its checkers, with one seed after another.

    `signs` gives the sentences that show the bug; none when it did not show. Each of `options` that
    this machine can run is used in turn.
    """

    options: tuple[Options, ...]
    signs: Callable[[Results, History], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bug:
    """
    `releases`: those of `RELEASES` that have it. `references`: where it was reported, if it was.
    """

    name: str
    summary: str
    releases: tuple[str, ...]
    references: str
    test: Directed | Searched
