"""
Transactions over rows, some of which select by a predicate: write skew and phantoms, from outside.

`recorded.py` reads a history, `versions.py` orders the versions of each row, `dependencies.py` says
which transactions must come before which, `replay.py` proves an order, and `lists.py` leaves what
has no predicate to the checker of lists.
"""

from dissever.checkers.rows.checker import Rows

__all__ = ["Rows"]
