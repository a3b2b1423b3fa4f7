"""Failure codes against what a caller may conclude."""

import pytest

from dqlite import errors
from dqlite.errors import Indeterminate, NotApplied, Scope, failure


@pytest.mark.parametrize("code", [1, 5, 12, 13, 19, 23, 25, 261, 275, 517, 1005, 1555, 2067, 10250])
def test_code_that_was_refused_in_time_is_not_applied(code: int) -> None:
    assert isinstance(failure(code, "x"), NotApplied)


@pytest.mark.parametrize("code", [4, 7, 9, 10, 15, 17, 18, 22, 100, 778, 8458, 10506])
def test_code_that_may_hide_a_commit_is_indeterminate(code: int) -> None:
    assert isinstance(failure(code, "x"), Indeterminate)


def test_code_without_an_entry_is_indeterminate() -> None:
    assert type(failure(424242, "not leader")) is Indeterminate


def test_message_text_is_not_read_where_there_is_a_code() -> None:
    assert isinstance(failure(10506, "not leader"), errors.LeadershipLost)


def test_code_zero_is_not_applied_for_an_empty_statement_only() -> None:
    assert isinstance(failure(0, "empty statement"), NotApplied)
    assert isinstance(failure(0, "count(*)"), Indeterminate)


def test_code_one_leaves_the_membership_unknown() -> None:
    assert isinstance(failure(1, "x", Scope.MEMBERSHIP), Indeterminate)
    assert isinstance(failure(10250, "x", Scope.MEMBERSHIP), errors.NotLeader)
    assert isinstance(failure(5, "x", Scope.MEMBERSHIP), errors.Busy)


@pytest.mark.parametrize("code", [1, 5, 2067, 10250])
def test_failure_among_several_statements_is_indeterminate(code: int) -> None:
    assert isinstance(failure(code, "x", Scope.SCRIPT), Indeterminate)


def test_code_and_message_are_kept() -> None:
    error = failure(2067, "UNIQUE constraint failed: t.a")

    assert isinstance(error, errors.ConstraintViolation)
    assert (error.code, error.message) == (2067, "UNIQUE constraint failed: t.a")
    assert str(error) == "UNIQUE constraint failed: t.a (2067)"


def test_only_what_ends_the_use_of_a_connection_asks_for_another() -> None:
    codes = {code for code in errors.OUTCOMES if failure(code, "x").reconnect}

    assert codes == {12, 8202, 8458, 10250, 10506}
    assert errors.NotSent.reconnect
    assert errors.TimedOut.reconnect
    assert not errors.Refused.reconnect


def test_no_error_is_both_not_applied_and_indeterminate() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]

    assert not [c for c in classes if issubclass(c, NotApplied) and issubclass(c, Indeterminate)]
