"""The options of the system `raft`, and what they mean for the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulator import SERVERS_MAX
from dissever.harness.options import Option, values
from dissever.harness.plan import Options

__all__ = ["LOCAL", "OPTIONS", "check_options", "option", "settings_of", "variant_of"]

LOCAL: Final = "local"
YES: Final = "yes"
DEPLOYED: Final = "deployed"
EXAGGERATED: Final = "exaggerated"

TIMINGS: Final[Mapping[str, Mapping[str, str]]] = {
    DEPLOYED: {},
    EXAGGERATED: {
        "election_ms": "300",
        "heartbeat_ms": "50",
        "snapshot_threshold": "64",
        "snapshot_trailing": "16",
        "straggler": "0.01",
    },
}
"""
Settings of the simulator by the name of the timings. Its own defaults are those of a deployed
dqlite. No deployment has the exaggerated ones: rare steps become frequent with them.
"""

ELECTION_MS: Final = 3000
HEARTBEAT_MS: Final = 500
"""The simulator's own defaults."""

LIBRARIES: Final = ("0.15.0", "0.22.1", "1.18.1", "1.18.7")

BREAKS: Final = (
    "lose-acknowledged",
    "forget-vote",
    "forget-term",
    "alter-entry",
    "alter-snapshot",
    "crash",
    "any-vote",
    "commit-back",
    "free-twice",
    "send-to-nobody",
)

OPTIONS: Final[Mapping[str, Option]] = {
    "library": Option(
        "which library runs: libraft 0.15.0 (Debian 12) or 0.22.1 (Debian 13), or the raft inside"
        " libdqlite 1.18.1 or 1.18.7",
        default="0.22.1",
        choices=LIBRARIES,
    ),
    "timings": Option(
        f"times and sizes: {DEPLOYED} (elections after 3 s, snapshots every 1,024 entries), or"
        f" {EXAGGERATED} (after 0.3 s, every 64 entries), which no deployment has and which show"
        " more",
        default=DEPLOYED,
        choices=tuple(TIMINGS),
        explored=EXAGGERATED,
    ),
    "read": Option(
        "how reads are served: through the log, which is linearizable, or from the state of the"
        f" server that believes that it leads ({LOCAL}), which promises no more than sequential"
        " reads",
        default="log",
        choices=("log", LOCAL),
    ),
    "election-ms": Option("the time-out of elections", least=10, most=60_000),
    "heartbeat-ms": Option("the time between heartbeats", least=1, most=10_000),
    "snapshot-threshold": Option("entries after which a snapshot is taken", least=1, most=1 << 20),
    "snapshot-trailing": Option("entries that are kept before it", least=1, most=1 << 20),
    "pre-vote": Option("whether candidates ask first if they could win", choices=(YES, "no")),
    "break": Option(
        "a way to break the servers on purpose, so that an invariant is seen to fail",
        choices=BREAKS,
    ),
}

_NUMBERS: Final = ("election-ms", "heartbeat-ms", "snapshot-threshold", "snapshot-trailing")


def option(options: Options, name: str) -> Any:
    """The value of one of them: the default where the run's options leave it out."""
    return values(OPTIONS, options.system_options)[name]


def variant_of(options: Options | None) -> str:
    """The program's variant; None: the simulator by default."""
    if options is None:
        return f"raft-{OPTIONS['library'].default}"
    kind = "raft" if options.backend == SIMULATED else "node"
    return f"{kind}-{option(options, 'library')}"


def settings_of(given: Mapping[str, Any]) -> dict[str, str]:
    """
    What a simulator or a node is told: the settings of the timings, and what is asked for by
    itself. `given`: the system's options, as of a run.
    """
    settings = {"bootstrap": "all", **TIMINGS[given.get("timings") or DEPLOYED]}
    for name in (*_NUMBERS, "break"):
        if (value := given.get(name)) is not None:
            settings[name.replace("-", "_")] = str(value)
    if (pre_vote := given.get("pre-vote")) is not None:
        settings["pre_vote"] = str(int(pre_vote == YES))
    return settings


def check_options(options: Options) -> None:
    """Raises ValueError when these make no cluster."""
    if len(options.nodes) > SERVERS_MAX:
        raise ValueError(f"expected 1 to {SERVERS_MAX} nodes of raft, got {len(options.nodes)}")
    settings = settings_of(options.system_options)
    if options.backend != SIMULATED and "break" in settings:
        raise ValueError(f"expected --break on simulated servers, got it on {options.backend}")
    election_ms = int(settings.get("election_ms", ELECTION_MS))
    heartbeat_ms = int(settings.get("heartbeat_ms", HEARTBEAT_MS))
    if heartbeat_ms >= election_ms:
        raise ValueError(
            "expected heartbeats more often than elections time out, got --heartbeat-ms"
            f" {heartbeat_ms} and --election-ms {election_ms}"
        )
