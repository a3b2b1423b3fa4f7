"""
The runs that are kept: found, filtered, compared, followed while they are made, and removed.

Nothing in here trusts what lies in the folder of runs. No link is followed, no path leaves it, and
what cannot be read is said in one line.
"""

from dissever.runs.index import LATEST, Index, State, Stored, index, look
from dissever.runs.query import NO_VERDICT, Query

__all__ = ["LATEST", "NO_VERDICT", "Index", "Query", "State", "Stored", "index", "look"]
