"""What the bank workload asks, and how its client moves money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dissever.checkers.bank import balance_of
from dissever.checkers.transactions import Transactions
from dissever.harness import clock
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import clients, generator, limit
from dissever.harness.generator.simulate import context, simulate
from dissever.harness.history import History, Type
from dissever.harness.plan import Options
from dissever.harness.results import Budget, Verdict
from dissever.workloads.bank import BankClient, checkers, final, operations
from tests.workloads.memory import (
    Database,
    MemoryTransactions,
    SlowTransactions,
    history_of,
)


def options(**given: Any) -> Options:
    own = {name.replace("_", "-"): value for name, value in given.items()}
    return Options(system="simulated", workload="bank", workload_options=own)


def applied(*invocations: Invocation) -> tuple[list[Completion], dict[int, int]]:
    """What one client answers, and what the accounts hold then."""
    database = Database()

    async def main() -> list[Completion]:
        client = BankClient(MemoryTransactions(database))
        return [await client.invoke(invocation) for invocation in invocations]

    return clock.run(main(), is_virtual=True), database.values


def transfer(source: int | None, target: int, amount: int, **more: Any) -> Invocation:
    return Invocation("transfer", {"from": source, "to": target, "amount": amount, **more})


def test_money_moves_and_reads_show_it() -> None:
    answers, held = applied(
        transfer(None, 0, 100), transfer(0, 1, 5), Invocation("read", [0, 1, 2])
    )

    assert [answer.type for answer in answers] == [Type.OK] * 3
    assert answers[2].value == {"0": 95, "1": 5, "2": 0}
    assert held == {0: 95, 1: 5}


def test_total_is_put_in_once() -> None:
    answers, held = applied(transfer(None, 0, 100), transfer(0, 1, 5), transfer(None, 0, 100))

    assert answers[2].type is Type.OK
    assert held == {0: 95, 1: 5}


def test_account_that_holds_too_little_keeps_it() -> None:
    answers, held = applied(transfer(None, 0, 3), transfer(0, 1, 5))

    assert answers[1].type is Type.FAIL
    assert answers[1].error == ["insufficient", "account 0 holds 3, not 5"]
    assert held == {0: 3}


def test_overdraft_takes_more_than_there_is() -> None:
    _, held = applied(transfer(None, 0, 3), transfer(0, 1, 5, overdraft=True))

    assert held == {0: -2, 1: 5}


def test_transaction_that_reads_something_else_is_rolled_back() -> None:
    value = [["r", 0, 7], ["r", 1, None], ["w", 0, 9]]
    answers, held = applied(Invocation("txn", [["w", 0, 8]]), Invocation("txn", value))

    assert answers[1].type is Type.FAIL
    assert answers[1].error == ["mismatch", "expected 7 in 0, found 8"]
    assert held == {0: 8}


def test_total_is_asked_for_by_one_at_a_time_until_it_is_there() -> None:
    types = iter([Type.FAIL, Type.INFO, Type.OK])
    source = clients(limit(20, operations(options(total=50))))
    events = simulate(source, context(3), lambda _: (next(types, Type.OK), 10))
    asked = [event.value for event in events if event.type is Type.INVOKE]

    assert asked[:3] == [{"from": None, "to": 0, "amount": 50}] * 3
    assert all(value == list(range(8)) or value["from"] is not None for value in asked[3:])


def test_transfers_are_between_different_accounts_and_within_bounds() -> None:
    source = clients(limit(500, operations(options(accounts=3, max_transfer=7))))
    events = simulate(source, context())
    moved = [e.value for e in events if e.type is Type.INVOKE and e.f == "transfer"][1:]

    assert 180 < len(moved) < 320
    assert all(value["from"] != value["to"] for value in moved)
    assert {value["amount"] for value in moved} == set(range(1, 8))
    assert {value["from"] for value in moved} == {0, 1, 2}
    assert not any("overdraft" in value for value in moved)


def test_every_worker_reads_in_the_end() -> None:
    events = simulate(clients(generator(final(options(), ()))), context(3))

    assert {event.process for event in events} == {0, 1, 2}
    assert all(event.f == "read" for event in events)


def run(given: Options, count: int, made: Callable[[Any], Any] = lambda store: store) -> History:
    database = Database()
    source = limit(count, operations(given))
    return history_of(source, lambda: BankClient(made(SlowTransactions(database))))


@pytest.mark.parametrize("form", ["transfers", "transactions"])
def test_bank_in_memory_keeps_its_total(form: str) -> None:
    given = options(form=form)
    history = run(given, 300)
    result = checkers(given)["bank"](history, Budget())

    assert result.verdict is Verdict.VALID, result.why
    assert result.details["reads"] > 100


@pytest.mark.parametrize("form", ["transfers", "transactions"])
def test_bank_without_isolation_loses_its_total(form: str) -> None:
    class Loose:
        """Lets go of the lock when it has begun."""

        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def begin(self) -> None:
            pass

        async def commit(self) -> None:
            pass

        async def rollback(self) -> None:
            pass

    given = options(form=form)
    result = checkers(given)["bank"](run(given, 600, Loose), Budget())

    assert result.verdict is Verdict.INVALID
    assert "wrong-total" in {anomaly.name for anomaly in result.anomalies}


def test_form_of_transactions_writes_each_value_once_and_is_judged_by_a_model_too() -> None:
    given = options(form="transactions", consistency_model="snapshot-isolation")
    history = run(given, 300)
    written = [
        (key, value)
        for operation in history.operations
        for f, key, value in operation.invocation.value
        if f == "w"
    ]
    moved = [event.value for event in history if event.type is Type.OK and len(event.value) == 10]
    totals = {sum(balance_of(held) for f, _, held in value if f == "r") for value in moved}

    assert len(set(written)) == len(written)
    assert len(moved) > 20
    assert totals == {100}
    assert checkers(given)["transactions"] == Transactions("wr", "snapshot-isolation")
    assert "transactions" not in checkers(options())


def test_poor_accounts_are_given_to() -> None:
    source = clients(limit(200, operations(options(form="transactions", accounts=2, total=1))))
    events = simulate(source, context(1))

    assert all(
        balance_of(value) >= 0
        for event in events
        for f, _, value in event.value
        if value is not None
    )


def test_nothing_to_move_leaves_reads() -> None:
    history = run(options(form="transactions", total=0), 50)
    asked = [operation.invocation.value for operation in history.operations]

    assert all(f == "r" for value in asked[5:] for f, _, _ in value)


def test_not_applied_of_the_store_is_fail() -> None:
    class Refusing(MemoryTransactions):
        async def commit(self) -> None:
            raise NotApplied("busy", 5)

    client = BankClient(Refusing(Database()))
    completion = clock.run(client.invoke(Invocation("read", [0])), is_virtual=True)

    assert (completion.type, completion.error) == (Type.FAIL, [5, "busy"])
