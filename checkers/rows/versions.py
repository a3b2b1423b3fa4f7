"""
The versions of each row, oldest first, as the trails show them.

A row begins unborn, may get values, and may end dead. Of what one transaction installed only the
last counts: others never see what came before. A row whose trails contradict each other, or hold
what nobody wrote, is `unclear`: what it shows is for the checker of lists to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dissever.checkers.rows.recorded import Micro, Transaction
from dissever.harness.history import Type

__all__ = ["Row", "Version", "rows_of"]


@dataclass(frozen=True, slots=True)
class Version:
    """`value` None: there is no row. `writer` None: nobody had written it yet."""

    value: int | None
    writer: Transaction | None


UNBORN = Version(None, None)


@dataclass(frozen=True, slots=True)
class Row:
    """
    A row.

    Attributes:
        versions: In order, the first of them unborn.
        places: Value -> the place in `versions` of what its writer made of the row in the end.
        hidden: Versions that nobody saw, of transactions that may have taken effect. If they did,
            they came after all others.
        is_clear: Whether all this is certain.
    """

    key: int
    row: int
    versions: tuple[Version, ...]
    places: Mapping[int, int]
    hidden: tuple[Version, ...]
    is_clear: bool

    def last_of(self, trail: tuple[int, ...]) -> int:
        """The place of the version that a trail shows."""
        return self.places[trail[-1]]


def rows_of(transactions: Iterable[Transaction]) -> dict[int, Row]:
    """All rows that a transaction tried to insert and that may exist, by id."""
    made: dict[int, _Seen] = {}
    for each in transactions:
        for micro in each.micros:
            if micro.f == "insert" and each.type is not Type.FAIL and micro.row is not None:
                made.setdefault(micro.row, _Seen(micro.key, micro.row))
    every = list(transactions)
    for each in every:
        for micro in each.writes():
            if micro.row in made:
                made[micro.row].write(each, micro)
        for row, trail in _trails(each) if each.is_ok else ():
            if row in made:
                made[row].read(trail)
    return {row: seen.row_of() for row, seen in made.items()}


def _trails(each: Transaction) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each row that an ok transaction found, with its trail, and the trail after its own write."""
    for micro in each.micros:
        if micro.f == "select":
            yield from micro.found
        elif micro.row is not None and micro.is_applied and micro.f == "insert":
            yield micro.row, (micro.value or 0,)
        elif micro.row is not None and micro.trail is not None:
            yield micro.row, micro.trail
            if micro.f == "update" and micro.value is not None:
                yield micro.row, (*micro.trail, micro.value)


class _Seen:
    """What is known of a row so far."""

    def __init__(self, key: int, row: int) -> None:
        self._key, self._row = key, row
        self._writers: dict[int, Transaction] = {}
        self._dead: list[tuple[Transaction, Micro]] = []
        self._maybe_dead: list[Transaction] = []
        self._trail: tuple[int, ...] = ()
        self._is_clear = True

    def write(self, by: Transaction, micro: Micro) -> None:
        """A write that has, or may have, changed the row; a failed one never counts."""
        if by.type is Type.FAIL:
            return
        if micro.f != "delete":
            self._is_clear &= micro.value not in self._writers
            self._writers[micro.value or 0] = by
        elif by.is_ok:
            self._dead.append((by, micro))
        else:
            self._maybe_dead.append(by)

    def read(self, trail: tuple[int, ...]) -> None:
        """A trail that somebody saw."""
        shorter, longer = sorted((self._trail, trail), key=len)
        self._is_clear &= longer[: len(shorter)] == shorter
        self._trail = longer

    def row_of(self) -> Row:
        trail = self._trail
        is_clear = self._is_clear and len(set(trail)) == len(trail)
        is_clear &= all(value in self._writers for value in trail)
        is_clear &= len(self._dead) <= 1 and all(m.trail == trail for _, m in self._dead)
        installed = [UNBORN]
        places: dict[int, int] = {}
        for value in trail if is_clear else ():
            _install(installed, Version(value, self._writers[value]))
            places[value] = len(installed) - 1
        for by, _ in self._dead if is_clear else ():
            _install(installed, Version(None, by))
        hidden: list[Version] = []
        if not self._dead:
            unseen = (each for each in self._writers.items() if each[0] not in trail)
            hidden += [Version(value, by) for value, by in unseen]
            hidden += [Version(None, by) for by in self._maybe_dead]
        versions = tuple(installed)
        return Row(self._key, self._row, versions, places, tuple(hidden), is_clear)


def _install(installed: list[Version], version: Version) -> None:
    """Put a version behind the others; it replaces the last one if that has the same writer."""
    if len(installed) > 1 and installed[-1].writer is version.writer:
        installed[-1] = version
    else:
        installed.append(version)
