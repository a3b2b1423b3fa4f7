"""
A database of known isolation: versions of items, and transactions on them. Pure.

A `State` is a value, and so is a `Transaction`. Each step takes both and gives both back, so the
same code serves a replicated store, a test, and a generator of histories. `ISOLATION` says what
each level does. Levels that check do so at commit, and a transaction that fails a check raises
`Conflict`: it has no effect. Levels with locks lock what a transaction writes until it ends, and
a step that meets the lock of another raises `Blocked`: it may be tried again.

The decision that is not obvious: an append is carried out on the version that is the latest at
commit, not on the one that the transaction read. So a lost update shows as a version that was read
twice and appended to twice, and the order of versions stays known.

Source: A. Adya, "Weak Consistency", 1999, chapter 4; H. Berenson and others, "A Critique of ANSI
SQL Isolation Levels", 1995.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Table: TypeAlias = Hashable
Item: TypeAlias = tuple[Table, Hashable]
"""A table, and what is in it."""

Where: TypeAlias = Callable[[Any], bool]
"""Whether a value is selected; it is never asked about None."""

LOCK_CHANGES: Final = 300
"""A lock may be broken after this many changes of the state: its client may be gone."""

_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


class Conflict(Exception):
    """The transaction has no effect and never will."""


class Blocked(Exception):
    """
    Another transaction holds a lock. Nothing was done, and the step may be tried again.

    `state` records who waits for whom, so that a deadlock is found.
    """

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True, slots=True)
class Isolation:
    """
    What a level does.

    Attributes:
        is_snapshot: Reads come from the state at the beginning, otherwise from the latest.
        checks_writes: A commit fails if an item that it writes was changed since the beginning.
        checks_reads: A commit fails if an item that it read was changed since.
        checks_updates: `checks_reads` looks at items that the transaction also writes.
        checks_selects: A commit fails if a `select` would find other versions now.
        locks: Written items are locked until the end.
        shows_uncommitted: Others see what is written before it is committed.
    """

    description: str
    is_snapshot: bool = False
    checks_writes: bool = False
    checks_reads: bool = False
    checks_updates: bool = True
    checks_selects: bool = False
    locks: bool = False
    shows_uncommitted: bool = False

    @property
    def writes_at_once(self) -> bool:
        """Whether a write changes the state before the commit."""
        return self.locks or self.shows_uncommitted


ISOLATION: Final[Mapping[str, Isolation]] = {
    "serializable": Isolation(
        "strict serializable: what was read and selected is the same at commit",
        is_snapshot=True,
        checks_reads=True,
        checks_selects=True,
    ),
    "repeatable-read": Isolation(
        "items that were read are the same at commit; rows that a select missed are not looked at",
        checks_reads=True,
    ),
    "snapshot": Isolation(
        "reads from the state at the beginning; the first who commits a write wins",
        is_snapshot=True,
        checks_writes=True,
    ),
    "prefix": Isolation(
        "reads from the state at the beginning; updates may be lost", is_snapshot=True
    ),
    "read-committed": Isolation("reads the latest committed version", locks=True),
    "read-uncommitted": Isolation(
        "reads what others have not committed", locks=True, shows_uncommitted=True
    ),
}
"""By the names of the option `isolation`, the strongest first."""


@dataclass(frozen=True, slots=True)
class Version:
    """A value, None if there is none, and the number of the change that made it, 0 for none."""

    value: Any = None
    change: int = 0


UNBORN: Final = Version()


@dataclass(frozen=True, slots=True)
class Write:
    """`value` is what an item becomes, or what is appended to its tuple."""

    item: Item
    value: Any
    appends: bool

    def on(self, value: Any) -> Any:
        """What it makes of a value."""
        return (*(value or ()), self.value) if self.appends else self.value


@dataclass(frozen=True, slots=True)
class Held:
    """
    What an open transaction has in the state.

    `since` is the number of changes when it began. `undo` has its writes that are in the state,
    each with the value that was there before. `waits_for` names who holds the lock that it needs.
    """

    since: int
    items: frozenset[Item] = frozenset()
    undo: tuple[tuple[Write, Any], ...] = ()
    waits_for: Hashable = None


@dataclass(frozen=True, slots=True)
class State:
    """Table -> what is in it -> its version; and the transactions that hold something."""

    changes: int = 0
    tables: Mapping[Table, Mapping[Hashable, Version]] = field(default_factory=lambda: _NOTHING)
    held: Mapping[Hashable, Held] = field(default_factory=lambda: _NOTHING)

    def version(self, item: Item) -> Version:
        """The latest version of an item."""
        table, name = item
        found = self.tables.get(table, _NOTHING).get(name)
        return UNBORN if found is None else found

    def matching(self, table: Table, where: Where) -> dict[Hashable, Version]:
        """What of a table has a value that is selected."""
        return {
            name: version
            for name, version in self.tables.get(table, _NOTHING).items()
            if version.value is not None and where(version.value)
        }

    def changed(self, values: Mapping[Item, Any]) -> State:
        """With new versions, by one change."""
        number, tables = self.changes + 1, dict(self.tables)
        for (table, name), value in values.items():
            tables[table] = {**tables.get(table, {}), name: Version(value, number)}
        return replace(self, changes=number, tables=tables)


@dataclass(frozen=True, slots=True)
class Selected:
    """A `select`, and the changes that made what it found in the committed state."""

    table: Table
    where: Where
    found: Mapping[Hashable, int]


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    An open transaction.

    `seen` has the change of each item that was read. `fixed` has that of items that were read after
    a write of its own, and so must be the same at commit.
    """

    name: Hashable
    isolation: Isolation
    snapshot: State
    writes: tuple[Write, ...] = ()
    seen: Mapping[Item, int] = field(default_factory=lambda: _NOTHING)
    selected: tuple[Selected, ...] = ()
    fixed: Mapping[Item, int] = field(default_factory=lambda: _NOTHING)

    @property
    def written(self) -> frozenset[Item]:
        """The items that it writes."""
        return frozenset(each.item for each in self.writes)

    @property
    def must_commit(self) -> bool:
        """Whether its commit looks at the state or changes it."""
        level = self.isolation
        return bool(self.writes) or (level.checks_reads and not level.is_snapshot)

    def sees(self, latest: State) -> State:
        """The state that it reads from, without its own writes."""
        return self.snapshot if self.isolation.is_snapshot else latest

    def value(self, version: Version, item: Item) -> Any:
        """What it sees of an item whose version is this: with its own writes."""
        value = version.value
        if not self.isolation.shows_uncommitted:
            for each in self.writes:
                value = each.on(value) if each.item == item else value
        return value


