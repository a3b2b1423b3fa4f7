"""
Accounts between which money is moved: does every read add up to the same total?

At first the total is put into account 0; an account that was never written holds nothing. Of the
two forms of this workload, one has the operations `read` and `transfer`, and the client computes
the new balances in its transaction. The other has transactions (`txn`) alone. Each reads all
accounts. The generator says what it expects to be read and what is then written, and a transaction
that reads something else is rolled back. Each value is written once, so that the rules of `wr`
judge these histories, too.

Source: Jepsen, `tests/bank.clj`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dissever.checkers.bank import Bank, balance_of, coded
from dissever.checkers.transactions import Transactions
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import (
    PENDING,
    Answer,
    Context,
    Generator,
    concurrency_limit,
    each_thread,
    limit,
    mix,
    phases,
    repeat,
    until_ok,
)
from dissever.harness.generator.core import place
from dissever.harness.history import Event, Key, Type
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.results import Checker
from dissever.workloads import transactions
from dissever.workloads.transactions import (
    READ,
    TXN,
    WRITE,
    Reading,
    TransactionClient,
    committed,
)
from dissever.workloads.transactions import (
    Transactions as Store,
)
from dissever.workloads.workload import FINAL_TRIES, Workload, chosen

TRANSFERS, TRANSACTIONS = "transfers", "transactions"

OPTIONS: Final[Mapping[str, Option]] = {
    "accounts": Option("how many accounts there are", 8, least=2, most=100),
    "total": Option("what all of them hold together", 100, least=0, most=100_000),
    "max-transfer": Option("the most that one transfer moves", 5, least=1, most=1000),
    "negative-balances": Option(
        "whether a transfer may take more than an account holds", "no", choices=("no", "yes")
    ),
    "form": Option(
        "`transfers`: operations read and transfer; `transactions`: each operation is a transaction"
        " that reads all accounts, and they are judged by the consistency model, too",
        TRANSFERS,
        choices=(TRANSFERS, TRANSACTIONS),
    ),
    "consistency-model": transactions.OPTIONS["consistency-model"],
}


class BankClient:
    """Reads accounts and moves money between them, each in one transaction of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._transactions = TransactionClient(store, Reading.REGISTERS)

    async def invoke(self, invocation: Invocation) -> Completion:
        if invocation.f == TXN:
            return await self._transactions.invoke(invocation)
        value = invocation.value
        try:
            async with committed(self._store):
                if invocation.f == "read":
                    answer = {str(each): await self._balance(each) for each in value}
                else:
                    answer = value
                    await self._transfer(value)
        except NotApplied as error:
            return invocation.fail([error.code, str(error)])
        return invocation.ok(answer)

    async def _balance(self, account: int) -> int:
        return await self._store.read(account) or 0

    async def _transfer(self, value: Mapping[str, Any]) -> None:
        store, source, target, amount = self._store, value["from"], value["to"], value["amount"]
        if source is None:
            if await store.read(target) is None:
                await store.write(target, amount)
            return
        held, other = await self._balance(source), await self._balance(target)
        if held < amount and not value.get("overdraft"):
            raise NotApplied(f"account {source} holds {held}, not {amount}", "insufficient")
        await store.write(source, held - amount)
        await store.write(target, other + amount)

    async def close(self) -> None:
        await self._store.close()


def operations(options: Options) -> Generator:
    """Once the total is in account 0: reads of all accounts, and as many transfers."""
    accounts = tuple(range(chosen(options, OPTIONS, "accounts")))
    may_overdraw = chosen(options, OPTIONS, "negative-balances") == "yes"
    total, most = chosen(options, OPTIONS, "total"), chosen(options, OPTIONS, "max-transfer")
    if chosen(options, OPTIONS, "form") == TRANSACTIONS:
        return Ledger(total, most, may_overdraw, (None,) * len(accounts))
    first = Invocation("transfer", {"from": None, "to": accounts[0], "amount": total})

    def transfer(context: Context) -> Invocation:
        source, target = context.rng.sample(accounts, 2)
        amount = context.rng.randint(1, most)
        more = {"overdraft": True} if may_overdraw else {}
        return Invocation("transfer", {"from": source, "to": target, "amount": amount, **more})

    reads = repeat(Invocation("read", list(accounts)))
    return phases(concurrency_limit(1, until_ok(repeat(first))), mix(reads, transfer))


