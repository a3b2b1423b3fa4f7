"""
How the processes of nodes ended: an end that nobody asked for and no fault explains is a crash.

`EXPLAINED` is the one table of what a fault explains. It follows from what a system under test
promises: it may stop with an error when its disk fails or holds something else than was written,
and the kernel may kill it when its memory is limited. Any other signal, such as SIGSEGV, is a crash
whatever the disk holds.

Source: the end of a process as wait(2) tells it; dqlite's own stress tests, which fail on any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final

from dissever.checkers.last_words import LastWords, cited, last_words
from dissever.checkers.run_checker import NodeEnd, NodeLog, RunChecker
from dissever.harness.episodes import (
    Actions,
    Effect,
    Episode,
    Episodes,
    damages_disk,
    episodes_of,
    report,
)
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Budget, Result, Step, Verdict
from dissever.harness.values import listed, show_ns

SLACK_NS: Final = 1_000_000_000
"""The harness may hear of an end this long after the fault that caused it has healed."""

LOST_NS: Final = 10_000_000_000
"""A part of the harness that is gone is noticed within this time."""

STEPS_MAX: Final = 5
"""Lines of a log that the anomaly of a crash cites."""

OOM_KILL: Final = -9

SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
"""The names of signals that end a process, on Linux."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Ends that a fault explains on the nodes that it struck. `lasts`: also once it has healed."""

    what: str
    covers: Callable[[int], bool]
    lasts: bool = False


_STOPS = Explanation("a node may stop with an error when its disk fails", lambda status: status > 0)
_REFUSES = Explanation(
    "a node may refuse a disk that holds something else than it wrote",
    lambda status: status > 0,
    lasts=True,
)

EXPLAINED: Final[Mapping[str, Explanation]] = {
    "disk-full": _STOPS,
    "disk-error": _STOPS,
    "disk-torn": _STOPS,
    "snapshot-error": _STOPS,
    "out-of-memory": Explanation(
        "a node may stop with an error when an allocation fails", lambda status: status > 0
    ),
    "damages_disk": _REFUSES,
    "limit-memory": Explanation(
        "the kernel kills a node that needs more memory than the limit",
        lambda status: status == OOM_KILL,
    ),
}
"""
Fault -> the ends of a node that it explains. `damages_disk` stands for every fault whose injection
says that of itself. Every other end that nobody asked for is a crash.
"""


def refusals(ends: Sequence[NodeEnd], found: Episodes, until_ns: int) -> dict[str, str]:
    """
    The nodes whose last end up to a time was that they refused a damaged disk, each with why.

    Nobody can expect them to serve until the harness gives them another disk.
    """
    last = {end.node: end for end in ends if end.time_ns is not None and end.time_ns <= until_ns}
    refused: dict[str, str] = {}
    for node, end in last.items():
        for episode in found.episodes if not end.is_asked else ():
            if any(
                each.lasts and _is_within(end, episode, True)
                for each in _explanations(episode, end)
            ):
                refused[node] = f"{node} refuses the disk that {episode.fault} damaged"
    return refused


