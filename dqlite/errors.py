"""
Errors, by what a caller may conclude: not applied, perhaps applied, or a bug.

There is one tree. PEP 249's classes say what kind of error it is, and ours say what a caller may
conclude; each of ours inherits from the class of PEP 249 that fits.

One table maps failure codes to these classes. A code that is not in it is indeterminate, and
message text is read in a single case: code 0 says nothing by itself.

Source: PEP 249; SQLite's result codes; `dqlite/src/protocol.h`; Raft dissertation, 6.3.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import ClassVar, Self

MESSAGE_CHARS_MAX = 1000
"""Of an error: a server chooses the text of its failures, and its own addresses."""


class Scope(Enum):
    """What a request can change, hence what a failure code says about it."""

    STATEMENT = auto()  # at most one SQL statement
    SCRIPT = auto()  # several SQL statements: the first ones stay applied when a later one fails
    MEMBERSHIP = auto()  # administration: code 1 stands for any failure, also late ones


# PEP 249


class Warning(Exception):  # noqa: A001 - PEP 249 names it
    """PEP 249's; nothing here raises it."""


class Error(Exception):
    """Whatever goes wrong; it says what may be concluded about the request."""

    reconnect: ClassVar[bool] = False
    """This connection is of no more use: open another."""

    retryable: ClassVar[bool] = False
    """The request was not applied, and another try may succeed (in a new transaction)."""

    ambiguous: ClassVar[bool] = False
    """The request may have been applied: to repeat it may apply it twice."""

    def __init_subclass__(
        cls, *, reconnect: bool = False, retryable: bool = False, ambiguous: bool = False
    ) -> None:
        cls.reconnect = cls.reconnect or reconnect
        cls.retryable = cls.retryable or retryable
        cls.ambiguous = cls.ambiguous or ambiguous

    def __init__(self, message: str, code: int | None = None) -> None:
        """`code` is the server's, None where the failure was found on this side."""
        self.message = _printable(message)
        super().__init__(self.message)
        self.code = code

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.message} ({self.code})"

    def __reduce__(self) -> tuple[type[Self], tuple[str, int | None]]:
        return type(self), (self.message, self.code)


class InterfaceError(Error):
    """PEP 249: of the interface, not of the database."""


class DatabaseError(Error):
    """PEP 249: of the database."""


class DataError(DatabaseError):
    """PEP 249: of the values that were given or came back."""


class OperationalError(DatabaseError):
    """PEP 249: of the database's operation, not of the programmer."""


class IntegrityError(DatabaseError):
    """PEP 249: a constraint of the schema is violated."""


class InternalError(DatabaseError):
    """PEP 249: of the database's inner state."""


class ProgrammingError(DatabaseError):
    """PEP 249: the statement, its parameters, or the use of this package is wrong."""


class NotSupportedError(DatabaseError):
    """PEP 249: the database cannot do this."""


# What a caller may conclude


class DqliteError(Error):
    """Anything this package raises on purpose."""


class NotApplied(DqliteError):
    """The request took no effect, and never will."""


class Indeterminate(DqliteError, OperationalError, ambiguous=True):
    """The request may have taken effect, or may still do so."""

    token: str | None = None
    """Of the transaction whose COMMIT it was, if it has one: `recover` knows what became of it."""


class ProtocolError(DqliteError, InterfaceError, reconnect=True, ambiguous=True):
    """The peer does not speak the protocol as we know it; the request's effect is unknown."""


class NotSent(NotApplied, OperationalError, reconnect=True, retryable=True):
    """The connection was unusable before the first byte of the request."""


class NoLeader(NotApplied, OperationalError, reconnect=True, retryable=True):
    """None of the asked nodes led to a leader in time."""


class NotTrusted(NotApplied, OperationalError, reconnect=True):
    """One side refused the TLS of the other: its certificate, its name, or that there is none."""


class NotLeader(NotApplied, OperationalError, reconnect=True, retryable=True):
    """The node does not lead: find the leader."""


class HandleLost(NotApplied, OperationalError, reconnect=True, retryable=True):
    """The connection has no such database or statement: reopen, or reconnect after an election."""


