"""
Wald's sequential probability ratio test: does it fail as often as it did, or hardly ever? Pure.

Attempts on real nodes cost a minute, and a run that fails by chance fails only sometimes. The test
asks for as few attempts as the two errors allow, and for no more than a limit.

Source: Wald, "Sequential Tests of Statistical Hypotheses", 1945.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["Test", "strict_test_of", "test_of"]


class Test(msgspec.Struct, frozen=True):
    """
    Tells a share of failures of `often` from one of `seldom`.

    `falsely_accepted` bounds how often a candidate counts as failing that fails `seldom`, and
    `falsely_rejected` how often one does not count that fails `often`. After `limit` attempts a
    candidate that is not decided does not count.
    """

    __test__ = False

    often: float
    seldom: float
    falsely_accepted: float = 0.05
    falsely_rejected: float = 0.1
    limit: int = 30

    def __post_init__(self) -> None:
        if not 0 < self.seldom < self.often < 1:
            expected = "expected shares with 0 < seldom < often < 1"
            raise ValueError(f"{expected}, got {self.seldom:g} and {self.often:g}")

    def decision(self, failed: int, runs: int) -> bool | None:
        """Whether it fails often enough; None: another attempt is needed."""
        ratio = failed * math.log(self.often / self.seldom)
        ratio += (runs - failed) * math.log((1 - self.often) / (1 - self.seldom))
        if ratio >= math.log((1 - self.falsely_rejected) / self.falsely_accepted):
            return True
        if ratio <= math.log(self.falsely_rejected / (1 - self.falsely_accepted)):
            return False
        return False if runs >= self.limit else None


def test_of(failed: int, runs: int, limit: int) -> Test:
    """The test for a run that was seen to fail so often: a third of that is hardly ever."""
    often = min(0.95, max(0.05, failed / runs))
    return Test(often, often / 3, limit=limit)


def strict_test_of(failed: int, runs: int, limit: int) -> Test:
    """
    The test for what is kept: half as often is too seldom. Five failures of five are not taken for
    certain, so the share is that of Laplace's rule of succession.
    """
    often = (failed + 1) / (runs + 2)
    return Test(often, often / 2, limit=limit)
