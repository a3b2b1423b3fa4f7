"""How long a run took to start, in words: it ended before time 0, where the timeline begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dissever.harness.plan import Start
from dissever.harness.values import printable, shorten
from dissever.reports.labels import duration_text

LONG_NS: Final = 10_000_000_000
"""A start that took at least as long is told below the verdict."""

WAITS_MAX: Final = 3
WAIT_NS_MIN: Final = 100_000_000
WORD_CHARACTERS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class StartView:
    """`waits` is what was waited for, longest first; `sentence` is empty for a short start."""

    took: str
    waits: str
    sentence: str


def start_view(start: Start | None) -> StartView | None:
    """The start in words; None when nobody measured it."""
    if start is None:
        return None
    by_length = sorted(start.waits, key=lambda wait: -wait.took_ns)
    waits = ", ".join(
        f"{duration_text(wait.took_ns)} {shorten(printable(wait.what), WORD_CHARACTERS_MAX)}"
        for wait in by_length[:WAITS_MAX]
        if wait.took_ns >= WAIT_NS_MIN
    )
    took = duration_text(start.took_ns)
    sentence = ""
    if start.took_ns >= LONG_NS:
        why = f", of which {waits}" if waits else ""
        sentence = (
            f"The start was long: the first operation came after {took}{why}. "
            "The timeline begins after it."
        )
    return StartView(took, waits, sentence)
