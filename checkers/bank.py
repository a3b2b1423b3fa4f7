"""
Accounts between which money is moved: every read must add up to the same total.

A read is an ok operation `read` whose value maps accounts to balances, or, in a history of
transactions (`txn`), an ok transaction that reads every account. Names of accounts are compared as
texts, because the keys of maps in a history file are texts.

What a read says of the past is not judged: a read that is stale adds up. Of a read that is wrong in
several ways the first way counts, in the order of `KINDS`.

Source: Jepsen, `tests/bank.clj`, `check-op`, whose names of the errors these are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from dissever.checkers.linearizability.narration import who
from dissever.harness.history import (
    MICRO_OPERATIONS,
    TXN,
    History,
    MalformedHistory,
    Operation,
    Type,
    is_transaction,
)
from dissever.harness.results import Anomaly, Budget, Result, Step, Verdict, Wrong
from dissever.harness.values import count_text, listed, quoted, shorten, show_ns

WRONG_MAX: Final = 20
"""Wrong reads that are listed one by one; the count is exact."""

KINDS: Final[Mapping[str, str]] = {
    "unexpected-key": "has an account that there is not",
    "nil-balance": "lacks the balance of an account",
    "wrong-total": "adds up to another total",
    "negative-value": "has a balance below zero",
}
"""Name of an anomaly -> what a read is called that has it."""

UNIT: Final = 1_000_000
"""
What a transaction writes to an account is `serial * UNIT + balance`, so that no value is written
twice. Balances are from -UNIT / 2 to UNIT / 2 - 1.
"""


def coded(serial: int, balance: int) -> int:
    """A value that holds a balance, and that no other serial number gives."""
    return serial * UNIT + balance


def balance_of(value: int) -> int:
    """The balance that a coded value holds."""
    return (value + UNIT // 2) % UNIT - UNIT // 2


@dataclass(frozen=True, slots=True)
class Bank:
    """
    The checker. Linear in the sizes of all reads.

    Args:
        accounts: Their names; None: those of the first read that was answered.
        total: What they add up to; None: what the first read that was answered adds up to.
        allows_negative: Whether a balance may be below zero.
    """

    accounts: tuple[str, ...] | None = None
    total: int | None = None
    allows_negative: bool = False
    name: str = "bank"

    def __call__(self, history: History, budget: Budget) -> Result:
        try:
            operations = history.operations
            reads = list(_reads(operations, self.accounts))
        except MalformedHistory as error:
            return self._unknown(f"malformed: {error}")
        if not reads:
            return self._unknown("no read of all accounts was answered")
        accounts = tuple(reads[0].balances) if self.accounts is None else self.accounts
        total = reads[0].total if self.total is None else self.total
        ruled = Rules(frozenset(accounts), total, self.allows_negative)
        wrong = [(kind, read) for read in reads if (kind := ruled.broken_by(read)) is not None]
        details = _details(reads, wrong, total)
        anomalies = tuple(
            _anomaly(
                kind, of_kind, reads, ruled, source=None if self.total is not None else reads[0]
            )
            for kind in KINDS
            if (of_kind := [read for each, read in wrong if each == kind])
        )
        if anomalies:
            why = listed((anomaly.summary for anomaly in anomalies), "; ")
            return Result(
                checker=self.name,
                verdict=Verdict.INVALID,
                why=why,
                anomalies=anomalies,
                details=details,
            )
        if not any(map(_is_transfer, operations)):
            return self._unknown("no transfer succeeded, so nothing could go wrong", details)
        if self.total is None and len(reads) == 1:
            return self._unknown("only one read was answered, and it is what gives the total")
        why = f"each of {count_text(len(reads), 'read')} adds up to {total}"
        return Result(checker=self.name, verdict=Verdict.VALID, why=why, details=details)

    def _unknown(self, why: str, details: dict[str, Any] | None = None) -> Result:
        return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why, details=details or {})


@dataclass(frozen=True, slots=True)
class Read:
    """A read of all accounts that was answered: account -> balance, None where there is none."""

    operation: Operation
    balances: Mapping[str, int | None]

    @property
    def total(self) -> int:
        """What the balances that are there add up to."""
        return sum(balance for balance in self.balances.values() if balance is not None)


@dataclass(frozen=True, slots=True)
class Rules:
    """What every read must be like."""

    accounts: frozenset[str]
    total: int
    allows_negative: bool

    def broken_by(self, read: Read) -> str | None:
        """The first of KINDS that a read is, or None."""
        if not self.accounts >= read.balances.keys():
            return "unexpected-key"
        if any(read.balances.get(account) is None for account in self.accounts):
            return "nil-balance"
        if read.total != self.total:
            return "wrong-total"
        if not self.allows_negative and self.negative(read):
            return "negative-value"
        return None

    def negative(self, read: Read) -> list[str]:
        """The accounts that are below zero."""
        return [name for name, balance in read.balances.items() if (balance or 0) < 0]

    def fault(self, kind: str, read: Read) -> str:
        """In what way a read is wrong, as the end of a sentence."""
        if kind == "unexpected-key":
            strange = sorted(read.balances.keys() - self.accounts)
            return f"has the unknown {_accounts(strange)}"
        if kind == "nil-balance":
            missing = [each for each in self.accounts if read.balances.get(each) is None]
            return f"has no balance of {_accounts(sorted(missing))}"
        if kind == "wrong-total":
            return f"adds up to {read.total}, not {self.total}"
        below = ", ".join(f"{name}: {read.balances[name]}" for name in self.negative(read))
        return f"has balances below zero ({below})"

    def badness(self, kind: str, read: Read) -> int:
        """How far from right a read is, to choose the worst."""
        if kind == "unexpected-key":
            return len(read.balances.keys() - self.accounts)
        if kind == "nil-balance":
            return sum(read.balances.get(account) is None for account in self.accounts)
        if kind == "wrong-total":
            return abs(read.total - self.total)
        return -min(read.balances[name] or 0 for name in self.negative(read))


def _reads(operations: Sequence[Operation], accounts: Sequence[str] | None) -> Iterator[Read]:
    """
    The reads of all accounts that were answered, by invocation.

    Raises:
        MalformedHistory: When an answer is no map from accounts to whole numbers.
    """
    answered = [o for o in operations if o.type is Type.OK and o.completion is not None]
    every = set(accounts or ())
    if accounts is None:
        every = {str(key) for each in answered if each.f == TXN for _, key, _ in _micro(each)}
    for operation in answered:
        if operation.f == "read":
            yield Read(operation, _balances(operation, _answer(operation)))
        elif operation.f == TXN:
            found = {str(key): held for f, key, held in _micro(operation) if f == "r"}
            if found.keys() >= every and not _opens(operation, found):
                balances = _balances(operation, found).items()
                yield Read(
                    operation,
                    {key: None if held is None else balance_of(held) for key, held in balances},
                )


def _opens(operation: Operation, found: Mapping[str, Any]) -> bool:
    """Whether a transaction found no account at all and made all of them."""
    made = {str(key) for f, key, _ in _micro(operation) if f == "w"}
    return made >= found.keys() and all(held is None for held in found.values())


def _answer(operation: Operation) -> Any:
    assert operation.completion is not None
    return operation.completion.value


def _micro(operation: Operation) -> list[Any]:
    """The micro-operations of an ok transaction, by their short names."""
    value = _answer(operation)
    if not is_transaction(value):
        assert operation.completion is not None
        expected = 'expected micro-operations such as ["r", 0, 95]'
        raise MalformedHistory(f"{expected}, got {quoted(value)}", operation.completion.index)
    return [[MICRO_OPERATIONS[f], key, held] for f, key, held in value]


def _balances(operation: Operation, value: Any) -> dict[str, int | None]:
    """The answer to a read, once it is known to be one."""
    assert operation.completion is not None
    index = operation.completion.index
    expected = "expected a map from accounts to whole numbers as the answer to a read"
    if not isinstance(value, dict) or not value:
        raise MalformedHistory(f"{expected}, got {quoted(value)}", index)
    for account, balance in value.items():
        if balance is not None and type(balance) is not int:
            raise MalformedHistory(f"{expected}, got {quoted(balance)} of {account}", index)
    return {str(account): balance for account, balance in value.items()}


def _is_transfer(operation: Operation) -> bool:
    """Whether money was moved from one account to another."""
    if operation.type is not Type.OK:
        return False
    value = operation.invocation.value
    if operation.f == TXN:
        kinds = {f for f, _, held in _micro(operation) if held is not None}
        return {"r", "w"} <= kinds
    is_first = isinstance(value, dict) and value.get("from", "") is None
    return operation.f == "transfer" and not is_first


def _details(
    reads: Sequence[Read], wrong: Sequence[tuple[str, Read]], total: int
) -> dict[str, Any]:
    totals = [read.total for read in reads]
    counts = {kind: sum(each == kind for each, _ in wrong) for kind in KINDS}
    return {
        "reads": len(reads),
        "total": total,
        "lowest": min(totals),
        "highest": max(totals),
        **{kind: count for kind, count in counts.items() if count},
    }


def _anomaly(
    kind: str, wrong: Sequence[Read], reads: Sequence[Read], rules: Rules, source: Read | None
) -> Anomaly:
    """`source`: the read that gave the total, if no option did."""
    first, worst = wrong[0], max(wrong, key=lambda read: rules.badness(kind, read))
    shown = list(dict.fromkeys(read.operation.indices for read in (first, worst, wrong[-1])))
    right = _last_right(first, reads, wrong)
    told = [read for read in (source, right) if read is not None and read is not first]
    told += [first, worst, wrong[-1]]
    steps = {read.operation.indices: _step(read, rules, is_source=read is source) for read in told}
    indices = tuple(sorted({index for each in shown for index in each}))
    context = tuple(sorted({index for each in steps for index in each}))
    begun = [first] if source is None or source is first else [source, first]
    count = "1 read" if len(wrong) == 1 else f"{len(wrong):,} of {len(reads):,} reads"
    has = KINDS[kind] if len(wrong) == 1 else _PLURAL[kind]
    return Anomaly(
        name=kind,
        summary=f"{count} {has}: {_told(first)} {rules.fault(kind, first)}",
        indices=indices,
        context=context,
        steps=tuple(steps.values()),
        smallest=tuple(read.operation.invocation.index for read in begun),
        wrong=tuple(_wrong(kind, read, rules) for read in wrong[:WRONG_MAX]),
        wrong_count=len(wrong),
    )


def _wrong(kind: str, read: Read, rules: Rules) -> Wrong:
    is_total = kind == "wrong-total"
    return Wrong(
        answer=read.operation.invocation.index,
        value=str(read.total) if is_total else rules.fault(kind, read),
        expected=str(rules.total) if is_total else "",
    )


_PLURAL: Final[Mapping[str, str]] = {
    "unexpected-key": "have accounts that there are not",
    "nil-balance": "lack the balance of an account",
    "wrong-total": "add up to another total",
    "negative-value": "have a balance below zero",
}


def _last_right(first: Read, reads: Sequence[Read], wrong: Sequence[Read]) -> Read | None:
    """The last read before the first wrong one that is right."""
    bad = {id(read) for read in wrong}
    for before, read in pairwise(reads):
        if read is first:
            return None if id(before) in bad else before
    return None


def _told(read: Read) -> str:
    completion = read.operation.completion
    assert completion is not None
    return f"that of {who(read.operation)} at {show_ns(completion.time)}"


def _step(read: Read, rules: Rules, *, is_source: bool) -> Step:
    kind = rules.broken_by(read)
    held = ", ".join(f"{name}: {balance}" for name, balance in read.balances.items())
    what = f"adds up to {read.total}" if kind is None else rules.fault(kind, read)
    what += ", which is taken for the total," if is_source else ","
    completion = read.operation.completion
    assert completion is not None
    text = f"the read of {who(read.operation)}, answered at {show_ns(completion.time)}, {what}"
    return Step(f"{text.rstrip(',')}: {shorten(held)}", read.operation.indices)


def _accounts(names: Sequence[str]) -> str:
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"account{'s' if len(names) > 1 else ''} {listed}"
