"""
Which kind of failure a run shows: the same text for every run that fails in the same way.

A signature is `checker/anomaly`, then the shape and the role where they are known:

    linearizable/stale-read/read@leader
    transactions/G-single/rw-wr
    nodes/crash/SIGSEGV/replication.c
    liveness/no-progress

It holds no values, keys, times, nodes or counts, so it is equal across seeds. The shape of a cycle
is the kinds of its edges from the smallest rotation, and edges of one kind that follow each other
count as one: a longer chain of reads is no other failure. The shape of an answer that no order
explains is the function that was answered. The shape of a crash is how the process ended, and the
source file or function that the node's log names first. The role is that of the node that gave a
stale answer, when it gave it, as the simulation knows it: a leader that was deposed and a follower
that lags are two failures. Of other answers it is an accident, and left out. A verdict of unknown
has a signature as well: `checker/unknown`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from dissever.harness.history import History, Operation, Type
from dissever.harness.plan import Plan
from dissever.harness.results import Anomaly, Result, Results, Verdict, by_cause

__all__ = [
    "Roles",
    "Signature",
    "nobody_knows",
    "shown",
    "signature_of",
    "signatures_of",
    "signed",
]

Roles = Callable[[str, int], str]
"""The role of a node at a time of the run in ns, such as `leader`; empty where nobody knows."""

EDGES_MAX: Final = 8
"""A cycle of more kinds in turn is the same failure as any other as long."""

_ANSWERS: Final = frozenset({"linearizable", "bank"})
"""Checkers whose anomaly is one answer, the last of the operations that it names."""

_STALE: Final = frozenset({"stale-read"})
"""Anomalies of which the role of the node that answered is a part."""

_MORE: Final = frozenset({("lost-write", "stale-read"), ("lost", "stale-read")})
"""
Of two names of one answer, the one that says more first. Later operations decide between them: a
value that a read missed is lost if nothing that came later saw it.
"""

_LOGS: Final = "logs"
_ENDED: Final = re.compile(r"ended (?:by (?P<signal>\S+)|with exit status (?P<status>\d+))")
_PLACE: Final = re.compile(
    r"(?<![\w/.-])(?:[\w.-]*/)*(?P<file>[\w.-]+\.(?:c|h|cc|cpp|go|rs|java|py)):\d+"
)
_FUNCTION: Final = re.compile(
    r"(?:\bin |\bfunction )[`'\"]?(?P<function>(?=\w*(?:_|[a-z][A-Z]))[A-Za-z]\w{2,})"
)
"""A name in plain lower case may be any word of a sentence."""


@dataclass(frozen=True, slots=True)
class Signature:
    """
    One kind of failure.

    `name` is that of the anomaly, or `unknown`. `shape` and `role` are empty where there is none.
    """

    checker: str
    name: str
    shape: str = ""
    role: str = ""

    @property
    def text(self) -> str:
        """The stable form, which `parsed` reads: equal texts mean equal signatures."""
        words = "/".join(filter(None, (self.checker, self.name, self.shape)))
        return f"{words}@{self.role}" if self.role else words

    @property
    def digest(self) -> str:
        """The text as 8 hexadecimal digits, for names of files."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:8]

    def matches(self, other: Signature) -> bool:
        """Whether both are one kind of failure, as far as both know: a role may be unknown."""
        if self.role and other.role and self.role != other.role:
            return False
        return (self.checker, self.name, self.shape) == (other.checker, other.name, other.shape)

    def covers(self, other: Signature) -> bool:
        """
        Whether the other one is this kind of failure, or says more of the same.

        As `matches`; without a shape it stands for all shapes, such as every way to crash. A lost
        write is a stale read, too, but not the other way round.
        """
        if (other.name, self.name) in _MORE:
            other = replace(other, name=self.name)
        return (self if self.shape else replace(self, shape=other.shape)).matches(other)

    @classmethod
    def parsed(cls, text: str) -> Signature:
        """
        The signature of a text.

        Raises:
            ValueError: When it is none.
        """
        words, _, role = text.partition("@")
        checker, _, rest = words.partition("/")
        name, _, shape = rest.partition("/")
        if not checker or not name:
            raise ValueError(f"expected a signature such as checker/anomaly, got {text!r}")
        return cls(checker, name, shape, role)


def nobody_knows(node: str, time_ns: int) -> str:
    """The roles of a run that recorded none."""
    return ""


def signature_of(
    results: Results, history: History, plan: Plan | None = None, roles: Roles = nobody_knows
) -> Signature | None:
    """The signature of the first that counts for the verdict; None when the run is valid."""
    return next(iter(signatures_of(results, history, plan, roles)), None)


def signatures_of(
    results: Results, history: History, plan: Plan | None = None, roles: Roles = nobody_knows
) -> tuple[Signature, ...]:
    """
    Every kind of failure of a run once, that of the verdict first; empty when the run is valid.

    Args:
        plan: Of the run, None for a history file.
    """
    by_index = _Answers(history, roles)
    ordered = sorted(by_cause(results.results), key=lambda result: result.verdict, reverse=True)
    found = (each for result in ordered for each in _of_result(result, ordered, by_index))
    return tuple(dict.fromkeys(found))


