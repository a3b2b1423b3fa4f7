"""
Known bugs of dqlite, each with a test that shows it in the libraries that have it.

`dissever reproduce` runs them. What a bug is, and how it is shown, is in `bug`.
"""

from collections.abc import Mapping

from dissever.systems.dqlite.bugs.bug import RELEASES, Bug, Directed, Searched
from dissever.systems.dqlite.bugs.directed import (
    GHOST_WRITE,
    HOSTILE_HEADER,
    NAME_PREFIX,
    OPEN_TRANSACTION,
    PARTIAL_ROWS,
    RETURNING,
    RETURNING_RUN,
)
from dissever.systems.dqlite.bugs.searched import (
    DISK_ERROR_CRASH,
    FULL_DISK_ABORT,
    HEAP_CORRUPTION,
    LOST_WRITES,
    REPLICAS_DIFFER,
    STALE_READ,
    STUCK,
)

__all__ = ["BUGS", "RELEASES", "Bug", "Directed", "Searched"]

BUGS: Mapping[str, Bug] = {
    bug.name: bug
    for bug in (
        LOST_WRITES,
        REPLICAS_DIFFER,
        STALE_READ,
        GHOST_WRITE,
        RETURNING,
        RETURNING_RUN,
        STUCK,
        DISK_ERROR_CRASH,
        HEAP_CORRUPTION,
        FULL_DISK_ABORT,
        PARTIAL_ROWS,
        NAME_PREFIX,
        OPEN_TRANSACTION,
        HOSTILE_HEADER,
    )
}
"""Every known bug by its name."""
