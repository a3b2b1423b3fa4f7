"""A history that cannot be wrong shows nothing: that is unknown, whatever the model and engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissever.checkers import GrowOnlySet, Linearizable
from dissever.checkers.linearizability.models import MODELS
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine

Notation = Callable[[str], History]

WRITES = {
    "register": "write 1",
    "cas-register": "write 1",
    "counter": "add 1",
    "set": "add 1",
    "removable-set": "add 1",
    "queue": "enqueue 1",
    "unordered-queue": "enqueue 1",
    "stack": "push 1",
    "priority-queue": "insert 1",
    "log": "append 1",
    "text": "put '1'",
}

READS = {
    "register": "read {}1",
    "cas-register": "read {}1",
    "counter": "read {}1",
    "set": "read {}[1]",
    "removable-set": "contains {}[1, True]",
    "queue": "dequeue {}1",
    "unordered-queue": "dequeue {}1",
    "stack": "pop {}1",
    "priority-queue": "remove-max {}1",
    "log": "read {}[1]",
    "text": "get {}'1'",
}


def _read(name: str, kind: str) -> str:
    f, answer = READS[name].split("{}")
    return f"9 invoke {f}\n9 {kind} {f} {answer if kind == 'ok' else ''}\n"


def _written(name: str, kind: str) -> str:
    return f"1 invoke {WRITES[name]}\n1 {kind} {WRITES[name]}\n"


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("write", ["ok", "fail", "info"])
@pytest.mark.parametrize("read", ["fail", "info", None])
def test_without_an_answer_nothing_was_checked(
    history: Notation, name: str, engine: Engine, write: str, read: str | None
) -> None:
    text = _written(name, write) + (_read(name, read) if read else "")

    result = Linearizable(MODELS[name], engine=engine)(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert result.why.startswith("nothing was checked")
    assert (result.details["valid"], result.details["unchecked"]) == (0, 1)


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("name", WRITES)
def test_with_one_answer_something_was(history: Notation, name: str, engine: Engine) -> None:
    result = Linearizable(MODELS[name], engine=engine)(
        history(_written(name, "ok") + _read(name, "ok")), Budget()
    )

    assert result.verdict is Verdict.VALID, result.why


@pytest.mark.parametrize("name", ["mutex", "semaphore"])
def test_a_lock_that_was_never_acquired_was_not_checked(history: Notation, name: str) -> None:
    got = "0 invoke acquire\n0 ok acquire\n"

    refused = Linearizable(MODELS[name])(history(got.replace("0 ok", "0 fail")), Budget())

    assert refused.verdict is Verdict.UNKNOWN
    assert Linearizable(MODELS[name])(history(got), Budget()).verdict is Verdict.VALID


def test_a_compare_and_set_that_succeeded_says_what_the_register_held(history: Notation) -> None:
    text = "0 invoke write 1\n0 ok write 1\n0 invoke cas [1, 2]\n0 ok cas [1, 2]"

    assert Linearizable(MODELS["cas-register"])(history(text), Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize("name", ["cas-register", "queue"])
def test_keys_without_an_answer_do_not_count_as_checked(history: Notation, name: str) -> None:
    write, (f, answer) = WRITES[name], READS[name].split("{}")
    text = f"""
        1 invoke a/{write}
        1 ok     a/{write}
        2 invoke a/{f}
        2 ok     a/{f} {answer}
        3 invoke b/{write}
        3 ok     b/{write}
        4 invoke c/{f}
        4 fail   c/{f}
    """

    result = Linearizable(MODELS[name])(history(text), Budget())

    assert result.verdict is Verdict.VALID
    assert result.why.endswith("for each of 1 object; no answer says anything of 2 more")
    assert (result.details["keys"], result.details["valid"]) == (3, 1)


def test_a_read_of_an_unknown_nil_is_no_answer(history: Notation) -> None:
    text = "0 invoke write 1\n0 ok write 1\n0 invoke read\n0 ok read None"
    model = MODELS["register"].reading_nil_as_unknown()

    assert Linearizable(model)(history(text), Budget()).verdict is Verdict.UNKNOWN


def test_a_set_of_which_one_key_was_never_read_is_unknown(history: Notation) -> None:
    text = """
        1 invoke a/add 1
        1 ok     a/add 1
        1 invoke a/read
        1 ok     a/read [1]
        2 invoke b/add 1
        2 ok     b/add 1
    """

    assert GrowOnlySet()(history(text), Budget()).verdict is Verdict.UNKNOWN