@dataclass(frozen=True, slots=True)
class Step:
    """What a step leaves behind, and what it answers."""

    state: State
    transaction: Transaction
    answer: Any = None


def begin(state: State, name: Hashable, isolation: Isolation) -> Transaction:
    """A new transaction. Names are unique."""
    return Transaction(name, isolation, state)


def read(state: State, transaction: Transaction, item: Item) -> Step:
    """
    The value of an item, None if it has none.

    Raises:
        Conflict: When it was read before in another version, at a level that forbids that.
    """
    version = transaction.sees(state).version(item)
    level = transaction.isolation
    if level.checks_reads and transaction.seen.get(item, version.change) != version.change:
        raise Conflict(f"{item} was changed since it was read")
    seen = {**transaction.seen, item: transaction.seen.get(item, version.change)}
    fixed = transaction.fixed
    if item in transaction.written and not level.writes_at_once:
        fixed = {item: version.change, **fixed}
    later = replace(transaction, seen=seen, fixed=fixed)
    return Step(state, later, transaction.value(version, item))


def select(state: State, transaction: Transaction, table: Table, where: Where) -> Step:
    """Name -> value of all in a table that is selected, its own writes included."""
    level, base = transaction.isolation, transaction.sees(state)
    committed = base.matching(table, where)
    names = {name for of, name in transaction.written if of == table}
    values = {name: version.value for name, version in committed.items()}
    for name in names:
        value = transaction.value(base.version((table, name)), (table, name))
        values.pop(name, None)
        if value is not None and where(value):
            values[name] = value
    found = {name: version.change for name, version in committed.items()}
    seen = {(table, name): change for name, change in found.items()}
    if level.checks_reads and any(transaction.seen.get(i, c) != c for i, c in seen.items()):
        raise Conflict("a row that was read was changed since")
    later = replace(
        transaction,
        seen={**seen, **transaction.seen},
        selected=(*transaction.selected, Selected(table, where, found)),
    )
    return Step(state, later, values)


