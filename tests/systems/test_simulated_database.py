"""Each level of isolation does what its name says, step by step, and nothing weaker."""

from __future__ import annotations

import pytest

from dissever.systems.simulated.database import ISOLATION, Blocked, Conflict, Database, Isolation

X, Y = ("list", "x"), ("list", "y")
SNAPSHOTS = ("serializable", "snapshot", "prefix")
LOCKS = ("read-committed", "read-uncommitted")


def database(level: str) -> Database:
    """With x as [1] and y as [2]."""
    made = Database(ISOLATION[level])
    setup = made.begin()
    setup.append(X, 1)
    setup.append(Y, 2)
    setup.commit()
    return made


def is_committed(session) -> bool:
    try:
        session.commit()
    except Conflict:
        session.rollback()
        return False
    return True


@pytest.mark.parametrize("level", ISOLATION)
def test_transactions_one_after_another_see_each_other(level) -> None:
    made = database(level)
    session = made.begin()

    assert session.read(X) == (1,)
    session.append(X, 3)
    assert session.read(X) == (1, 3)
    session.commit()
    assert made.begin().read(X) == (1, 3)


@pytest.mark.parametrize("level", ISOLATION)
def test_what_is_rolled_back_is_gone(level) -> None:
    made = database(level)
    session = made.begin()
    session.append(X, 3)
    session.write(Y, None)
    session.rollback()

    assert made.begin().read(X) == (1,)
    assert made.begin().read(Y) == (2,)


@pytest.mark.parametrize("level", ISOLATION)
def test_dirty_reads_are_for_read_uncommitted_alone(level) -> None:
    made = database(level)
    writer, reader = made.begin(), made.begin()
    writer.append(X, 3)

    assert (reader.read(X) == (1, 3)) is (level == "read-uncommitted")


@pytest.mark.parametrize("level", ISOLATION)
def test_reads_repeat_where_the_level_says_so(level) -> None:
    made = database(level)
    reader, writer = made.begin(), made.begin()
    first = reader.read(X)
    writer.append(X, 3)
    writer.commit()
    if level == "repeatable-read":
        with pytest.raises(Conflict, match="changed since it was read"):
            reader.read(X)
    else:
        assert (reader.read(X) == first) is (level in SNAPSHOTS)


@pytest.mark.parametrize("level", ISOLATION)
def test_updates_are_lost_from_prefix_down(level) -> None:
    made = database(level)
    one, other = made.begin(), made.begin()
    for session in (one, other):
        session.read(X)
    one.append(X, 3)
    if level in LOCKS:
        with pytest.raises(Blocked):
            other.append(X, 4)
        assert is_committed(one)
        other.append(X, 4)
        assert is_committed(other)
    else:
        other.append(X, 4)
        assert is_committed(one)
        assert is_committed(other) is (level == "prefix")
    assert made.begin().read(X) == ((1, 3, 4) if level in (*LOCKS, "prefix") else (1, 3))


@pytest.mark.parametrize("level", ISOLATION)
def test_writes_skew_from_snapshot_down(level) -> None:
    made = database(level)
    one, other = made.begin(), made.begin()
    for session in (one, other):
        session.read(X)
        if level != "read-uncommitted":
            session.read(Y)
    one.append(X, 3)
    other.append(Y, 4)

    assert is_committed(one)
    assert is_committed(other) is (level not in ("serializable", "repeatable-read"))


@pytest.mark.parametrize("level", ISOLATION)
def test_rows_that_a_select_missed_count_for_serializable_alone(level) -> None:
    made = database(level)
    one, other = made.begin(), made.begin()
    for session in (one, other):
        assert session.select("rows", bool) == {}
    one.write(("rows", 1), 10)
    other.write(("rows", 2), 20)

    assert is_committed(one)
    assert is_committed(other) is (level != "serializable")


@pytest.mark.parametrize("level", ISOLATION)
def test_a_select_finds_own_rows(level) -> None:
    made = database(level)
    session = made.begin()
    session.write(("rows", 1), 10)
    session.write(("rows", 2), 20)
    session.write(("rows", 2), None)

    assert session.select("rows", bool) == {1: 10}
    assert session.select("rows", lambda value: value > 10) == {}


def test_two_that_wait_for_each_other_are_a_deadlock() -> None:
    made = database("read-committed")
    one, other = made.begin(), made.begin()
    one.append(X, 3)
    other.append(Y, 4)
    with pytest.raises(Blocked):
        one.append(Y, 5)
    with pytest.raises(Conflict, match=r"deadlock: transaction 2 has locked .*, and waits"):
        other.append(X, 6)
    other.rollback()
    one.append(Y, 5)
    one.commit()

    assert made.begin().read(Y) == (2, 5)


def test_a_lock_of_one_who_is_gone_is_broken() -> None:
    made = database("read-uncommitted")
    gone = made.begin()
    gone.append(X, 3)
    for number in range(400):
        session = made.begin()
        session.append(Y, number)
        session.commit()
    session = made.begin()
    session.append(X, 4)
    session.commit()

    assert made.begin().read(X) == (1, 4)
    with pytest.raises(Conflict, match="its locks were broken"):
        gone.commit()


def test_without_locks_writes_are_dirty() -> None:
    made = Database(Isolation("dirty", shows_uncommitted=True))
    one, other = made.begin(), made.begin()
    one.append(X, 1)
    other.append(X, 2)
    other.append(Y, 2)
    one.append(Y, 1)
    one.commit()
    other.commit()

    assert (made.begin().read(X), made.begin().read(Y)) == ((1, 2), (2, 1))


def test_prefix_shows_no_list_that_never_was() -> None:
    made = database("prefix")
    one, other = made.begin(), made.begin()
    one.append(X, 3)
    assert one.read(X) == (1, 3)
    other.append(X, 4)
    assert is_committed(other)
    assert not is_committed(one)
