"""What happened to a node as the harness saw it: it started, was killed, exited, and so on."""

from __future__ import annotations

from dataclasses import dataclass

MARKS = {"start": "▲", "kill": "✕", "exit": "◆", "pause": "‖", "resume": "▷"}
"""By the stem of the word: `start` and `started` are one."""

OTHER = "●"


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """
    One thing that happened to one node.

    `time_ns` is on the clock of the history. `what` is one word (`started`, `killed`, `exited`);
    `detail` is for people (an exit status, a signal), or empty.
    """

    time_ns: int
    node: str
    what: str
    detail: str = ""

    @property
    def mark(self) -> str:
        """The shape that stands for it in drawings."""
        return next((mark for stem, mark in MARKS.items() if self.what.startswith(stem)), OTHER)
