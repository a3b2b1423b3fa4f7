"""Whether this machine lets us limit processes by control groups."""

from __future__ import annotations

import os

from dissever.harness.cluster.keeper.cgroups import Groups
from dissever.harness.missing import Missing

__all__ = ["probe"]


def probe() -> Missing | None:
    """Why not, or None: a group is made, limited, read back and removed."""
    groups = Groups(os.getpid())
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        groups.limit("probe", (), 0.5, 1 << 26)
        readings = groups.readings("probe")
        groups.lift("probe")
    except OSError as error:
        remedy = "run as root, on a machine with the cpu and memory controllers"
        return Missing(f"no control groups: {error.strerror or error}", remedy)
    finally:
        groups.clear(proc)
        os.close(proc)
    if readings["cpu"]["limit"] != 0.5 or readings["memory"]["limit"] != 1 << 26:
        return Missing(f"limits of control groups do not stay: {readings}", "use another machine")
    return None
