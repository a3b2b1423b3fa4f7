"""
A cluster that looks dead: operations of clients end, and none has succeeded for a long time.

Only an operation that ends without success can show it. So a phase without operations, such as the
recovery at the end, never counts. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dissever.harness.history import Event, Type

DEAD_S: Final = 60.0
"""After this time without a success a cluster counts as dead."""


class DeadCluster(Exception):
    """The run was asked to end when the cluster is dead, and it is."""


@dataclass(slots=True)
class Silence:
    """Hears the events of a run in order."""

    limit_s: float = DEAD_S
    since_ns: int = 0
    """When an operation last succeeded, or when the run began."""

    is_dead: bool = False

    def hear(self, event: Event) -> bool:
        """Take in an event. Returns: whether the cluster counts as dead from this event on."""
        if not isinstance(event.process, int) or event.type is Type.INVOKE:
            return False
        was_dead = self.is_dead
        if event.type is Type.OK:
            self.since_ns, self.is_dead = event.time, False
        else:
            self.is_dead = event.time - self.since_ns >= self.limit_s * 1e9
        return self.is_dead and not was_dead
