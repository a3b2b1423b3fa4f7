"""
What happened in a run at least once, by name, so that a campaign can say what never did.

A search that never saw a snapshot installed says nothing about installing snapshots. Names are
`read ok`, `kill held` and, where the simulation recorded its servers, `leader changed` and the
like.

Source: the "sometimes" assertions of Antithesis, and `reachable` of etcd's robustness tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dissever.harness.episodes import episodes_of
from dissever.harness.history import History
from dissever.harness.plan import Options, Plan
from dissever.native.columns import FAIL, INFO, OK
from dissever.nemesis import parse
from dissever.nemesis.faults import FAULTS
from dissever.traces import Line, lines_of

__all__ = ["never", "reached"]

ENDINGS: Final = {OK: "ok", FAIL: "fail", INFO: "info"}

HELD: Final = "held"

SERVERS: Final = (
    "leader changed",
    "two leaders at a time",
    "candidate without success",
    "log shortened",
    "snapshot taken",
    "snapshot installed",
    "unsynced entries lost",
    "message cut",
    "message lost",
    "message to a node that was down",
    "message too late",
    "message corrupt",
    "message duplicated",
)
"""What may happen to servers that are simulated, in the order of reports."""

_OF_ONE: Final = frozenset({"snapshot taken", "unsynced entries lost"})
"""What may happen to a server that is alone."""

_UNDER_FAULTS: Final = frozenset(
    {
        "unsynced entries lost",
        "message cut",
        "message to a node that was down",
        "message too late",
    }
)
"""What asks for a fault, whichever: after all of them, nodes are cut off and all are restarted."""

_ONLY_UNDER: Final[Mapping[str, frozenset[str]]] = {
    "message lost": frozenset(
        {
            *("packet-loss", "packet-rate", "black-hole", "bandwidth"),
            *("netem-loss", "netem-rate"),
        }
    ),
    "message corrupt": frozenset({"netem-corrupt"}),
    "message duplicated": frozenset({"netem-duplicate"}),
}
"""What asks for one of these faults of ours."""

RECORDED: Final = "servers recorded"
"""The run had a record of its servers. Without one, nothing of SERVERS is expected."""

_LOST: Final = {
    "cut": "message cut",
    "loss": "message lost",
    "down": "message to a node that was down",
    "late": "message too late",
    "corrupt": "message corrupt",
}


def reached(history: History, plan: Plan, run: Path) -> tuple[str, ...]:
    """What happened, each name once, sorted."""
    columns = history.columns
    kinds = set(zip(columns.f, columns.type, strict=True))
    names = {f"{columns.fs[f]} {ENDINGS[kind]}" for f, kind in kinds if kind in ENDINGS}
    names |= {f"{each.fault} {HELD}" for each in episodes_of(history, plan.actions).proven}
    return tuple(sorted(names | _of_servers(lines_of(run))))


def never(options: Options, names: Iterable[str]) -> tuple[str, ...]:
    """
    What could have happened in runs of these options, and did in none of them.

    Args:
        names: All that was reached.
    """
    seen = set(names)
    functions = dict.fromkeys(
        name.rpartition(" ")[0] for name in sorted(seen) if name.endswith((" ok", " fail", " info"))
    )
    possible = [f"{f} {ending}" for f in functions for ending in ENDINGS.values()]
    possible += dict.fromkeys(f"{spec.name} {HELD}" for spec in parse(options.faults))
    if RECORDED in seen:
        possible += [name for name in SERVERS if _may_happen(name, options)]
    return tuple(name for name in possible if name not in seen)


def _may_happen(name: str, options: Options) -> bool:
    """Whether one of SERVERS may happen. A fault that is not ours may do everything."""
    if len(options.nodes) == 1 and name not in _OF_ONE:
        return False
    faults = {spec.name for spec in parse(options.faults)}
    if faults - FAULTS.own.keys():
        return True
    if name in _UNDER_FAULTS:
        return bool(faults)
    return name not in _ONLY_UNDER or bool(faults & _ONLY_UNDER[name])


def _of_servers(lines: Iterable[Line]) -> set[str]:
    """What a simulation recorded of its servers."""
    names: set[str] = set()
    leading: dict[str, int] = {}
    """Node -> its term, of those that lead."""

    before: dict[str, Line] = {}
    arrived: set[int] = set()
    has_led = ""
    for line in lines:
        match line.kind:
            case "receive" if line.id is not None:
                if line.id in arrived:
                    names.add("message duplicated")
                arrived.add(line.id)
            case "lost":
                names.add(_LOST.get(line.why, "message lost"))
            case "snapshot":
                names.add(f"snapshot {'installed' if line.how == 'installed' else 'taken'}")
            case "unsynced":
                names.add("unsynced entries lost")
            case "server" if line.node is not None:
                names.add(RECORDED)
                last = before.get(line.node)
                if line.role == "leader":
                    if has_led not in ("", line.node):
                        names.add("leader changed")
                    has_led = line.node
                    leading[line.node] = line.term
                    if len(leading) > 1:
                        names.add("two leaders at a time")
                else:
                    leading.pop(line.node, None)
                if last is not None:
                    if last.role == "candidate" and line.role == "follower":
                        names.add("candidate without success")
                    if line.last < last.last and line.snapshot <= last.snapshot:
                        names.add("log shortened")
                before[line.node] = line
    return names