def write(state: State, transaction: Transaction, item: Item, value: Any) -> Step:
    """
    Set an item; None removes it.

    Raises:
        Blocked: When another transaction has locked it.
        Conflict: When the locks of this transaction were broken.
    """
    return _written(state, transaction, Write(item, value, appends=False))


def lock(state: State, transaction: Transaction, item: Item) -> Step:
    """Lock an item before it is read and written, at a level with locks. Raises as `write`."""
    held = _holding(state, transaction)
    if transaction.isolation.locks:
        state = _unlocked(state, transaction.name, held, item)
    held = replace(held, items=held.items | {item}, waits_for=None)
    return Step(replace(state, held={**state.held, transaction.name: held}), transaction)


def append(state: State, transaction: Transaction, item: Item, value: Any) -> Step:
    """Append to a tuple, which is empty where there is none. Raises as `write`."""
    return _written(state, transaction, Write(item, value, appends=True))


def commit(state: State, transaction: Transaction) -> Step:
    """
    Make its writes the latest versions, in one change.

    Raises:
        Conflict: When a check of its level fails; it has no effect then.
    """
    level = transaction.isolation
    if not transaction.must_commit:
        return Step(state, transaction)
    if level.writes_at_once:
        _holding(state, transaction)
        state = _let_go(state, transaction)
    _check(state, transaction)
    if not level.shows_uncommitted:
        values: dict[Item, Any] = {}
        for each in transaction.writes:
            values[each.item] = each.on(values.get(each.item, state.version(each.item).value))
        state = state.changed(values)
    return Step(state, transaction)


def rollback(state: State, transaction: Transaction) -> Step:
    """Take back what it has in the state."""
    held = state.held.get(transaction.name)
    return Step(state if held is None else _undone(state, transaction.name), transaction)


def _check(state: State, transaction: Transaction) -> None:
    """Raises Conflict when a check of its level fails."""
    level, written = transaction.isolation, transaction.written
    for item in written if level.checks_writes else ():
        if state.version(item).change != transaction.snapshot.version(item).change:
            raise Conflict(f"{item} was changed since the transaction began")
    for item, change in transaction.fixed.items():
        if state.version(item).change != change:
            raise Conflict(f"{item} was changed since this transaction wrote and read it")
    for item, change in transaction.seen.items() if level.checks_reads else ():
        is_looked_at = level.checks_updates or item not in written
        if is_looked_at and state.version(item).change != change:
            raise Conflict(f"{item} was changed since it was read")
    for each in transaction.selected if level.checks_selects else ():
        now = state.matching(each.table, each.where)
        if {name: version.change for name, version in now.items()} != each.found:
            raise Conflict("rows that were selected have changed")


