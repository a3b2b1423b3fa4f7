"""The options that dqlite has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulator import check_nodes
from dissever.harness.names import NODES_MAX
from dissever.harness.options import Option, values
from dissever.harness.plan import Options
from dissever.systems.dqlite import images

__all__ = [
    "EXAGGERATED",
    "LATENCY_MS",
    "LIBRARIES",
    "OPTIONS",
    "QUORUM",
    "TOKENS",
    "check_backend",
    "option",
    "voters_of",
]

LIBRARIES: Final = ("1.18.7",)
"""The releases that can be simulated; the first is the default."""

EXAGGERATED: Final = "exaggerated"

LATENCY_MS: Final = 40
"""The library's network latency: heartbeats every 1.5 times, elections after 15 times as long."""

QUORUM: Final = "quorum"

DEFERRED: Final = "deferred"

TOKENS: Final = "tokens"

OPTIONS: Mapping[str, Option] = {
    "begin": Option(
        "when a transaction takes the write lock: with its first write (`deferred`; one that has"
        " read before is refused if others have committed meanwhile), or at once (`immediate`)",
        default=DEFERRED,
        choices=(DEFERRED, "immediate"),
    ),
    "commits": Option(
        "how writes are committed: `plain`, where a lost answer leaves an operation info, or with"
        " `tokens`, by which it is resolved to ok or fail within the operation limit; every write"
        " is then a transaction that writes its token first",
        default="plain",
        choices=("plain", TOKENS),
    ),
    "consistency": Option(
        "how reads are served: by a plain SELECT at the leader, which promises no more than"
        " sequential reads, or after a write that proves that it still leads",
        default=QUORUM,
        choices=("leader", QUORUM),
    ),
    "latency-ms": Option(
        f"latency that the nodes assume ({LATENCY_MS}); elections take 15 times it",
        default=LATENCY_MS,
        least=1,
        most=10_000,
    ),
    "voters": Option("how many nodes vote (all); the others stand by", least=1, most=NODES_MAX),
    "version": Option(
        "in containers: "
        + ", ".join(f"{name} ({what})" for name, what in images.VERSIONS.items())
        + f"; {images.DEFAULT} by default; in namespaces: the path of a library; "
        "several, with commas, are dealt to the nodes"
    ),
    "upgrade-to": Option("the version that the fault upgrade gives to nodes"),
    "library": Option(
        f"with --backend simulated: the release of libdqlite ({LIBRARIES[0]})", choices=LIBRARIES
    ),
    "timings": Option(
        "with --backend simulated: when snapshots are taken, and how many entries are kept behind"
        " them: as in our real clusters, or so often that more of their paths are met",
        choices=("deployed", EXAGGERATED),
        explored=EXAGGERATED,
    ),
}


def check_backend(options: Options) -> None:
    """
    Look at which options are for which backend, and how many nodes it can have.

    Raises:
        ValueError: For an option of another backend, with the backends that have it; for too many
            nodes.
    """
    is_simulated = options.backend == SIMULATED
    others = ("version", "upgrade-to") if is_simulated else ("library", "timings")
    where = "namespaces or containers" if is_simulated else "simulated"
    for name in others:
        if options.system_options.get(name) is not None:
            raise ValueError(
                f"expected --{name} with --backend {where}, got it with {options.backend}"
            )
    if is_simulated:
        check_nodes(options.nodes)


def option(options: Options, name: str) -> Any:
    """The value of one of them: the default where the run's options leave it out."""
    return values(OPTIONS, options.system_options)[name]


def voters_of(options: Options) -> tuple[str, ...]:
    """The nodes that vote when a run begins."""
    return options.nodes[: option(options, "voters")]
