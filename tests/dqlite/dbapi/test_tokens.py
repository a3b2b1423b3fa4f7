"""What became of a commit without an answer: on a server that fails, and on killed nodes."""

import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dqlite
from dqlite import errors
from dqlite.dbapi import tokens
from dqlite.dbapi.tokens import Token

LOST = errors.ConnectionLost("end of stream")


def commit_lost(opened: Any, server: Any, when: str) -> errors.Indeterminate:
    """Insert a row in a transaction whose COMMIT has no answer."""
    connection = opened(tokens=True)
    connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    connection.commit()
    connection.execute("INSERT INTO t VALUES (1)")
    setattr(server, when, lambda sql: LOST if sql == "COMMIT" else None)
    with pytest.raises(errors.Indeterminate) as caught:
        connection.commit()
    setattr(server, when, lambda _: None)
    assert caught.value.token == connection.token
    return caught.value


@pytest.mark.parametrize(("when", "is_committed"), [("before", False), ("after", True)])
def test_token_tells_whether_the_commit_took_effect(
    opened: Any, server: Any, when: str, is_committed: bool
) -> None:
    error = commit_lost(opened, server, when)

    assert error.token is not None
    assert opened().recover(error.token) is is_committed
    assert server.rows("SELECT n FROM t") == [(1,)] * is_committed


def test_answer_stays_the_same_when_others_commit_meanwhile(opened: Any, server: Any) -> None:
    lost = commit_lost(opened, server, "before").token
    kept = commit_lost(opened, server, "after").token
    other = opened(tokens=True)
    for _ in range(5):
        with other.transaction():
            pass

    assert lost is not None
    assert kept is not None
    for _ in range(2):
        assert not other.recover(lost)
        assert other.recover(kept)


def test_recover_commits_a_write_before_it_answers(opened: Any, server: Any) -> None:
    token = commit_lost(opened, server, "after").token
    asker = opened(timeout_s=2)
    before = len(server.sent)
    server.before = lambda sql: LOST if sql == "COMMIT" else None

    with pytest.raises(errors.Error):
        asker.recover(token)
    server.before = lambda _: None
    assert asker.recover(token)

    written = [sql for sql in server.sent[before:] if sql.startswith("INSERT")]
    assert written == [tokens.INSERT] * len(written)
    assert len(written) >= 2


def test_recover_waits_for_a_transaction_that_is_open_still(opened: Any, server: Any) -> None:
    connection = opened(tokens=True)
    connection.execute("CREATE TABLE t (n INTEGER)")
    asker = opened(busy_timeout_s=0.1, timeout_s=1)

    with pytest.raises(errors.Busy):
        asker.recover(connection.token)
    connection.commit()
    assert asker.recover(connection.token)


def test_tokens_that_are_too_old_are_forgotten_and_recover_says_so(
    opened: Any, server: Any
) -> None:
    connection = opened(tokens=True)
    with connection.transaction() as first:
        pass
    connection.autocommit = True
    database = opened(autocommit=True)
    database.execute(f"INSERT INTO {tokens.MARKS} VALUES ({tokens.KEPT + 1}, 'x')")

    with pytest.raises(errors.TokenExpired):
        database.recover(first.token)
    assert server.rows(f"SELECT count(*) FROM {tokens.MARKS}") == [(2,)]


@pytest.mark.parametrize(
    "token", ["", "app", "app/1", "app/x/" + "0" * 32, "other/1/" + "0" * 32, "app/1/" + "0" * 33]
)
def test_text_that_is_no_token_of_the_database_is_refused(opened: Any, token: str) -> None:
    with pytest.raises(errors.Refused, match="expected a token"):
        opened().recover(token)


@given(st.text("aZ0._-", min_size=1, max_size=30), st.integers(1, 2**59))
def test_token_is_read_as_it_was_written(database: str, number: int) -> None:
    token = Token(database, number, tokens.new_nonce())

    assert tokens.parse(str(token), database) == token


# Real nodes


@pytest.fixture
def cluster(program: Any) -> Any:
    """Three voters, by address."""
    for node_id in (1, 2, 3):
        program.start(node_id)
    store = dqlite.MemoryStore.of([program.addresses[1]])
    with dqlite.BlockingConnector(store).connect(timeout_s=10) as leader:
        for node_id in (2, 3):
            leader.add(node_id, program.addresses[node_id])
            leader.assign(node_id, dqlite.Role.VOTER)
    return program


@pytest.mark.cluster
def test_what_recover_says_of_lost_commits_is_true_when_leaders_are_killed(cluster: Any) -> None:
    """Each leader is killed in the middle of commits; the rows at the end decide."""
    database = dqlite.Database(
        list(cluster.addresses.values()), "tokens", tokens=True, timeout_s=8, busy_timeout_s=8
    )
    connection = database.connect()
    connection.execute("CREATE TABLE t (n INTEGER)")
    connection.commit()
    expected: list[int] = []
    for number in range(3):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        address = connection.core._channel._client.address
        node_id = next(i for i, a in cluster.addresses.items() if a == address)
        killer = threading.Timer(0.001 * number, cluster.kill, [node_id])
        killer.start()
        try:
            connection.commit()
            is_committed = True
        except dqlite.Indeterminate as error:
            is_committed = database.recover(error.token or "without a token")
        except dqlite.NotApplied:
            is_committed = False
        expected += [number] * is_committed
        connection.rollback()
        killer.join()
        cluster.start(node_id)

    assert [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")] == expected
    connection.close()


@pytest.mark.cluster
def test_connection_finds_the_next_leader_between_transactions(cluster: Any) -> None:
    connection = dqlite.connect(
        list(cluster.addresses.values()), database="next", timeout_s=10, autocommit=True
    )
    connection.execute("CREATE TABLE t (n INTEGER)")
    connection.execute("INSERT INTO t VALUES (1)")
    address = connection.core._channel._client.address
    cluster.kill(next(i for i, a in cluster.addresses.items() if a == address))

    until = time.monotonic() + 20
    while True:
        with suppress(dqlite.OperationalError):  # reads only, which may be repeated
            rows = connection.execute("SELECT n FROM t").fetchall()
            break
        assert time.monotonic() < until

    assert rows == [(1,)]
    connection.close()
