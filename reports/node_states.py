"""
What the nodes of a run were, change by change: the lines of `nodes.jsonl`.

A line that holds something else is passed over and counted. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from dissever.harness.values import printable, shorten

STATES_MAX: Final = 20_000
NAME_CHARACTERS_MAX: Final = 60
SNAPSHOTS_MAX: Final = 100


class _Line(msgspec.Struct, frozen=True):
    time: int
    kind: str
    unix_ns: int | None = None
    node: str | None = None
    state: str | None = None
    incarnation: int | None = None
    leads: bool | None = None
    snapshots: list[str] | None = None


@dataclass(frozen=True, slots=True)
class NodeState:
    """
    What a node is from a time on.

    `process` is what the kernel says of its process, such as `running`; empty: it was not seen.
    `leads`: whether the system says that it leads; None: no answer came in time. `snapshots`: None:
    nobody listed them.
    """

    time_ns: int
    node: str
    process: str
    incarnation: int | None
    leads: bool | None
    snapshots: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NodeStates:
    """
    The states of all nodes by time, and the time of the world at which the run began.

    `was_asked`: whether the system ever said who leads. `broken` counts lines that hold something
    else, and `left_out` the changes past STATES_MAX.
    """

    states: tuple[NodeState, ...] = ()
    began_unix_ns: int | None = None
    broken: int = 0
    left_out: int = 0

    @property
    def was_asked(self) -> bool:
        return any(state.leads is not None for state in self.states)


def read_states(lines: Iterable[bytes]) -> NodeStates:
    """The states that the lines of the file give, at most STATES_MAX."""
    decode = msgspec.json.Decoder(_Line).decode
    states: list[NodeState] = []
    began_unix_ns, broken, left_out = None, 0, 0
    for text in lines:
        try:
            line = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            broken += 1
            continue
        if line.kind == "clock":
            began_unix_ns = line.unix_ns
        elif line.kind == "node" and line.node and len(states) >= STATES_MAX:
            left_out += 1
        elif line.kind == "node" and line.node:
            states.append(
                NodeState(
                    line.time,
                    _name(line.node),
                    _name(line.state or ""),
                    line.incarnation,
                    line.leads,
                    None
                    if line.snapshots is None
                    else tuple(map(_name, line.snapshots[:SNAPSHOTS_MAX])),
                )
            )
    states.sort(key=lambda state: state.time_ns)
    return NodeStates(tuple(states), began_unix_ns, broken, left_out)


def _name(text: str) -> str:
    return shorten(printable(text), NAME_CHARACTERS_MAX)
