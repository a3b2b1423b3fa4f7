"""
Which faults were in force around a moment of a run, in words.

An injection takes time, and a fault may strike at any moment of it. So a fault whose injection had
begun and had not completed is named, too, as one that was being injected. The cut at the end of a
run is a step of it, and no fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dissever.harness.episodes import Episode, Episodes
from dissever.reports.labels import time_text

JUST_BEFORE_NS = 5_000_000_000
"""A fault that healed so long before may still be a cause: a system takes time to get over it."""

TOLD_MAX = 4
"""So many faults are told each, with their times."""

HEALED_BEFORE = ", healed just before"


def phrase(episode: Episode) -> str:
    """A fault, its targets, and from when to when it was in force."""
    span = f"from {time_text(episode.start_ns)} to {time_text(episode.end_ns)}"
    return f"{short_phrase(episode)} {span}"


def short_phrase(episode: Episode) -> str:
    """A fault and its targets."""
    where = f" ({', '.join(episode.targets)})" if episode.targets else ""
    return f"{episode.fault}{where}"


def in_force(found: Episodes, start_ns: int, end_ns: int) -> list[Episode]:
    """The faults in force at some time in between, in their order."""
    return [each for each in found.strikes if each.overlaps(start_ns, end_ns)]


def being_injected(found: Episodes, start_ns: int, end_ns: int) -> list[Episode]:
    """The faults that were being injected at some time in between, and not in force yet."""
    return [
        each for each in found.strikes if each.injection.invocation.time <= end_ns < each.start_ns
    ]


def healed_before(found: Episodes, time_ns: int) -> Episode | None:
    """The last fault that healed before a moment, if that was not long ago."""
    before = [each for each in found.strikes if 0 < time_ns - each.end_ns < JUST_BEFORE_NS]
    return max(before, key=lambda each: each.end_ns, default=None)


def phrases(found: Episodes, start_ns: int, end_ns: int) -> tuple[str, ...]:
    """A phrase for each fault in force or being injected, after one for what healed just before."""
    told = [phrase(each) for each in in_force(found, start_ns, end_ns)]
    told += [_injection_phrase(each) for each in being_injected(found, start_ns, end_ns)]
    before = healed_before(found, start_ns)
    if before is not None:
        told.insert(0, phrase(before) + HEALED_BEFORE)
    return tuple(told)


def around_operations(found: Episodes, spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """
    As `phrases`, from the start of the first operation to the end of the last.

    Of more than `TOLD_MAX` faults, those that met none of the operations are only counted.
    """
    if not spans:
        return ()
    start_ns, end_ns = min(start for start, _ in spans), max(end for _, end in spans)
    told = phrases(found, start_ns, end_ns)
    if len(told) <= TOLD_MAX:
        return told
    met = dict.fromkeys(
        each for start, end in spans for each in phrases(found, start, end) if each in told
    )
    others = Counter(
        each.fault for each in in_force(found, start_ns, end_ns) if phrase(each) not in met
    )
    counted = ", ".join(f"{fault} {_times(count)}" for fault, count in others.items())
    before = [each for each in told[:1] if each not in met and each.endswith(HEALED_BEFORE)]
    between = [f"between these operations {counted}"] if counted else []
    return (*before, *met, *between)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def brief(found: Episodes, start_ns: int, end_ns: int) -> str:
    """The same for a cell of a table: `partition (n2), kill (n1)`; `none` without."""
    told = [short_phrase(each) for each in in_force(found, start_ns, end_ns)]
    told += [
        f"{short_phrase(each)}, being injected" for each in being_injected(found, start_ns, end_ns)
    ]
    before = healed_before(found, start_ns)
    if not told and before is not None:
        told = [f"{short_phrase(before)}, just healed"]
    return ", ".join(dict.fromkeys(told)) or "none"


def _injection_phrase(episode: Episode) -> str:
    asked = time_text(episode.injection.invocation.time)
    return f"{short_phrase(episode)}, being injected from {asked} to {time_text(episode.start_ns)}"
