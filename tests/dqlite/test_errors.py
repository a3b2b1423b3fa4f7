"""Failure codes against what a caller may conclude."""

import pickle

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
    classes = _classes()

    assert not [c for c in classes if issubclass(c, NotApplied) and issubclass(c, Indeterminate)]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, errors.ProgrammingError),
        (5, errors.OperationalError),
        (1005, errors.ProgrammingError),
        (2067, errors.IntegrityError),
        (10250, errors.OperationalError),
        (10506, errors.OperationalError),
        (424242, errors.OperationalError),
    ],
)
def test_failure_has_the_kind_that_pep_249_gives_it(code: int, kind: type[errors.Error]) -> None:
    assert isinstance(failure(code, "x"), kind)


def test_every_class_of_ours_says_which_kind_of_pep_249_it_is() -> None:
    kinds = (
        errors.DataError,
        errors.IntegrityError,
        errors.InterfaceError,
        errors.InternalError,
        errors.NotSupportedError,
        errors.OperationalError,
        errors.ProgrammingError,
    )
    ours = [c for c in _classes() if issubclass(c, errors.DqliteError)]

    without = {c for c in ours if not issubclass(c, kinds)}
    assert without == {errors.DqliteError, errors.NotApplied}


def test_what_may_have_been_applied_is_ambiguous_and_never_retryable() -> None:
    ambiguous = {c for c in _classes() if c.ambiguous}

    assert {c for c in _classes() if issubclass(c, Indeterminate)} < ambiguous
    assert errors.ProtocolError in ambiguous
    assert not [c for c in ambiguous if c.retryable or issubclass(c, NotApplied)]


def test_only_what_was_not_applied_is_retryable() -> None:
    codes = {code for code in errors.OUTCOMES if failure(code, "x").retryable}

    assert codes == {5, 12, 261, 517, 8202, 10250}
    assert all(issubclass(c, NotApplied) for c in _classes() if c.retryable)


def test_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(failure(5, "database is locked")))

    assert isinstance(error, errors.Busy)
    assert (error.code, error.message) == (5, "database is locked")


def _classes() -> list[type[errors.Error]]:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    return [each for each in found if issubclass(each, errors.Error)]
