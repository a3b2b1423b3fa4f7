"""The end of a process that nobody asked for: how, what it said last, which faults, what then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dissever.harness.episodes import Episodes, evidence, is_shown
from dissever.harness.latency import Successes
from dissever.harness.results import Anomaly
from dissever.reports.around import brief, phrases
from dissever.reports.details import UnaskedEnd
from dissever.reports.labels import duration_text, time_text

UNKNOWN = "nobody knows"
STDOUT = "stdout"
NOTHING_SAID = "none: stderr is empty"


@dataclass(frozen=True, slots=True)
class CrashCard:
    """
    An end with what belongs to it.

    `how` is the signal or the exit status. `faults` were in force then, and `faults_brief` says the
    same in short. `followed` are sentences, the last of them about the recovery, if it failed.
    """

    end: UnaskedEnd
    how: str
    when: str
    faults: tuple[str, ...]
    faults_brief: str
    followed: tuple[str, ...]

    @property
    def is_silent(self) -> bool:
        """
        Whether stderr is empty: the lines are of stdout, and none of them is fatal.

        What a node prints there says nothing about its end, such as that it is ready.
        """
        name = self.end.log.rpartition("/")[2]
        return bool(self.end.words) and self.end.fatal is None and name.startswith(STDOUT)

    @property
    def last_word(self) -> str:
        """The one line that says most: the fatal one, else the last one; empty without lines."""
        words = self.end.words
        if self.is_silent:
            return NOTHING_SAID
        if not words:
            return ""
        return words[self.end.fatal if self.end.fatal is not None else -1]


def crash_card(end: UnaskedEnd, found: Episodes, successes: Successes) -> CrashCard | None:
    """The card of an end; None for results of earlier versions, which say too little."""
    if not end.node:
        return None
    time_ns = end.time_ns
    return CrashCard(
        end=end,
        how=end.signal or f"exit status {end.exit_status}",
        when=UNKNOWN if time_ns is None else time_text(time_ns),
        faults=() if time_ns is None else phrases(found, time_ns, time_ns),
        faults_brief=UNKNOWN if time_ns is None else brief(found, time_ns, time_ns),
        followed=tuple(_followed(end, found, successes)),
    )


def end_of_anomaly(anomaly: Anomaly, ends: tuple[UnaskedEnd, ...]) -> UnaskedEnd | None:
    """The end that a crash is about."""
    crashes = (end for end in ends if not end.why)
    return next((end for end in crashes if anomaly.summary.startswith(f"{end.what},")), None)


def _followed(end: UnaskedEnd, found: Episodes, successes: Successes) -> Iterator[str]:
    yield from _restart(end, found)
    if end.time_ns is not None:
        later_ns = successes.first_after_ns(end.time_ns)
        if later_ns is None:
            yield "No operation that a client asked for after that was ever ok."
        else:
            later = duration_text(later_ns)
            yield f"The next operation that was ok was answered {later} after the end."
    for asked in found.recovery:
        seen = evidence(asked)
        is_late = end.time_ns is None or asked.invocation.time >= end.time_ns
        if is_shown(asked) is not False or not is_late:
            continue
        at = f"{asked.f} at {time_text(asked.invocation.time)}"
        if end.node in seen.get("gone", ()):
            yield f"The recovery failed because of it: {at} found that {end.node} did not run."
        elif end.node in seen.get("silent", ()):
            yield f"The recovery failed: {at} got no answer by way of {end.node}."


def _restart(end: UnaskedEnd, found: Episodes) -> Iterator[str]:
    if end.is_restarted is None:
        return
    if not end.is_restarted:
        yield f"{end.node} was never started again."
    elif end.next_ns is None:
        yield f"{end.node} was started again; the run does not say when."
    else:
        after = "" if end.time_ns is None else f", {duration_text(end.next_ns - end.time_ns)} later"
        by = (
            ", by the recovery, which restarts all nodes"
            if _is_recovery(end.next_ns, found)
            else ""
        )
        yield f"{end.node} was started again at {time_text(end.next_ns)}{after}{by}."


def _is_recovery(time_ns: int, found: Episodes) -> bool:
    """Whether an operation of the recovery was at work then."""
    return any(
        asked.completion is not None and asked.invocation.time <= time_ns <= asked.completion.time
        for asked in found.recovery
    )
