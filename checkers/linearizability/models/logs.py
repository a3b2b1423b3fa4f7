"""
What grows at its end and is read whole: a log, and one text of a map of texts.

Source: Porcupine for the map of texts, split by key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Answers, Family, Monitor, Parts
from dissever.checkers.linearizability.model import (
    REFUSED,
    After,
    Misfit,
    Model,
    State,
    Transition,
    contents,
    entries,
    narrowed,
)
from dissever.checkers.linearizability.monitors.grow_only import judge_log
from dissever.harness.results import Budget
from dissever.harness.values import show
from dissever.native.columns import Columns
from dissever.native.registers import KeyOutcomes
from dissever.native.texts import judge_texts


def _log(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, tuple)
    if f == "read":
        return state if state == entries(value_out) else REFUSED
    if f == "append":
        return (*state, value_in)
    raise Misfit(f"a log has no {f!r}")


def _text(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    if f == "get":
        return state if state == value_out else REFUSED
    if not isinstance(value_in, str):
        raise Misfit(f"{f} wants a text, got {show(value_in)}")
    if f == "put":
        return value_in
    if f == "append":
        return str(state) + value_in
    raise Misfit(f"a map of texts has no {f!r}")


def _narrow_log(model: Model, transitions: Iterable[Transition]) -> Model:
    """Logs that begin nothing that was ever read are one state."""
    reads = {entries(each.value_out) for each in transitions if each.f == "read"}

    def keeps(state: State) -> bool:
        assert isinstance(state, tuple)
        return any(read[: len(state)] == state for read in reads)

    return narrowed(model, keeps, grows="append")


def _narrow_text(model: Model, transitions: Iterable[Transition]) -> Model:
    """Texts that begin nothing that was ever got are one state, until the next put."""
    gets = {str(each.value_out) for each in transitions if each.f == "get"}
    beginnings = {got[:end] for got in gets for end in range(len(got) + 1)}
    return narrowed(model, beginnings.__contains__, grows="append")


def _replayer(model: Model, wanted: set[Hashable]) -> Answers:
    assert isinstance(model.initial, tuple)
    held = list(model.initial)

    def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
        if f == "append":
            held.append(value_in)
            return True
        return tuple(held) == entries(value_out)

    return answers


def _needs(call: Call) -> Iterable[Hashable]:
    return entries(call.value_out) if call.f == "read" else (call.value_in,)


def _helps(call: Call) -> Iterable[Hashable]:
    return (call.value_in,) if call.f == "append" else ()


LOGS: Final = Family(
    monitor=Monitor("groups", judge_log, "each entry was appended once"),
    replayer=_replayer,
    parts=Parts(_needs, _helps, cuts_answers=True),
)


def _judge_keys(columns: Columns, model: Model, budget: Budget, threads: int | None) -> KeyOutcomes:
    return judge_texts(
        columns,
        initial=str(model.initial),
        configurations_max=budget.configurations,
        bytes_max=budget.memory_bytes,
        threads=threads,
    )


def _start(initial: Hashable) -> State:
    if not isinstance(initial, str):
        raise Misfit("a text begins with a text")
    return initial


MODELS: Final = (
    Model(
        "log",
        (),
        _log,
        writes=frozenset({"append"}),
        noun="log",
        narrow=_narrow_log,
        family=LOGS,
        start=contents("log"),
        description="append value, read -> the list of all values",
    ),
    Model(
        "text",
        "",
        _text,
        reads=frozenset({"get"}),
        writes=frozenset({"put", "append"}),
        noun="key",
        narrow=_narrow_text,
        family=Family(judge_keys=_judge_keys),
        start=_start,
        description="get -> text, put text, append text; each key is an object",
    ),
)