def shown(results: Results, signature: str) -> tuple[Anomaly, ...]:
    """
    The anomalies of a judged run that are this kind of failure.

    Raises:
        ValueError: When there are none; the message names the signatures that the run has.
    """
    wanted = Signature.parsed(signature)
    anomalies = [each for result in results.results for each in result.anomalies]
    signed_ones = [each for each in anomalies if each.signature]
    found = tuple(each for each in signed_ones if wanted.covers(Signature.parsed(each.signature)))
    if not found:
        known = ", ".join(dict.fromkeys(each.signature for each in signed_ones)) or "none"
        raise ValueError(f"expected a signature of the run ({known}), got {signature}")
    return found


def signed(results: Results, history: History, roles: Roles = nobody_knows) -> Results:
    """The results with the signature of each anomaly, and that of the run."""
    if results.verdict is Verdict.VALID:
        return results
    answers = _Answers(history, roles)

    def with_signatures(result: Result) -> Result:
        anomalies = tuple(
            structs.replace(
                each, signature=_of_anomaly(each, result.checker, results.results, answers).text
            )
            for each in result.anomalies
        )
        return structs.replace(result, anomalies=anomalies)

    first = signature_of(results, history, roles=roles)
    return structs.replace(
        results,
        results=tuple(map(with_signatures, results.results)),
        signature="" if first is None else first.text,
    )


class _Answers:
    """The operations of a history by index, made when the first is asked for, and the roles."""

    def __init__(self, history: History, roles: Roles) -> None:
        self._history = history
        self._roles = roles
        self._places: Mapping[int, int] | None = None

    def last(self, anomaly: Anomaly) -> Operation | None:
        """Of the guilty operations the one that succeeded last: the answer that cannot be."""
        if self._places is None:
            self._places = {start: at for at, start in enumerate(self._history.columns.inv)}
        places = [self._places[index] for index in anomaly.indices if index in self._places]
        answered = [each for each in map(self._history.operation, places) if each.type is Type.OK]
        return max(answered, key=lambda each: each.indices[-1], default=None)

    def role(self, operation: Operation) -> str:
        """Of the node that answered, when it did."""
        seen = operation.completion or operation.invocation
        node = seen.node or operation.invocation.node
        return "" if node is None else self._roles(node, seen.time)


def _of_result(result: Result, every: list[Result], answers: _Answers) -> Iterator[Signature]:
    if result.verdict is Verdict.VALID:
        return
    if not result.anomalies:
        yield Signature(result.checker, result.verdict.word)
    for anomaly in result.anomalies:
        yield _of_anomaly(anomaly, result.checker, every, answers)


def _of_anomaly(
    anomaly: Anomaly, checker: str, every: tuple[Result, ...] | list[Result], answers: _Answers
) -> Signature:
    if anomaly.cycle:
        return Signature(checker, anomaly.name, _cycle(anomaly))
    if checker in _ANSWERS and (answered := answers.last(anomaly)) is not None:
        role = answers.role(answered) if anomaly.name in _STALE else ""
        return Signature(checker, anomaly.name, answered.f, role)
    if anomaly.name == "crash":
        return Signature(checker, anomaly.name, _crash(anomaly, every))
    if checker == _LOGS:
        return Signature(checker, anomaly.name, _place(step.text for step in anomaly.steps))
    return Signature(checker, anomaly.name)


def _cycle(anomaly: Anomaly) -> str:
    """The kinds of its edges, those in a row as one, from the smallest rotation."""
    kinds = [edge.kind for edge in anomaly.cycle]
    turns = [kind for at, kind in enumerate(kinds) if kind != kinds[at - 1]] or kinds[:1]
    smallest = min(turns[at:] + turns[:at] for at in range(len(turns)))
    return "-".join(smallest if len(smallest) <= EDGES_MAX else sorted({*smallest}))


def _crash(anomaly: Anomaly, every: tuple[Result, ...] | list[Result]) -> str:
    """How the process ended, and the first place that its last words or the node's log name."""
    ended = _ENDED.search(anomaly.summary)
    how = "" if ended is None else ended["signal"] or f"exit-{ended['status']}"
    node = anomaly.summary.partition(":")[0]
    lines = [step.text for step in anomaly.steps[1:]]
    lines += [
        step.text
        for result in every
        if result.checker == _LOGS
        for each in result.anomalies
        if each.summary.startswith(f"{node}:")
        for step in each.steps
    ]
    return "/".join(filter(None, (how, _place(lines))))


def _place(lines: Iterable[str]) -> str:
    """The source file, or else the function, that lines of a log name first."""
    for line in lines:
        text = line.split(": ", 1)[-1]  # Before that stands the place in the log.
        if found := _PLACE.search(text):
            return found["file"]
        if found := _FUNCTION.search(text):
            return found["function"]
    return ""
