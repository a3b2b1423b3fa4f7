"""
What only a simulation knows of a run: every message, and what each server held.

The lines are those of `simulation.jsonl`. They may come from a run of somebody else, so nothing in
them is trusted: what cannot be understood is counted, and the page says the number.

A message that says the same as the one before it on its link, and that changes nothing where it
arrives, is a *repeat*: heartbeats of a quiet cluster. Repeats are told from the lines alone, so no
name of a message is known here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from dissever.harness.values import printable, shorten

LINES_MAX: Final = 200_000
LINE_BYTES_MAX: Final = 65_536
NODES_MAX: Final = 32
NODE_CHARACTERS_MAX: Final = 40
WORD_CHARACTERS_MAX: Final = 40
TEXT_CHARACTERS_MAX: Final = 300
LOG_ENTRIES_MAX: Final = 12
NUMBER_MAX: Final = 2**53
"""The greatest number that JavaScript keeps exactly."""

ROLES: Final = ("leader", "candidate", "follower", "none")


class _Line(msgspec.Struct, frozen=True):
    """Any line; what a kind does not have keeps its default."""

    time: int
    kind: str
    id: int | str | None = None
    source: str | None = msgspec.field(default=None, name="from")
    to: str | int | None = None
    what: str = ""
    term: int = 0
    text: str = ""
    why: str = ""
    node: str | None = None
    role: str = ""
    vote: str | None = None
    leader: str | None = None
    first: int = 0
    last: int = 0
    stored: int = 0
    commit: int = 0
    applied: int = 0
    snapshot: int = 0
    lost: int = 0
    kept: int = 0
    index: int | None = None
    how: str = ""
    name: str = ""
    nodes: list[str] = []
    logs: dict[str, list[Any]] = {}


@dataclass(frozen=True, slots=True)
class Message:
    """
    One copy of a message on its way; the first copy, or the one that a network made of it.

    `end_ns` is when it arrived or was lost, None if neither was seen. `why` says what lost it.
    """

    start_ns: int
    end_ns: int | None
    source: str
    target: str
    what: str
    term: int
    text: str
    why: str = ""
    is_copy: bool = False
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What a server held from a moment on; `role` is one of ROLES, indices are of its log."""

    time_ns: int
    node: str
    role: str
    term: int
    vote: str
    leader: str
    first: int
    last: int
    stored: int
    commit: int
    applied: int
    snapshot: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened at a server at once; `kind` is synced, unsynced, snapshot, installed, note."""

    time_ns: int
    node: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a server's log, as the simulation wrote it."""

    index: int
    term: int
    text: str


