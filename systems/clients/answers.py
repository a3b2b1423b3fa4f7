"""
The protocol of programs as pure functions: operations to requests, lines to completions.

What is not exactly an answer to the request is `Nonsense`, and says nothing about the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from dissever.harness.client import Completion, Invocation
from dissever.harness.history import Type
from dissever.harness.values import printable, quoted, shorten
from dissever.workloads import transactions

ERROR_CHARS_MAX: Final = 500
"""Of what an answer gives as its error."""

_Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What a history can hold."""

READS: Final[Mapping[tuple[str, str], tuple[Any, str]]] = {
    ("registers", "read"): (_Int | None, "a whole number or null"),
    ("elements", "read"): (list[_Int], "a list of whole numbers"),
    ("transactions", "read"): (dict[str, _Int], "a map from accounts to whole numbers"),
}
"""(store, f) -> the type of what a read answers, and its name. The others of a store change it."""

STORES: Final = frozenset(store for store, _ in READS)
"""The stores whose values are known here; those of other workloads may be any JSON."""


class Nonsense(Exception):
    """What a program answered, or that it did not: the message says what was expected."""


class Ended(Nonsense):
    """It ended, or closed its stdout, without an answer: it may have been hit by a fault."""


def request(number: int, invocation: Invocation) -> bytes:
    """One line: the operation as it stands in the history; `key` only where it has one."""
    asked: dict[str, Any] = {"id": number, "f": invocation.f}
    if invocation.key is not None:
        asked["key"] = invocation.key
    asked["value"] = invocation.value
    return msgspec.json.encode(asked) + b"\n"


def parsed(line: bytes, number: int) -> dict[str, Any]:
    """
    The answer to the request of that number: an object with a fitting `id` and `type`.

    Raises:
        Nonsense: When it is none.
    """
    expected = f'expected {{"id":{number},"type":"ok", "fail" or "info",…}} on one line'
    try:
        answer = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Nonsense(f"{expected}, got no JSON: {_shown(line)}") from error
    if not isinstance(answer, dict):
        raise Nonsense(f"{expected}, got {_shown(line)}")
    if type(answer.get("id")) is not int or answer["id"] != number:
        raise Nonsense(f"{expected}, got the id {quoted(answer.get('id'))} in {_shown(line)}")
    if answer.get("type") not in (Type.OK.value, Type.FAIL.value, Type.INFO.value):
        raise Nonsense(f"{expected}, got the type {quoted(answer.get('type'))} in {_shown(line)}")
    return answer


def completion(answer: Mapping[str, Any], invocation: Invocation, store: str) -> Completion:
    """
    What an answer says of an operation.

    Raises:
        Nonsense: When its value is not of the kind that this operation has.
    """
    if answer["type"] == Type.FAIL.value:
        return invocation.fail(error_of(answer))
    if answer["type"] == Type.INFO.value:
        return invocation.info(error_of(answer))
    f = invocation.f
    if (store, f) == (transactions.STORE, transactions.TXN):
        if wrong := transactions.misfit(invocation.value, answer.get("value")):
            raise Nonsense(wrong)
        return invocation.ok(answer["value"])
    if (store, f) in READS:
        kind, name = READS[store, f]
        if "value" not in answer:
            raise Nonsense(f"expected {name} as the value of {f}, got an answer without a value")
        try:
            value = msgspec.convert(answer["value"], kind)
        except msgspec.ValidationError as error:
            got = quoted(answer["value"])
            raise Nonsense(f"expected {name} as the value of {f}, got {got}") from error
        return invocation.ok(sorted(value) if isinstance(value, list) else value)
    value = answer.get("value", invocation.value)
    if store not in STORES:
        return invocation.ok(value)
    if value not in (None, invocation.value):
        asked = quoted(invocation.value)
        raise Nonsense(f"expected no value for {f}, or {asked} again, got {quoted(value)}")
    return invocation.ok(invocation.value)


def error_of(answer: Mapping[str, Any]) -> Any:
    """What an answer gives as its error; a text where that is too long for a history."""
    error = answer.get("error")
    if error is None:
        return "no reason given"
    text = error if isinstance(error, str) else repr(error)
    return error if len(text) <= ERROR_CHARS_MAX else shorten(text, ERROR_CHARS_MAX)


def _shown(line: bytes) -> str:
    return shorten(printable(repr(line.decode(errors="replace"))))
