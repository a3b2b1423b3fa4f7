"""
What a statement gave, and the position of a cursor in it.

Source: PEP 249, Cursor Objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dqlite.dbapi.values import Row, type_of
from dqlite.errors import Refused

Description: TypeAlias = tuple[tuple[str, type | None, None, None, None, None, None], ...]
"""Name and type code of each column; servers tell nothing else."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a statement gave.

    Attributes:
        columns: Their names; None if it gives no rows.
        rowcount: How many rows it gave or changed; -1 where that means nothing.
        lastrowid: Of an INSERT or REPLACE.
    """

    columns: tuple[str, ...] | None = None
    rows: Sequence[Row] = ()
    rowcount: int = -1
    lastrowid: int | None = None


NO_ROWS: Final = Outcome()


@dataclass(slots=True)
class Fetched:
    """An outcome and how much of it was fetched."""

    outcome: Outcome = NO_ROWS
    position: int = field(default=0)

    @property
    def description(self) -> Description | None:
        """Of the columns; the type codes are those of the first row that has a value there."""
        columns = self.outcome.columns
        if columns is None:
            return None
        return tuple(
            (name, self._type_code(index), None, None, None, None, None)
            for index, name in enumerate(columns)
        )

    def take(self, count: int | None) -> list[Row]:
        """
        Return the next rows, at most `count`; None for all that are left.

        Raises:
            Refused: If the last statement gave no rows, or there was none.
        """
        if self.outcome.columns is None:
            raise Refused("nothing to fetch: the last statement gave no rows")
        rows = self.outcome.rows
        end = len(rows) if count is None else min(self.position + max(count, 0), len(rows))
        taken = list(rows[self.position : end])
        self.position = end
        return taken

    def take_one(self) -> Row | None:
        """Return the next row; None if there are no more."""
        if self.outcome.columns is not None and self.position < len(self.outcome.rows):
            self.position += 1
            return self.outcome.rows[self.position - 1]
        rows = self.take(1)
        return rows[0] if rows else None

    def _type_code(self, index: int) -> type | None:
        codes = (type_of(row[index]) for row in self.outcome.rows[:_ROWS_LOOKED_AT])
        return next((code for code in codes if code is not None), None)


_ROWS_LOOKED_AT = 100
