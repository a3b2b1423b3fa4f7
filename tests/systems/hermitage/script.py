"""
Plays an interleaving on a database, and keeps what was answered as a history.

A database gives sessions. A session carries out one step, raises `Blocked` when it has to wait, and
`Aborted` when its transaction is over without effect.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from dissever.harness.history import Event, History, Type

KEY = 0
SETUP = (["insert", KEY, [1, 10]], ["insert", KEY, [2, 20]])


class Blocked(Exception):
    """It waits for another transaction; to be asked again."""


class Aborted(Exception):
    """The transaction has no effect."""


class Session(Protocol):
    """One transaction, which has begun."""

    def do(self, f: str, *what: Any) -> Any:
        """What a method of the store `rows` answers; `f` may be `commit` or `rollback`."""


class Database(Protocol):
    """Where sessions come from."""

    def session(self) -> Session:
        """Begin a transaction."""


@dataclass
class _Player:
    """A transaction of the script: what it has done, and what it still has to do."""

    process: int
    session: Session
    asked: list[list[Any]] = field(default_factory=list)
    done: list[list[Any]] = field(default_factory=list)
    waiting: deque[list[Any]] = field(default_factory=deque)
    end: Type | None = None

    def play(self) -> bool:
        """Do as much as it can of what waits; whether it did something."""
        has_moved = False
        while self.waiting and self.end is None:
            step = self.waiting[0]
            try:
                answer = self.session.do(*step)
            except Blocked:
                return has_moved
            except Aborted:
                self.session.do("rollback")
                self.end = Type.FAIL
                return True
            self.waiting.popleft()
            has_moved = True
            if step[0] in ("commit", "rollback"):
                self.end = Type.OK if step[0] == "commit" else Type.FAIL
            else:
                self.done.append([*self._micro(step), answer])
        return has_moved

    def put(self, step: list[Any]) -> None:
        self.waiting.append(step)
        if step[0] not in ("commit", "rollback"):
            self.asked.append([*self._micro(step), None])

    @staticmethod
    def _micro(step: list[Any]) -> list[Any]:
        f, key, *what = step
        return [f, key, what if len(what) > 1 else what[0]]


def play(script: str, database: Database) -> History:
    """The history of the setup, the script, and a transaction that selects all rows at the end."""
    events: list[Event] = []
    _alone(events, 0, list(SETUP), database)
    steps = [line.split() for line in script.strip().splitlines()]
    players: dict[int, _Player] = {}
    begun: dict[int, int] = {}
    for number, f, *what in steps:
        name = int(number)
        if name not in players:
            players[name] = _Player(name, database.session())
            begun[name] = len(events)
            _put(events, name, Type.INVOKE, [])
        player = players[name]
        keyed = [] if f in ("commit", "rollback") else [KEY]
        player.put([f, *keyed, *map(int, what)])
        _play_on(players)
        _complete(events, players)
    while stuck := [each for each in players.values() if each.end is None]:
        stuck[-1].session.do("rollback")
        stuck[-1].end = Type.FAIL
        _play_on(players)
        _complete(events, players)
    for name, player in players.items():
        at = begun[name]
        events[at] = Event(at, at * 10**6, player.process, Type.INVOKE, "rows", player.asked)
    _alone(events, max(players) + 1, [["select", KEY, [1, 0]]], database)
    return History(events)


def _play_on(players: dict[int, _Player]) -> None:
    """Until nobody can do more."""
    while sum(each.play() for each in players.values()):
        pass


def _complete(events: list[Event], players: dict[int, _Player]) -> None:
    told = {event.process for event in events if event.type is not Type.INVOKE}
    for player in players.values():
        if player.end is not None and player.process not in told:
            value = player.done if player.end is Type.OK else player.asked
            _put(events, player.process, player.end, value)


def _alone(events: list[Event], process: int, micros: list[list[Any]], database: Database) -> None:
    session = database.session()
    _put(events, process, Type.INVOKE, [[*micro, None] for micro in micros])
    done = []
    for f, key, what in micros:
        arguments = what if isinstance(what, list) else [what]
        done.append([f, key, what, session.do(f, key, *arguments)])
    session.do("commit")
    _put(events, process, Type.OK, done)


def _put(events: list[Event], process: int, kind: Type, value: Any) -> None:
    index = len(events)
    events.append(Event(index, index * 10**6, process, kind, "rows", value))