class Ledger(msgspec.Struct, frozen=True):
    """
    Endless transactions that read all accounts; half of them then move money.

    `held` are the values of the accounts as somebody last saw them, None if nobody has. Each
    invocation that writes has a serial number of its own.
    """

    total: int
    transfer_max: int
    may_overdraw: bool
    held: tuple[int | None, ...]
    serial: int = 1

    def next(self, context: Context) -> Answer:
        if not context.free:
            return PENDING, self
        balances = [balance_of(value) for value in self.held if value is not None]
        if len(balances) < len(self.held):
            changes = {
                account: self.total if account == 0 else 0 for account in range(len(self.held))
            }
            return self._asked([], changes, context)
        if context.rng.random() < 0.5:
            return place(Invocation(TXN, self._reads()), context), self
        source, target = context.rng.sample(range(len(balances)), 2)
        most = self.transfer_max if self.may_overdraw else min(self.transfer_max, balances[source])
        if most < 1:  # It holds nothing, so another gives to it.
            source, target = max(range(len(balances)), key=balances.__getitem__), source
            most = min(self.transfer_max, balances[source])
        if most < 1:
            return place(Invocation(TXN, self._reads()), context), self
        amount = context.rng.randint(1, most)
        changes = {source: balances[source] - amount, target: balances[target] + amount}
        expected = [[READ, account, value] for account, value in enumerate(self.held)]
        return self._asked(expected, changes, context)

    def update(self, context: Context, event: Event) -> Generator:
        if event.type is not Type.OK or event.f != TXN:
            return self
        held = list(self.held)
        for _, account, value in event.value:
            held[account] = value
        return self if tuple(held) == self.held else self._with(tuple(held), self.serial)

    def _reads(self) -> list[list[Any]]:
        return [[READ, account, None] for account in range(len(self.held))]

    def _asked(
        self, reads: list[list[Any]], changes: Mapping[int, int], context: Context
    ) -> Answer:
        writes = [[WRITE, key, coded(self.serial, balance)] for key, balance in changes.items()]
        step = place(Invocation(TXN, [*reads, *writes]), context)
        return step, self._with(self.held, self.serial + 1)

    def _with(self, held: tuple[int | None, ...], serial: int) -> Ledger:
        return msgspec.structs.replace(self, held=held, serial=serial)


def final(options: Options, keys: tuple[Key, ...]) -> Generator:
    """Every worker reads until it is answered, so every node is read."""
    accounts = list(range(chosen(options, OPTIONS, "accounts")))
    is_plain = chosen(options, OPTIONS, "form") == TRANSFERS
    reads = (
        Invocation("read", accounts)
        if is_plain
        else Invocation(TXN, [[READ, account, None] for account in accounts])
    )
    return each_thread(until_ok(limit(FINAL_TRIES, repeat(reads))))


def checkers(options: Options) -> dict[str, Checker]:
    """The bank, and for transactions their consistency model, too."""
    accounts = tuple(map(str, range(chosen(options, OPTIONS, "accounts"))))
    may_overdraw = chosen(options, OPTIONS, "negative-balances") == "yes"
    total = chosen(options, OPTIONS, "total")
    every: dict[str, Checker] = {"bank": Bank(accounts, total, may_overdraw)}
    if chosen(options, OPTIONS, "form") == TRANSACTIONS:
        every["transactions"] = Transactions("wr", transactions.model_of(options))
    return every


WORKLOAD = Workload(
    description="accounts: move money between them; does every read add up to the same total?",
    store=transactions.STORE,
    methods=("begin", "read", "write", "commit", "rollback"),
    operations=operations,
    final=final,
    client=BankClient,
    checkers=checkers,
    options=OPTIONS,
)
