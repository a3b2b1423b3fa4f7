"""Which transactions are drawn, and how their client reports what a store answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation, NotApplied
from dissever.harness.generator import clients, limit, then_with_keys
from dissever.harness.generator.simulate import context, ending, perfect, simulate
from dissever.harness.history import Event, Type
from dissever.harness.plan import Options
from dissever.harness.results import Budget, Verdict
from dissever.workloads import WORKLOADS
from dissever.workloads.transactions import Reading, TransactionClient, final, keys_of, misfit
from tests.workloads.memory import (
    Database,
    MemoryTransactions,
    SlowTransactions,
    WholeMemoryTransactions,
    history_of,
)


class Scripted(MemoryTransactions):
    """A store of which some methods raise; it notes what was called."""

    def __init__(self, **errors: Exception) -> None:
        super().__init__(Database())
        self.called: list[str] = []
        for name in ("begin", "read_list", "append", "commit", "rollback", "close"):
            setattr(self, name, self._noted(name, getattr(self, name), errors.get(name)))

    def _noted(self, name: str, method: Any, error: Exception | None) -> Any:
        async def call(*arguments: Any) -> Any:
            self.called.append(name)
            if error is not None:
                raise error
            return await method(*arguments)

        return call


TRANSACTION = Invocation("txn", [["append", 3, 1], ["r", 3, None], ["r", 4, None]])


def apply(store: Any, invocation: Invocation = TRANSACTION) -> Completion:
    client = TransactionClient(store, Reading.LISTS)
    return clock.run(client.invoke(invocation), is_virtual=True)


@pytest.mark.parametrize("kind", [MemoryTransactions, WholeMemoryTransactions])
def test_completion_has_what_was_read(kind: Any) -> None:
    completion = apply(kind(Database()))

    assert completion.type is Type.OK
    assert completion.value == [["append", 3, 1], ["r", 3, [1]], ["r", 4, []]]
    assert TRANSACTION.value[1] == ["r", 3, None], "the invocation stays as it was asked"


def test_registers_are_read_and_written() -> None:
    client = TransactionClient(MemoryTransactions(Database()), Reading.REGISTERS)
    asked = Invocation("txn", [["r", 1, None], ["w", 1, 5], ["r", 1, None]])

    completion = clock.run(client.invoke(asked), is_virtual=True)

    assert completion.value == [["r", 1, None], ["w", 1, 5], ["r", 1, 5]]


@pytest.mark.parametrize("where", ["begin", "append", "read_list", "commit"])
def test_not_applied_anywhere_is_fail_after_a_rollback(where: str) -> None:
    store = Scripted(**{where: NotApplied("busy", 5)})

    completion = apply(store)

    assert (completion.type, completion.error) == (Type.FAIL, [5, "busy"])
    assert completion.value == TRANSACTION.value, "a fail says nothing of what was read"
    assert store.called[-1] == "rollback"
    assert ("commit" in store.called) == (where == "commit")


@pytest.mark.parametrize("where", ["begin", "append", "read_list", "commit"])
def test_other_errors_are_left_to_the_interpreter_and_nothing_is_sent_after_them(
    where: str,
) -> None:
    store = Scripted(**{where: ConnectionResetError("who knows")})

    with pytest.raises(ConnectionResetError):
        apply(store)

    assert store.called[-1] == where


def test_rollback_that_fails_closes_the_store_and_the_outcome_stays_known() -> None:
    store = Scripted(append=NotApplied("busy", 5), rollback=OSError("reset"))

    completion = apply(store)

    assert completion.type is Type.FAIL
    assert store.called == ["begin", "append", "rollback", "close"]


def test_mistake_in_a_rollback_is_a_mistake() -> None:
    with pytest.raises(AttributeError):
        apply(Scripted(append=NotApplied("busy"), rollback=AttributeError("no such name")))


def transactions_of(
    workload: str = "append", count: int = 400, complete: Any = perfect, **options: Any
) -> tuple[Event, ...]:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    run = Options(system="simulated", workload=workload, workload_options=given)
    source = clients(limit(count, WORKLOADS[workload].operations(run)))
    return simulate(source, context(), complete, limit=count)


def invoked(events: tuple[Event, ...]) -> list[list[list[Any]]]:
    return [event.value for event in events if event.type is Type.INVOKE]


def test_same_seed_draws_the_same_transactions() -> None:
    assert transactions_of() == transactions_of()


@pytest.mark.parametrize(("workload", "write"), [("append", "append"), ("wr", "w")])
def test_written_values_are_unique_to_their_key_and_rise(workload: str, write: str) -> None:
    written: dict[int, list[int]] = {}
    for value in invoked(transactions_of(workload)):
        for f, key, number in value:
            assert f in ("r", write)
            assert (number is None) == (f == "r")
            if f == write:
                written.setdefault(key, []).append(number)

    assert all(values == list(range(1, len(values) + 1)) for values in written.values())


def test_half_of_the_micro_operations_read_and_lengths_are_even() -> None:
    values = invoked(transactions_of(count=2000))
    lengths = Counter(map(len, values))
    reads = sum(f == "r" for value in values for f, _, _ in value)

    assert set(lengths) == {1, 2, 3, 4}
    assert all(400 < count < 600 for count in lengths.values())
    assert 0.45 < reads / sum(map(len, values)) < 0.55


def test_lengths_stay_within_the_options() -> None:
    values = invoked(transactions_of(min_txn_length=3, max_txn_length=3))

    assert set(map(len, values)) == {3}


def test_shortest_longer_than_the_longest_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected min-txn-length of at most 4 .*, got 5"):
        transactions_of(min_txn_length=5)


def test_key_is_left_after_its_writes_and_lives_are_different() -> None:
    values = invoked(transactions_of(count=4000))
    writes = Counter(key for value in values for f, key, _ in value if f == "append")
    last_use = {key: at for at, value in enumerate(values) for _, key, _ in value}
    left = [writes[key] for key in writes if last_use[key] < 3000]

    assert max(writes.values()) <= 256
    assert sum(count <= 4 for count in left) > len(left) / 5, "many keys live for a few writes"
    assert sum(count > 64 for count in left) > 2, "some live long"


def test_keys_follow_one_another_and_few_are_in_use_at_a_time() -> None:
    values = invoked(transactions_of(key_count=3, max_writes_per_key=2))
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, value in enumerate(values):
        for _, key, _ in value:
            first.setdefault(key, at)
            last[key] = at
    open_at_once = max(
        sum(first[key] < at < last[key] for key in first) for at in range(len(values))
    )

    assert open_at_once <= 3
    assert max(first) > 50


@pytest.mark.parametrize(
    ("distribution", "share"), [("zipf", 1 / 2.93), ("exponential", 0.5), ("uniform", 0.1)]
)
def test_first_key_of_the_pool_is_used_as_often_as_its_distribution_says(
    distribution: str, share: float
) -> None:
    values = invoked(transactions_of(count=3000, key_dist=distribution, max_writes_per_key=10_000))
    uses = Counter(key for value in values[:100] for _, key, _ in value)
    total = sum(uses.values())

    assert abs(uses.most_common(1)[0][1] / total - share) < 0.2


def test_every_key_is_read_in_the_end_and_failed_reads_are_tried_again() -> None:
    run = Options(system="simulated", workload="append")
    workload = WORKLOADS["append"]
    source = then_with_keys(
        limit(300, workload.operations(run)), lambda keys: final(run, keys), keys_of
    )
    flaky = ending(Type.OK, Type.FAIL, Type.INFO)
    events = simulate(clients(source), context(), flaky)
    answered = {
        key
        for event in events
        if event.type is Type.OK and all(f == "r" for f, _, _ in event.value)
        for _, key, _ in event.value
    }
    used = {key for value in invoked(events) for _, key, _ in value}
    ends = [event for event in invoked(events) if len(event) == 8]

    assert answered == used
    assert ends
    assert all(f == "r" for f, _, _ in ends[0])


def test_final_read_that_never_succeeds_is_given_up() -> None:
    run = Options(system="simulated", workload="append")
    events = simulate(clients(final(run, tuple(range(20)))), context(), ending(Type.FAIL))

    assert len(invoked(events)) == 3 * 5


def test_register_is_read_before_it_is_written_unless_writes_may_be_blind() -> None:
    def blind(values: list[list[list[Any]]]) -> int:
        return sum(
            f == "w" and all(key != earlier for _, earlier, _ in value[:at])
            for value in values
            for at, (f, key, _) in enumerate(value)
        )

    careful = invoked(transactions_of("wr", blind_writes="no"))

    assert blind(careful) == 0
    assert max(map(len, careful)) > 4, "these reads do not count"
    assert blind(invoked(transactions_of("wr", blind_writes="yes"))) > 50


ASKED = [["r", 3, None], ["append", 3, 7]]
REGISTER = [["r", 3, None], ["w", 3, 7]]


@pytest.mark.parametrize(
    ("asked", "answers", "reading"),
    [
        (ASKED, [["r", 3, []], ["append", 3, 7]], None),
        (ASKED, [("r", 3, [1, 2]), ("append", 3, 7)], Reading.LISTS),
        (REGISTER, [["r", 3, None], ["w", 3, 7]], None),
        (REGISTER, [["r", 3, 5], ["w", 3, 7]], Reading.REGISTERS),
        ([["r", 3, None]], [["r", 3, [1]]], None),
        ([["r", 3, None]], [["r", 3, 1]], None),
    ],
)
def test_answers_are_what_was_asked_with_what_was_read(
    asked: Any, answers: Any, reading: Reading | None
) -> None:
    assert misfit(asked, answers, reading) is None


@pytest.mark.parametrize(
    ("asked", "answers", "reading", "why"),
    [
        (ASKED, None, None, "expected 2 micro-operations, got None"),
        (ASKED, [["r", 3, []]], None, "expected 2 micro-operations, got [['r', 3, []]]"),
        (ASKED, [[1, 2], ["append", 3, 7]], None, "with what was read, got [1, 2]"),
        (ASKED, [["r", 4, []], ["append", 3, 7]], None, "expected ['r', 3, None] again"),
        (ASKED, [["r", 3, []], ["append", 3, 8]], None, "expected ['append', 3, 7] again"),
        (
            ASKED,
            [["r", 3, 5], ["append", 3, 7]],
            None,
            "expected a list of whole numbers as",
        ),
        (ASKED, [["r", 3, ["5"]], ["append", 3, 7]], None, "got ['5']"),
        (ASKED, [["r", 3, [True]], ["append", 3, 7]], None, "got [True]"),
        (REGISTER, [["r", 3, "5"], ["w", 3, 7]], None, "got '5'"),
        (REGISTER, [["r", 3, [1]], ["w", 3, 7]], Reading.REGISTERS, "expected a whole number, or"),
        ([["r", 3, None]], [["r", 3, None]], Reading.LISTS, "expected a list of whole numbers"),
    ],
)
def test_answer_that_is_none_is_named(
    asked: Any, answers: Any, reading: Reading | None, why: str
) -> None:
    assert why in str(misfit(asked, answers, reading))


def test_whole_store_that_answers_something_else_is_a_mistake_in_its_code() -> None:
    class Forgetful(WholeMemoryTransactions):
        async def transaction(self, operations: list[list[Any]]) -> list[list[Any]]:
            return (await super().transaction(operations))[:1]

    with pytest.raises(TypeError, match="transaction: expected 3 micro-operations"):
        apply(Forgetful(Database()))


@pytest.mark.parametrize("workload", ["append", "wr"])
def test_histories_of_a_database_that_runs_one_after_another_are_valid(workload: str) -> None:
    run = Options(system="simulated", workload=workload, workload_options={"blind-writes": "no"})
    each, database = WORKLOADS[workload], Database()
    source = then_with_keys(
        limit(150, each.operations(run)), lambda keys: each.final(run, keys), each.keys
    )
    history = history_of(source, lambda: each.client(SlowTransactions(database)))
    (checker,) = each.checkers(run).values()
    result = checker(history, Budget())

    assert result.verdict is Verdict.VALID, result.why


@pytest.mark.parametrize("workload", ["append", "wr"])
def test_histories_without_isolation_are_invalid(workload: str) -> None:
    class Loose(SlowTransactions):
        """Nothing keeps transactions apart."""

        async def begin(self) -> None:
            pass

        async def commit(self) -> None:
            pass

    run = Options(system="simulated", workload=workload, workload_options={"blind-writes": "no"})
    each, database = WORKLOADS[workload], Database()
    source = limit(60, each.operations(run))
    history = history_of(source, lambda: each.client(Loose(database)))
    (checker,) = each.checkers(run).values()

    assert checker(history, Budget()).verdict is Verdict.INVALID
