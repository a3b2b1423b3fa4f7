"""Which runs are meant: what options of `dissever runs` and links of the pages filter by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dissever.harness.references import label
from dissever.harness.results import Verdict
from dissever.runs.index import Stored
from dissever.signature import Signature

NO_VERDICT: Final = "none"
"""Of a run that was not judged, or whose results cannot be read."""

VERDICTS: Final = (*(each.word for each in Verdict), NO_VERDICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    All that is given must hold; nothing given matches every run.

    `faults` must all have been asked for. `verdicts` are words, of which one must be the run's.
    `signature` is one of a run, the beginning of one, or one that covers it.
    """

    system: str = ""
    workload: str = ""
    faults: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    signature: str = ""
    seed: int | None = None
    since: datetime | None = None

    def matches(self, run: Stored) -> bool:
        """Whether this run is meant."""
        return (
            _is_same(self.system, run.system)
            and _is_same(self.workload, run.workload)
            and set(self.faults) <= set(run.faults)
            and (not self.verdicts or word(run) in self.verdicts)
            and (not self.signature or any(map(self._covers, run.signatures)))
            and (self.seed is None or self.seed == run.seed)
            and (self.since is None or run.started_at >= self.since)
        )

    def _covers(self, own: str) -> bool:
        if own == self.signature or own.startswith(f"{self.signature}/"):
            return True
        try:
            return Signature.parsed(self.signature).covers(Signature.parsed(own))
        except ValueError:
            return False

    def of(self, runs: Iterable[Stored]) -> tuple[Stored, ...]:
        """Those that are meant, in their order."""
        return tuple(filter(self.matches, runs))


def word(run: Stored) -> str:
    """The verdict of a run, or that it has none."""
    return NO_VERDICT if run.verdict is None else run.verdict.word


def _is_same(wanted: str, own: str) -> bool:
    """A path names a system as its folder does, too."""
    return wanted in ("", own) or label(wanted) == label(own)
