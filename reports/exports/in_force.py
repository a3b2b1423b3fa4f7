"""Which faults were in force while an operation lasted, found without a look at each of them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from dissever.harness.episodes import Episode, Episodes


@dataclass(frozen=True, slots=True)
class InForce:
    """The faults of a run: `names` are sorted, and hold from each of `times_ns` to the next."""

    times_ns: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, found: Episodes) -> InForce:
        """Those of a run; the steps of its end are none."""
        times = sorted({time for each in found.strikes for time in (each.start_ns, each.end_ns)})
        between = [
            tuple(sorted({each.fault for each in found.strikes if _covers(each, start, end)}))
            for start, end in pairwise(times)
        ]
        return cls(tuple(times), ((), *between, ()))

    def during(self, start_ns: int, end_ns: int) -> tuple[str, ...]:
        """The names of those that were in force at some time in between, sorted."""
        first, last = (bisect_right(self.times_ns, time) for time in (start_ns, end_ns))
        if first == last:
            return self.names[first]
        return tuple(sorted({name for names in self.names[first : last + 1] for name in names}))


def _covers(episode: Episode, start_ns: int, end_ns: int) -> bool:
    """Whether it is in force all the time in between; one that ends at once counts from then on."""
    is_short = episode.start_ns == episode.end_ns == start_ns
    return episode.start_ns <= start_ns and (episode.end_ns >= end_ns or is_short)