def _written(state: State, transaction: Transaction, new: Write) -> Step:
    later = replace(transaction, writes=(*transaction.writes, new))
    level = transaction.isolation
    if not level.writes_at_once:
        return Step(state, later)
    state = lock(state, transaction, new.item).state
    if level.shows_uncommitted:
        before = state.version(new.item).value
        held = state.held[transaction.name]
        held = replace(held, undo=(*held.undo, (new, before)))
        state = state.changed({new.item: new.on(before)})
        state = replace(state, held={**state.held, transaction.name: held})
    return Step(state, later)


def _holding(state: State, transaction: Transaction) -> Held:
    """What it holds. Raises Conflict when its locks were broken."""
    if transaction.name in state.held:
        return state.held[transaction.name]
    if transaction.writes:
        raise Conflict("its locks were broken, because it took too long")
    return Held(state.changes)


def _unlocked(state: State, name: Hashable, own: Held, item: Item) -> State:
    """
    Without a lock of another on an item.

    Raises:
        Blocked: When there is one that may not be broken yet.
        Conflict: When its holder waits for this transaction.
    """
    other = next((n for n, held in state.held.items() if n != name and item in held.items), None)
    if other is None:
        return state
    if state.changes - state.held[other].since >= LOCK_CHANGES:
        return _undone(state, other)
    if _waits_for(state, other, name):
        raise Conflict(f"deadlock: transaction {other} has locked {item}, and waits for this one")
    waiting = {**state.held, name: replace(own, waits_for=other)}
    raise Blocked(f"transaction {other} has locked {item}", replace(state, held=waiting))


def _waits_for(state: State, name: Hashable, other: Hashable) -> bool:
    """Whether a transaction waits for another, directly or not."""
    while (held := state.held.get(name)) is not None and held.waits_for is not None:
        name = held.waits_for
        if name == other:
            return True
    return False


def _let_go(state: State, transaction: Transaction) -> State:
    held = {name: each for name, each in state.held.items() if name != transaction.name}
    return replace(state, changes=state.changes + 1, held=held)


def _undone(state: State, name: Hashable) -> State:
    """Without a transaction and its writes."""
    for each, before in reversed(state.held[name].undo):
        now = state.version(each.item).value
        if each.appends:
            back = tuple(value for value in now or () if value != each.value)
        else:
            back = before if now == each.value else now
        state = state.changed({each.item: back})
    held = {other: each for other, each in state.held.items() if other != name}
    return replace(state, changes=state.changes + 1, held=held)


class Database:
    """A state that sessions share, one step at a time: for tests, and to generate histories."""

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation
        self.state = State()
        self._begun = 0

    def begin(self) -> Session:
        """A new transaction."""
        self._begun += 1
        return Session(self, begin(self.state, self._begun, self.isolation))


class Session:
    """One transaction on a `Database`. Its methods raise as the functions of this module do."""

    def __init__(self, database: Database, transaction: Transaction) -> None:
        self._database = database
        self._transaction = transaction

    def read(self, item: Item) -> Any:
        """The value of an item, None if it has none."""
        return self._do(read, item)

    def select(self, table: Table, where: Where) -> Mapping[Hashable, Any]:
        """Name -> value of all in a table that is selected."""
        found: Mapping[Hashable, Any] = self._do(select, table, where)
        return found

    def write(self, item: Item, value: Any) -> None:
        """Set an item; None removes it."""
        self._do(write, item, value)

    def lock(self, item: Item) -> None:
        """Lock an item before it is read and written."""
        self._do(lock, item)

    def append(self, item: Item, value: Any) -> None:
        """Append to a tuple."""
        self._do(append, item, value)

    def commit(self) -> None:
        """End the transaction with effect."""
        self._do(commit)

    def rollback(self) -> None:
        """End the transaction without effect."""
        self._do(rollback)

    def _do(self, step: Callable[..., Step], *arguments: Any) -> Any:
        try:
            done = step(self._database.state, self._transaction, *arguments)
        except Blocked as blocked:
            self._database.state = blocked.state
            raise
        self._database.state, self._transaction = done.state, done.transaction
        return done.answer