@dataclass(frozen=True, slots=True)
class NodeEnds:
    """The checker. Valid when each end was asked for or is explained, and invalid otherwise."""

    ends: Sequence[NodeEnd]
    actions: Actions = field(default_factory=dict)
    lost_ns: int | None = None
    """When a part of the harness was found gone: it may have taken nodes with it."""
    logs: Sequence[NodeLog] = ()
    """Last words of a process that crashed are steps of its anomaly."""
    name: str = "nodes"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at each end once."""
        found = episodes_of(history, self.actions)
        unasked = [end for end in self.ends if not end.is_asked]
        reasons = [(end, self._reason(end, found)) for end in unasked]
        words = [last_words(end.node, end.incarnation, self.logs) for end in unasked]
        crashes = tuple(
            _crash(end, said)
            for (end, reason), said in zip(reasons, words, strict=True)
            if reason is None
        )
        explained = [f"{_sentence(end)}: {reason}" for end, reason in reasons if reason is not None]
        count = len(self.ends)
        if crashes:
            verdict, why = Verdict.INVALID, listed((each.summary for each in crashes), "; ")
        else:
            verdict = Verdict.VALID
            why = listed(explained, "; ") or f"each of {count} ends of a node was asked for"
        details: dict[str, Any] = {
            "ends": count,
            "asked_for": count - len(unasked),
            "unasked": [
                self._facts(end, found) | {"why": reason, "last_words": asdict(said)}
                for (end, reason), said in zip(reasons, words, strict=True)
            ],
        }
        return Result(
            checker=self.name, verdict=verdict, why=why, anomalies=crashes, details=details
        )

    def _facts(self, end: NodeEnd, found: Episodes) -> dict[str, Any]:
        """An end as JSON values. `is_restarted`: the node had a process again later."""
        next_ns = end.next_ns if end.next_ns is not None else _started_ns(end, found)
        known = {each.incarnation for each in self.ends if each.node == end.node}
        return {
            "what": _sentence(end),
            "node": end.node,
            "process": end.incarnation,
            "time_ns": end.time_ns,
            "exit_status": end.exit_status,
            "signal": _signal(end) if end.exit_status < 0 else None,
            "is_restarted": next_ns is not None or max(known) > end.incarnation,
            "next_ns": next_ns,
        }

    def _reason(self, end: NodeEnd, found: Episodes) -> str | None:
        """Why the end is not a crash, or None."""
        if self._is_ours(end):
            return "a part of the harness was lost then, and may have taken it along"
        for episode in found.episodes:
            if _sends(episode, end):
                return f"{episode.fault} sent that signal"
            for explanation in _explanations(episode, end):
                if _is_within(end, episode, explanation.lasts):
                    return f"{explanation.what} ({episode.fault} at {show_ns(episode.start_ns)})"
        return None

    def _is_ours(self, end: NodeEnd) -> bool:
        if self.lost_ns is None:
            return False
        return end.time_ns is None or end.time_ns >= self.lost_ns - LOST_NS


def _explanations(episode: Episode, end: NodeEnd) -> Iterator[Explanation]:
    """What the fault says of such an end, if it struck the node."""
    names = [episode.fault]
    if damages_disk(episode.injection):
        names.append("damages_disk")
    for name in names if end.node in episode.targets else ():
        explanation = EXPLAINED.get(name)
        if explanation is not None and explanation.covers(end.exit_status):
            yield explanation


def _is_within(end: NodeEnd, episode: Episode, lasts: bool) -> bool:
    """Whether a node ended while a fault was in force. When nobody knows, the fault explains it."""
    if end.time_ns is None:
        return True
    begun = end.time_ns >= episode.injection.invocation.time
    return begun and (lasts or end.time_ns <= episode.end_ns + SLACK_NS)


def _sends(episode: Episode, end: NodeEnd) -> bool:
    """Whether the injection says that it sent the signal by which the node ended."""
    return (
        report(episode.injection).get("signal") == -end.exit_status and end.node in episode.targets
    )


def _started_ns(end: NodeEnd, found: Episodes) -> int | None:
    """When a fault says that it started the node again, for runs that do not keep `next_ns`."""
    if end.time_ns is None:
        return None
    starts = (
        change.time_ns
        for change in found.changes
        if change.node == end.node and change.effect is Effect.STARTED
    )
    return min((start for start in starts if start > end.time_ns), default=None)


def _crash(end: NodeEnd, said: LastWords) -> Anomaly:
    summary = f"{_sentence(end)}, and nobody asked for that"
    return Anomaly(
        name="crash",
        summary=summary,
        indices=(),
        steps=(Step(summary), *map(Step, islice(cited(said), STEPS_MAX))),
    )


def _sentence(end: NodeEnd) -> str:
    """`n2: process 3 ended by SIGSEGV at 7.012 s`."""
    is_signal = end.exit_status < 0
    how = f"by {_signal(end)}" if is_signal else f"with exit status {end.exit_status}"
    when = "" if end.time_ns is None else f" at {show_ns(end.time_ns)}"
    return f"{end.node}: process {end.incarnation} ended {how}{when}"


def _signal(end: NodeEnd) -> str:
    return SIGNALS.get(-end.exit_status, f"signal {-end.exit_status}")


RUN_CHECKER: Final = RunChecker(
    name="nodes",
    description="no node's process ended unless it was asked to, or a fault explains it",
    make=lambda actions, remains: NodeEnds(remains.ends, actions, remains.lost_ns, remains.logs),
)
