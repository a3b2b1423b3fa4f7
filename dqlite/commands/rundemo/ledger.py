"""
What three nodes reported about one sequence of rows, and what of it is missing. Pure.

Row i of the table holds i: in one transaction, a leader counts the rows and appends the numbers
that follow. So two transactions that were acknowledged for the same numbers mean that the first was
lost, in whatever order the reports arrive; and a row that holds another number means that one
before it was lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


def count_missing(numbers: Sequence[object]) -> int:
    """Return how many positions of a table do not hold their own number."""
    return sum(number != index for index, number in enumerate(numbers))


@dataclass(slots=True)
class Ledger:
    """
    Collects what was acknowledged.

    Attributes:
        missing_inside: The most positions that any transaction found to hold another number.
        acknowledged: First number and count of rows of each commit.
    """

    missing_inside: int = 0
    acknowledged: list[tuple[int, int]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were acknowledged."""
        return sum(count for _, count in self.acknowledged)

    def committed(self, first: int, rows: int, missing: int) -> None:
        """Note a transaction that was acknowledged, and what it found to be missing."""
        self.missing_inside = max(self.missing_inside, missing)
        self.acknowledged.append((first, rows))

    def missing(self, final: Sequence[object]) -> int:
        """
        Return how many acknowledged rows are missing, 0 if all is well.

        Args:
            final: The table as a transaction with a quorum read it after all others.
        """
        end = max((first + count for first, count in self.acknowledged), default=0)
        beyond = max(end - len(final), 0)
        return max(self.missing_inside, count_missing(final) + beyond) + self._overwritten()

    def _overwritten(self) -> int:
        """Rows of commits whose numbers were given to another one: they were lost in between."""
        ordered = sorted(self.acknowledged)
        lost, end = 0, 0
        for first, count in ordered:
            lost += max(min(end, first + count) - first, 0)
            end = max(end, first + count)
        return lost
