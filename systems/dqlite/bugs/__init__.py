"""
Known bugs of dqlite, each with a test that shows it in the libraries that have it: one file each.

`dissever reproduce` runs them. What a bug is, and how it is shown, is in `bug`.
"""

from collections.abc import Mapping

from dissever.systems.dqlite.bugs.bug import RELEASES, Bug, Directed, Searched
from dissever.systems.dqlite.bugs.full_disk_abort import FULL_DISK_ABORT
from dissever.systems.dqlite.bugs.ghost_write import GHOST_WRITE
from dissever.systems.dqlite.bugs.heap_corruption import HEAP_CORRUPTION
from dissever.systems.dqlite.bugs.lost_writes import LOST_WRITES
from dissever.systems.dqlite.bugs.name_prefix import NAME_PREFIX
from dissever.systems.dqlite.bugs.partial_rows import PARTIAL_ROWS
from dissever.systems.dqlite.bugs.returning import RETURNING, RETURNING_RUN
from dissever.systems.dqlite.bugs.stale_read import STALE_READ
from dissever.systems.dqlite.bugs.stuck import STUCK

__all__ = ["BUGS", "RELEASES", "Bug", "Directed", "Searched"]

BUGS: Mapping[str, Bug] = {
    bug.name: bug
    for bug in (
        LOST_WRITES,
        STALE_READ,
        GHOST_WRITE,
        RETURNING,
        RETURNING_RUN,
        STUCK,
        HEAP_CORRUPTION,
        FULL_DISK_ABORT,
        PARTIAL_ROWS,
        NAME_PREFIX,
    )
}
"""Every known bug by its name."""