@dataclass(frozen=True, slots=True)
class Violation:
    """
    An invariant that broke.

    `index` is the place in the log that it is about, if it is about one. `logs` are entries near
    it, of the servers that contradict each other; empty when the simulation did not tell.
    """

    time_ns: int
    node: str
    name: str
    text: str
    index: int | None
    logs: Mapping[str, tuple[LogEntry, ...]]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything by time. `notes` say what could not be read, one sentence each."""

    nodes: tuple[str, ...]
    messages: tuple[Message, ...]
    states: tuple[State, ...]
    moments: tuple[Moment, ...]
    violations: tuple[Violation, ...]
    notes: tuple[str, ...] = ()

    def states_at(self, time_ns: int) -> Mapping[str, State]:
        """What each server held at a moment; a server that nothing was said of by then lacks."""
        until = bisect_right(self.states, time_ns, key=lambda each: each.time_ns)
        return {each.node: each for each in self.states[:until]}


def read_simulation(lines: Iterable[bytes]) -> Simulation:
    """
    Read the lines of `simulation.jsonl`, at most LINES_MAX of them.

    It never raises for what the lines hold: what is no line of a simulation is counted in `notes`.
    """
    decoder = msgspec.json.Decoder(_Line)
    understood: list[_Line] = []
    unread = 0
    is_cut = False
    for number, line in enumerate(lines):
        if number >= LINES_MAX:
            is_cut = True
            break
        if not line.strip():
            continue
        try:
            each = decoder.decode(line) if len(line) <= LINE_BYTES_MAX else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            each = None
        if each is None or not _is_sound(each):
            unread += 1
        else:
            understood.append(each)
    understood.sort(key=lambda each: each.time)  # Stable: lines of one moment keep their order.
    messages, strays = _messages(understood)
    nodes = _nodes(understood)
    states = [_state(each) for each in understood if each.kind == "server" and each.node]
    moments = [moment for each in understood if (moment := _moment(each)) is not None]
    violations = [_violation(each) for each in understood if each.kind == "violation"]
    known = {*nodes, ""}
    notes = []
    if is_cut:
        notes.append(f"It has more than {LINES_MAX:,} lines; the later ones were not read.")
    if unread:
        notes.append(f"{unread:,} of its lines could not be understood.")
    if strays:
        notes.append(f"{strays:,} of its lines speak of messages that were never sent.")
    if len(nodes) == NODES_MAX:
        notes.append(f"At most {NODES_MAX} servers are shown.")
    return Simulation(
        nodes,
        tuple(each for each in messages if each.source in known and each.target in known),
        tuple(each for each in states if each.node in known),
        tuple(each for each in moments if each.node in known),
        tuple(violations),
        tuple(notes),
    )


def _is_sound(line: _Line) -> bool:
    """Whether a line has what its kind needs; lines of unknown kinds are not sound."""
    numbers = (line.time, line.term, line.first, line.last, line.stored, line.commit)
    more = (line.applied, line.snapshot, line.lost, line.kept, line.index or 0)
    if not all(0 <= number <= NUMBER_MAX for number in (*numbers, *more)):
        return False
    if line.kind == "send":
        return line.id is not None and bool(line.source) and isinstance(line.to, str)
    if line.kind in ("receive", "lost"):
        return line.id is not None
    if line.kind == "server":
        return bool(line.node) and line.role in ROLES
    if line.kind == "snapshot":
        return bool(line.node)
    if line.kind in ("synced", "unsynced"):
        return bool(line.node) and not isinstance(line.to, str)
    return line.kind in ("note", "violation")


def _nodes(lines: Iterable[_Line]) -> tuple[str, ...]:
    """Every server that a line speaks of, by name: n2 stands before n10."""
    seen: set[str] = set()
    for line in lines:
        if line.node:
            seen.add(_name(line.node))
        if line.kind == "send" and line.source and isinstance(line.to, str):
            seen.update((_name(line.source), _name(line.to)))
    return tuple(sorted(seen, key=_natural)[:NODES_MAX])


def _natural(name: str) -> tuple[str, int, str]:
    digits = len(name) - len(name.rstrip("0123456789"))
    number = name[len(name) - digits :]
    is_number = number.isascii() and 0 < digits < 16
    return (name[: len(name) - digits], int(number) if is_number else -1, name)


def _messages(lines: Iterable[_Line]) -> tuple[list[Message], int]:
    """Messages by their sending, and how many lines speak of one that was never sent."""
    lines = list(lines)
    changed = {
        (each.time, each.node) for each in lines if each.kind in ("server", "snapshot", "violation")
    }
    sent: list[Message] = []
    place: dict[str, int] = {}
    repeats: list[bool] = []
    last_said: dict[tuple[str, str, str], tuple[int, str]] = {}
    copies: list[Message] = []
    strays = 0
    for line in lines:
        if line.kind == "send":
            place[str(line.id)] = len(sent)
            source, target = _name(line.source or ""), _name(str(line.to))
            what, text = _word(line.what), _text(line.text)
            link = (source, target, what)
            repeats.append(last_said.get(link) == (line.term, text))
            last_said[link] = (line.term, text)
            sent.append(Message(line.time, None, source, target, what, line.term, text))
        elif line.kind in ("receive", "lost"):
            at = place.get(str(line.id))
            if at is None:
                strays += 1
                continue
            message = sent[at]
            why = "" if line.kind == "receive" else _word(line.why or "lost")
            ended = replace(message, end_ns=line.time, why=why, is_copy=message.end_ns is not None)
            if ended.is_copy:
                copies.append(ended)
                continue
            is_quiet = not why and (line.time, message.target) not in changed
            sent[at] = replace(ended, is_repeat=repeats[at] and is_quiet)
    return sorted((*sent, *copies), key=lambda each: each.start_ns), strays


def _state(line: _Line) -> State:
    return State(
        line.time, _name(line.node or ""), line.role, line.term, _name(line.vote or ""),
        _name(line.leader or ""), line.first, line.last, line.stored, line.commit, line.applied,
        line.snapshot,
    )  # fmt: skip


def _moment(line: _Line) -> Moment | None:
    kind, text = line.kind, ""
    if line.kind == "synced":
        text = f"the log is on the disk up to {line.to}" if line.to else "the disk has what it has"
    elif line.kind == "unsynced":
        why = {"kill": "the kill", "power-failure": "the power failure"}.get(line.why, line.why)
        text = f"{_word(why or 'a crash')} lost {line.lost:,} unsynced writes, {line.kept:,} stayed"
    elif line.kind == "snapshot":
        kind = "installed" if line.how == "installed" else "snapshot"
        verb = "installed" if kind == "installed" else "took"
        text = f"{verb} a snapshot up to {line.index or 0}"
    elif line.kind == "note":
        text = _text(line.text)
    else:
        return None
    return Moment(line.time, _name(line.node or ""), kind, text)


def _violation(line: _Line) -> Violation:
    nodes = [_name(node) for node in (*line.nodes, *line.logs)]
    logs = {
        node: tuple(_entries(line.logs.get(node, []))) for node in dict.fromkeys(nodes[:NODES_MAX])
    }
    return Violation(
        line.time, _name(line.node or ""), _word(line.name or "unnamed"), _text(line.text),
        line.index, logs,
    )  # fmt: skip


def _entries(entries: Iterable[Any]) -> Iterable[LogEntry]:
    """Entries are triples [index, term, text]; others are passed over."""
    for entry in list(entries)[:LOG_ENTRIES_MAX]:
        if isinstance(entry, list) and len(entry) == 3:
            index, term, text = entry
            if isinstance(index, int) and isinstance(term, int):
                yield LogEntry(index, term, _text(str(text)))


def _name(text: str) -> str:
    return shorten(printable(text), NODE_CHARACTERS_MAX)


def _word(text: str) -> str:
    return shorten(printable(text), WORD_CHARACTERS_MAX)


def _text(text: str) -> str:
    return shorten(printable(text), TEXT_CHARACTERS_MAX)


def count_of(simulation: Simulation) -> Mapping[str, int]:
    """How many messages arrived, were lost (by reason), came twice, and repeat others."""
    counts: Counter[str] = Counter()
    for each in simulation.messages:
        counts["copies" if each.is_copy else "sent"] += 1
        if each.why:
            counts[f"lost ({each.why})"] += 1
        if each.is_repeat:
            counts["repeats"] += 1
    return counts
