"""What happened to a node as the harness saw it: it started, was killed, exited, and so on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """
    One thing that happened to one node.

    `time_ns` is on the clock of the history. `what` is one word (`start`, `kill`, `exit`); `detail`
    is for people (an exit status, a signal), or empty.
    """

    time_ns: int
    node: str
    what: str
    detail: str = ""