class Abandoned(NotApplied, OperationalError, reconnect=True, retryable=True):
    """The connection of an open transaction ended before COMMIT, and the transaction with it."""


class Busy(NotApplied, OperationalError, retryable=True):
    """Another transaction is in the way; an open transaction stays open and needs a ROLLBACK."""


class ConstraintViolation(NotApplied, IntegrityError):
    """A constraint of the schema forbids the statement."""


class StatementError(NotApplied, ProgrammingError):
    """The statement or its parameters cannot be run."""


class Refused(NotApplied, ProgrammingError, ValueError):
    """Not sent, because it is malformed or would damage the server."""


class InvalidValue(DataError, Refused):
    """Not sent, because a parameter is no value that a server takes; or a column cannot be read."""


class TokenExpired(DqliteError, OperationalError):
    """Too many transactions came after this one: nobody knows any more whether it was committed."""


class Closed(NotApplied, InterfaceError):
    """What was used had been closed by this side."""


class LeadershipLost(Indeterminate, reconnect=True):
    """The leader was deposed with the entry in its log: the next leader may commit it."""


class ConnectionLost(Indeterminate, reconnect=True):
    """End of stream, reset or timeout after the first byte of the request."""


class TimedOut(ConnectionLost):
    """No complete answer came in time."""


class ServerTooOld(NotApplied, NotSupportedError):
    """The server lacks what the request needs; the message names the version that has it."""


class StoreError(NotApplied, OperationalError):
    """A node store cannot be read or written, or does not hold members."""


class BackupError(DqliteError, OperationalError):
    """A backup could not be made, or cannot be restored from; nothing is applied."""


class NodeError(DqliteError, InterfaceError):
    """A node in this process could not be created, configured, started or stopped."""


class DamagedFiles(NodeError):
    """Files in a data directory are not as raft writes them."""


class LibraryNotFound(NodeError):
    """The shared library libdqlite cannot be loaded."""


class CapabilityMissing(NodeError, NotSupportedError):
    """This build of libdqlite lacks the function that an option needs."""


_CONSTRAINTS = (19, 275, 531, 787, 1043, 1299, 1555, 1811, 2067, 2323, 2579, 2835, 3091)

OUTCOMES: Mapping[int, type[NotApplied | Indeterminate]] = {
    1: StatementError,  # SQL error; for MEMBERSHIP see `failure`
    5: Busy,
    12: HandleLost,
    13: StatementError,  # SQLite's own "full"; a full disk is 10 or 778, which stay indeterminate
    23: StatementError,
    25: StatementError,
    261: Busy,
    517: Busy,  # a read transaction that wants to write after another commit
    1001: StatementError,  # protocol
    1002: StatementError,  # not found
    1005: StatementError,  # cannot be parsed
    8202: NotLeader,  # before 1.0
    8458: LeadershipLost,  # before 1.0
    10250: NotLeader,
    10506: LeadershipLost,
    **dict.fromkeys(_CONSTRAINTS, ConstraintViolation),
}
"""Failure code to outcome. Not here, so indeterminate: 4, 7, 9, 10, 100, 778, raft's own codes."""


def _printable(text: str) -> str:
    """One line of limited length, which moves no cursor wherever it is shown."""
    shown = text[: MESSAGE_CHARS_MAX + 1]
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in shown)
    return shown if len(shown) <= MESSAGE_CHARS_MAX else f"{shown[:MESSAGE_CHARS_MAX]}…"


def failure(code: int, message: str, scope: Scope = Scope.STATEMENT) -> DqliteError:
    """Return the exception for a FAILURE response, decoded already (partial rows cut off)."""
    if code == 0 and message == "empty statement":
        return StatementError(message, code)
    outcome = OUTCOMES.get(code, Indeterminate)
    is_vague = scope is Scope.SCRIPT or (scope is Scope.MEMBERSHIP and code == 1)
    if is_vague and issubclass(outcome, NotApplied):
        outcome = Indeterminate
    return outcome(message, code)
