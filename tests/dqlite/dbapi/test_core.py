"""What a connection does when requests fail: never a second execution, never half a transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite import errors

LOST = errors.ConnectionLost("end of stream")
NOT_LEADER = errors.NotLeader("not leader", 10250)
BUSY = errors.Busy("database is locked", 5)


def once(error: errors.Error, word: str) -> Callable[[str], errors.Error | None]:
    """A fault of the first request whose SQL holds the word."""
    left = [error]
    return lambda sql: left.pop() if word in sql and left else None


def nothing(_: str) -> None:
    """No fault."""


@pytest.fixture
def table(opened: Any) -> None:
    connection = opened(autocommit=True)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    connection.close()


def sent(server: Any, word: str) -> int:
    return sum(word in sql for sql in server.sent)


# A statement alone


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("when", ["before", "after"])
def test_write_without_an_answer_is_ambiguous_and_never_sent_again(
    opened: Any, server: Any, when: str
) -> None:
    connection = opened(autocommit=True)
    setattr(server, when, once(LOST, "INSERT"))

    with pytest.raises(errors.Indeterminate) as caught:
        connection.execute("INSERT INTO t VALUES (1)")

    assert (caught.value.ambiguous, caught.value.retryable) == (True, False)
    assert sent(server, "INSERT") == (when == "after")


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "error", [NOT_LEADER, errors.NotSent("closed"), errors.HandleLost("no database opened", 12)]
)
def test_write_that_was_not_applied_is_sent_to_the_next_leader(
    opened: Any, server: Any, error: errors.Error
) -> None:
    connection = opened(autocommit=True)
    clients = server.clients
    server.before = once(error, "INSERT")

    connection.execute("INSERT INTO t VALUES (1)")

    assert server.clients == clients + 1
    assert server.rows("SELECT n FROM t") == [(1,)]


@pytest.mark.usefixtures("table")
def test_search_for_a_leader_ends_with_the_time(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True, timeout_s=3)
    server.before = lambda sql: NOT_LEADER if "INSERT" in sql else None

    with pytest.raises(errors.NotLeader) as caught:
        connection.execute("INSERT INTO t VALUES (1)")

    assert caught.value.retryable
    assert 3 <= server.now_s < 4


@pytest.mark.usefixtures("table")
def test_read_without_an_answer_is_not_applied(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    server.after = once(LOST, "SELECT")

    with pytest.raises(errors.Abandoned) as caught:
        connection.execute("SELECT n FROM t")

    assert (caught.value.ambiguous, caught.value.retryable) == (False, True)
    assert sent(server, "SELECT") == 1


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("settings", [{}, {"autocommit": True}])
def test_answer_that_breaks_the_protocol_asks_for_no_other_try(
    opened: Any, server: Any, settings: Any
) -> None:
    connection = opened(**settings)
    server.after = once(errors.ProtocolError("more than 1000000 rows"), "SELECT")

    with pytest.raises(errors.ProtocolError) as caught:
        connection.execute("SELECT n FROM t")

    assert not caught.value.retryable
    connection.rollback()
    assert connection.execute("SELECT n FROM t").fetchall() == []


# Locks


@pytest.mark.usefixtures("table")
def test_lock_is_waited_for(opened: Any, server: Any) -> None:
    holder, waiter = opened(), opened(autocommit=True)
    holder.execute("INSERT INTO t VALUES (1)")
    sleep = server.sleep
    server.sleep = lambda seconds: (sleep(seconds), holder.commit())

    waiter.execute("INSERT INTO t VALUES (2)")

    assert server.rows("SELECT n FROM t") == [(1,), (2,)]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("busy_timeout_s", [0, 2])
def test_wait_for_a_lock_ends_with_the_busy_timeout(
    opened: Any, server: Any, busy_timeout_s: float
) -> None:
    holder, waiter = opened(), opened(autocommit=True, busy_timeout_s=busy_timeout_s)
    holder.execute("INSERT INTO t VALUES (1)")

    with pytest.raises(errors.Busy):
        waiter.execute("INSERT INTO t VALUES (2)")

    assert sum(server.slept) == pytest.approx(busy_timeout_s, abs=0.01)


@pytest.mark.usefixtures("table")
def test_transaction_that_read_too_early_is_busy_at_once_and_open(opened: Any, server: Any) -> None:
    reader = opened()
    reader.execute("SELECT n FROM t")
    server.before = once(errors.Busy("database is locked", 517), "INSERT")

    with pytest.raises(errors.Busy):
        reader.execute("INSERT INTO t VALUES (2)")

    assert server.slept == []
    assert reader.in_transaction


@pytest.mark.usefixtures("table")
def test_commit_that_is_busy_is_sent_again(opened: Any, server: Any) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    server.before = once(errors.Busy("checkpoint in progress", 5), "COMMIT")

    connection.commit()

    assert server.rows("SELECT n FROM t") == [(1,)]


# Transactions


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("error", [LOST, NOT_LEADER, errors.Indeterminate("disk I/O error", 10)])
def test_transaction_that_lost_its_connection_runs_nothing_until_it_is_rolled_back(
    opened: Any, server: Any, error: errors.Error
) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    server.after = once(error, "VALUES (2)")

    with pytest.raises(errors.Abandoned) as caught:
        connection.execute("INSERT INTO t VALUES (2)")
    for act in (lambda: connection.execute("INSERT INTO t VALUES (3)"), connection.commit):
        with pytest.raises(errors.Abandoned, match="roll it back"):
            act()
    connection.rollback()
    connection.execute("INSERT INTO t VALUES (4)")
    connection.commit()

    assert caught.value.retryable
    assert server.rows("SELECT n FROM t") == [(4,)]


@pytest.mark.usefixtures("table")
def test_statement_that_rolls_the_transaction_back_ends_it(opened: Any, server: Any) -> None:
    connection = opened()
    connection.execute("CREATE TABLE u (n INTEGER UNIQUE ON CONFLICT ROLLBACK)")
    connection.commit()
    connection.execute("INSERT INTO u VALUES (1)")

    with pytest.raises(errors.ConstraintViolation):
        connection.execute("INSERT INTO u VALUES (1)")
    with pytest.raises(errors.Abandoned):
        connection.execute("INSERT INTO u VALUES (2)")
    with pytest.raises(errors.Abandoned):
        connection.commit()

    assert server.rows("SELECT n FROM u") == []


@pytest.mark.usefixtures("table")
def test_transaction_outlives_a_constraint_and_a_wrong_statement(opened: Any, server: Any) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(errors.IntegrityError):
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(errors.ProgrammingError):
        connection.execute("SELECT n FROM no_such_table")
    connection.execute("INSERT INTO t VALUES (2)")

    connection.commit()

    assert server.rows("SELECT n FROM t") == [(1,), (2,)]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("error", "is_open"),
    [
        (LOST, False),
        (errors.TimedOut("no answer"), False),
        (errors.LeadershipLost("leadership lost", 10506), False),
        (errors.Indeterminate("disk I/O error", 10), False),
        (NOT_LEADER, False),
        (errors.NotSent("closed"), False),
        (errors.ConstraintViolation("FOREIGN KEY constraint failed", 787), True),
    ],
)
def test_commit_that_fails_leaves_no_transaction_unless_it_was_refused(
    opened: Any, server: Any, error: errors.Error, is_open: bool
) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    server.before = once(error, "COMMIT")

    with pytest.raises(type(error)):
        connection.commit()

    assert connection.in_transaction == is_open
    assert sent(server, "COMMIT") == 0
    connection.rollback()
    assert server.rows("SELECT n FROM t") == []


@pytest.mark.usefixtures("table")
def test_commit_without_the_transaction_on_the_server_is_ambiguous(
    opened: Any, server: Any
) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    connection.core._channel._client.exec_sql("COMMIT")

    with pytest.raises(errors.Indeterminate):
        connection.commit()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("error", [LOST, NOT_LEADER, BUSY])
def test_rollback_does_not_fail(opened: Any, server: Any, error: errors.Error) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")
    server.before = once(error, "ROLLBACK")

    connection.rollback()

    assert not connection.in_transaction
    assert server.rows("SELECT n FROM t") == []


@pytest.mark.usefixtures("table")
def test_interrupted_statement_ends_the_transaction(opened: Any, server: Any) -> None:
    connection = opened()
    connection.execute("INSERT INTO t VALUES (1)")

    def interrupt(sql: str) -> None:
        raise KeyboardInterrupt

    server.after = interrupt
    with pytest.raises(KeyboardInterrupt):
        connection.execute("INSERT INTO t VALUES (2)")
    server.after = nothing

    with pytest.raises(errors.Abandoned):
        connection.commit()
    assert server.rows("SELECT n FROM t") == []


def test_prepared_read_tells_what_a_masked_one_hides(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    masked = errors.StatementError("nonempty statement tail", 1)
    clients = server.clients
    server.before = lambda sql: (
        masked
        if sql == "SELECT 1" and server.clients == clients
        else NOT_LEADER
        if sql.startswith("PREPARE") and server.clients == clients
        else None
    )

    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert server.clients == clients + 1


# Linearizable reads


@pytest.mark.usefixtures("table")
def test_linearizable_read_counts_only_once_its_write_is_committed(
    opened: Any, server: Any
) -> None:
    connection = opened(autocommit=True, consistency="linearizable")
    server.before = once(NOT_LEADER, "COMMIT")

    with pytest.raises(errors.NotLeader):
        connection.execute("SELECT n FROM t")
    before = len(server.sent)
    assert connection.execute("SELECT n FROM t").fetchall() == []

    verbs = [sql.split()[0] for sql in server.sent[before:]]
    assert verbs == ["OPEN", "BEGIN", "INSERT", "CREATE", "CREATE", "INSERT", "SELECT", "COMMIT"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("settings", [{}, {"consistency": "linearizable"}])
def test_commit_of_what_only_read_is_never_ambiguous(
    opened: Any, server: Any, settings: Any
) -> None:
    connection = opened(**settings)
    connection.execute("SELECT n FROM t")
    server.after = once(LOST, "COMMIT")

    with pytest.raises(errors.Abandoned) as caught:
        connection.commit()

    assert not caught.value.ambiguous
    assert not connection.in_transaction


# Whatever happens


_FAULTS = st.sampled_from([None, None, None, None, LOST, NOT_LEADER, BUSY, errors.NotSent("x"),
                           errors.Indeterminate("disk I/O error", 10)])  # fmt: skip


@given(
    faults=st.lists(st.tuples(_FAULTS, st.booleans()), max_size=40),
    steps=st.lists(st.sampled_from(["insert", "insert", "commit", "rollback"]), max_size=25),
    settings=st.fixed_dictionaries(
        {"autocommit": st.booleans(), "tokens": st.booleans(), "begin": st.just("immediate")}
    ),
)
def test_what_an_error_says_of_a_row_is_true(
    make_opener: Any, faults: Any, steps: Any, settings: Any
) -> None:
    """Rows that were acknowledged are there once, those refused are not, ambiguous ones may be."""
    with closing(make_opener()) as connect:
        server = connect.server
        connect(autocommit=True).execute("CREATE TABLE t (n INTEGER)")
        connection = connect(**settings, timeout_s=1, busy_timeout_s=0.1)
        fail(server, iter(faults))
        sure, maybe = played(connection, steps)
        server.before = server.after = nothing
        connection.close()
        found = [row[0] for row in server.rows("SELECT n FROM t")]

    assert len(found) == len(set(found))
    assert set(sure) <= set(found) <= set(sure) | set(maybe)


def fail(server: Any, faults: Iterator[tuple[errors.Error | None, bool]]) -> None:
    """Let requests fail in turn, before they are run or, if the error allows it, after."""
    later: list[errors.Error] = []

    def before(sql: str) -> errors.Error | None:
        later.clear()
        error, is_after = next(faults, (None, False))
        if error is None or not (is_after and error.ambiguous):
            return error
        later.append(error)
        return None

    server.before = before
    server.after = lambda _: later.pop() if later else None


def played(connection: Any, steps: Sequence[str]) -> tuple[list[int], list[int]]:
    """Insert numbers; return those that are committed for sure, and those that may be."""
    sure: list[int] = []
    maybe: list[int] = []
    pending: list[int] = []
    for number, step in enumerate(steps):
        try:
            if step == "insert":
                connection.execute("INSERT INTO t VALUES (?)", (number,))
                (pending if connection.in_transaction else sure).append(number)
            elif step == "commit":
                connection.commit()
                sure += pending
            else:
                connection.rollback()
        except errors.Error as error:
            if error.ambiguous:
                maybe += [number] if step == "insert" else pending
        if not connection.in_transaction:
            pending = []
    return sure, maybe
