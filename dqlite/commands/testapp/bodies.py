"""
What the Jepsen test of dqlite sends and is answered: small values of EDN, as text. Pure.

Only what that test sends is understood; all else is malformed.

Source: jepsen.dqlite, `resources/app.go`, `src/jepsen/dqlite/append.clj`, `bank.clj`, `set.clj`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_NUMBER = r"-?\d{1,18}"  # less than 64 bits: what a column of integers holds
_OPERATION = re.compile(rf"\[:(?:r ({_NUMBER}) nil|append ({_NUMBER}) ({_NUMBER}))\]", re.ASCII)
_ENTRY = re.compile(rf":([a-z-]+) (?:({_NUMBER})|\[((?:{_NUMBER}(?: {_NUMBER})*)?)\])", re.ASCII)


class Malformed(Exception):
    """A body that the Jepsen test does not send."""


@dataclass(frozen=True, slots=True)
class Read:
    """`[:r KEY nil]`: all values of a key."""

    key: int


@dataclass(frozen=True, slots=True)
class Append:
    """`[:append KEY VALUE]`."""

    key: int
    value: int


MicroOperation: TypeAlias = Read | Append


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a bank begins with: each account has the same share of the total."""

    ids: tuple[int, ...]
    balance: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Between two accounts; their balances may become negative."""

    source: int
    target: int
    amount: int


def parse_transaction(text: str) -> tuple[MicroOperation, ...]:
    """Return the micro-operations of `[[:r 1 nil] [:append 2 3]]`, at least one; or Malformed."""
    return tuple(
        Read(int(read)) if read else Append(int(key), int(value))
        for read, key, value in (
            match.groups() for match in _parts(text, "[]", _OPERATION, separator=" ")
        )
    )


def parse_accounts(text: str) -> Accounts:
    """Return the accounts of `{:accounts [0 1], :total-amount 0}`; or raise Malformed."""
    entries = _entries(text)
    ids = entries.get("accounts")
    total = entries.get("total-amount")
    if not isinstance(ids, tuple) or not ids or not isinstance(total, int):
        raise Malformed(f"expected accounts and a total amount, got {text!r}")
    return Accounts(ids, total // len(ids))


def parse_transfer(text: str) -> Transfer:
    """Return the transfer of `{:from 1, :to 2, :amount 5}`; or raise Malformed."""
    entries = _entries(text)
    found = [entries.get(name) for name in ("from", "to", "amount")]
    numbers = [each for each in found if isinstance(each, int)]
    if len(numbers) != 3:
        raise Malformed(f"expected numbers from, to and amount, got {text!r}")
    return Transfer(*numbers)


def parse_number(text: str) -> int:
    """Return the number that a body is; or raise Malformed."""
    if not re.fullmatch(_NUMBER, text, re.ASCII):
        raise Malformed(f"expected a number, got {text!r}")
    return int(text)


def transaction(done: Iterable[tuple[MicroOperation, Sequence[object]]]) -> str:
    """Return the micro-operations with what was read, as the client reads them."""
    return vector(
        f"[:r {each.key} {vector(read)}]"
        if isinstance(each, Read)
        else f"[:append {each.key} {each.value}]"
        for each, read in done
    )


def balances(rows: Iterable[tuple[object, object]]) -> str:
    """Return the map of accounts to balances."""
    return "{" + ", ".join(f"{account} {balance}" for account, balance in rows) + "}"


def vector(items: Iterable[object]) -> str:
    """Return a vector of what is text already, or a number."""
    return "[" + " ".join(map(str, items)) + "]"


def string(text: str) -> str:
    """Return a string in its quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entries(text: str) -> dict[str, int | tuple[int, ...]]:
    return {
        name: int(number) if number else tuple(map(int, numbers.split()))
        for name, number, numbers in (
            match.groups() for match in _parts(text, "{}", _ENTRY, separator=", ")
        )
    }


def _parts(
    text: str, brackets: str, part: re.Pattern[str], *, separator: str
) -> list[re.Match[str]]:
    """The parts between two brackets, at least one."""
    found = []
    end = 1
    if text[:1] == brackets[0]:
        while match := part.match(text, end):
            found.append(match)
            end = match.end()
            if text[end:] == brackets[1]:
                return found
            if not text.startswith(separator, end):
                break
            end += len(separator)
    raise Malformed(f"expected what the Jepsen test sends, got {text!r}")
