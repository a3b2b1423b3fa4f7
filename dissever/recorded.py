"""
Histories from elsewhere: what a file says of its run, and what would help when it is judged.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from dissever import __version__
from dissever.checkers.bank import Bank
from dissever.checkers.linearizability import Model
from dissever.checkers.rows import Rows
from dissever.checkers.transactions import Transactions
from dissever.harness.history import TXN, History, MalformedHistory
from dissever.harness.plan import host_versions
from dissever.harness.reader import Loaded
from dissever.harness.results import Result, Verdict
from dissever.native.columns import APPEND, NONE, OK, WRITE
from dissever.reports import Subject

ROWS: Final = "rows"
SOURCELESS: Final = frozenset({"phantom", "future-read"})
"""The anomalies that an initial value may explain."""

READS: Final = frozenset({"read", "get"})

SAMPLE_MAX: Final = 1_000
"""How many operations are looked at to see what values are like."""

BANK: Final = frozenset({"read", "transfer"})
"""What operations of a bank are called."""


def workload_of(history: History) -> str | None:
    """
    The name in WORKLOADS of what a history records, by its content; None for anything else.

    Transactions that append, or read lists, are of `append`; all others are of `wr`. A malformed
    history is none.
    """
    try:
        if history.has_transactions:
            return "append" if _has_lists(history) else "wr"
        columns = history.columns
    except (MalformedHistory, OverflowError):
        return None
    answers = (
        columns.values[columns.value_out[at]]
        for at in range(min(len(columns), SAMPLE_MAX))
        if columns.type[at] == OK and columns.fs[columns.f[at]] == "read"
    )
    names = {columns.fs[f] for f in set(columns.f)}
    if names == {ROWS}:
        return ROWS
    is_bank = names <= BANK
    return "bank" if is_bank and _is_balances(next(answers, None)) else None


def _has_lists(history: History) -> bool:
    try:
        micro = history.micro
    except MalformedHistory:  # The checker says what is wrong, whichever rules it has.
        return any(
            name == "append" or isinstance(value, list)
            for operation in history.operations[:SAMPLE_MAX]
            if isinstance(operation.value, list)
            for name, _, value in filter(_has_three, operation.value)
        )
    kinds = bytes(micro.kind)
    return bytes([APPEND]) in kinds or (
        bytes([WRITE]) not in kinds and any(place != NONE for place in micro.list)
    )


def _has_three(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3


def _is_balances(value: Any) -> bool:
    """Whether this maps accounts to what they hold."""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(type(each) is int or each is None for each in value.values())
    )


WORKLOADS: Final = {
    "append": "transactions that append to lists",
    "wr": "transactions that write registers",
    "bank": "a bank",
    ROWS: "transactions over rows",
}
"""The workloads that a file is judged as -> what such a file records."""


def checker_of(workload: str, consistency_model: str) -> Transactions | Bank | Rows:
    """
    What judges a history file of a workload.

    Raises:
        ValueError: When there is no such workload, or no such consistency model.
    """
    if workload == "append":
        return Transactions("append", consistency_model)
    if workload == "wr":
        return Transactions("wr", consistency_model)
    if workload == "bank":
        return Bank()
    if workload == ROWS:
        return Rows(consistency_model)
    raise ValueError(f"expected the workload {', '.join(WORKLOADS)}, got '{workload}'")


def subject_of_workload(path: Path, workload: str, consistency_model: str) -> Subject:
    """As `subject_of`, of transactions or a bank."""
    words = ["dissever", "check", str(path), "--workload", workload]
    options: dict[str, Any] = {"file": str(path), "workload": workload}
    if workload != "bank":
        words += ["--consistency-model", consistency_model]
        options["consistency-model"] = consistency_model
    return Subject(
        system=path.name,
        workload=f"a recorded history of {WORKLOADS[workload]}",
        command=shlex.join(words),
        options=options,
        versions={"dissever": __version__, **host_versions()},
    )


def subject_of(
    path: Path, model: str, *, keyed: bool, initial: Any, nil_is_unknown: bool
) -> Subject:
    """What is judged, with the command that judges it again."""
    words = ["dissever", "check", str(path), "--model", model, *(["--keyed"] if keyed else [])]
    options: dict[str, Any] = {"file": str(path), "model": model, "keyed": keyed}
    if initial is not None:
        options["initial"] = initial
        words += ["--initial", json.dumps(initial, ensure_ascii=False)]
    if nil_is_unknown:
        options["nil"] = "unknown"
        words += ["--nil", "unknown"]
    return Subject(
        system=path.name,
        workload=f"a recorded history, as {model}",
        command=shlex.join(words),
        options=options,
        versions={"dissever": __version__, **host_versions()},
    )


def described(subject: Subject, loaded: Loaded) -> Subject:
    """With what the file says of nodes, clients and pace."""
    seconds = loaded.history.duration_ns / 1e9
    rate = round(len(loaded.history.columns) / seconds, 1) if seconds > 0 else 0.0
    return structs.replace(
        subject,
        nodes=loaded.nodes,
        concurrency=loaded.open_max,
        options={**subject.options, "rate": rate},
    )


def about(loaded: Loaded, notes: Sequence[str]) -> Result:
    """What was read, as a result of its own, so that every report shows it."""
    count, is_whole = len(loaded.history), loaded.cut_line is None
    missing = "the end of the history is missing, and nobody knows what it held"
    why = [] if is_whole else [missing]
    return Result(
        checker="file",
        verdict=Verdict.VALID if is_whole else Verdict.UNKNOWN,
        why="; ".join((*why, f"{loaded.format}, {count:,} events", *notes)),
        details={"format": str(loaded.format), "events": count, "notes": list(notes)},
    )


def transactions(history: History, model: Model) -> str | None:
    """Why a history of transactions is not judged as this model, or None where it is none."""
    if not history.is_timed:
        return (
            f"this history has no times, so it is unknown what {model.name} may answer; "
            "without --model, `dissever check` judges its transactions"
        )
    columns = history.columns
    if TXN not in columns.fs:
        return None
    number = columns.fs.index(TXN)
    asked = {columns.value_in[at] for at, f in enumerate(columns.f) if f == number}
    names = {name for value in asked for name in _micro_operations(columns.values[value])}
    is_plain = names <= {"r", "w", "read", "write"}
    if model.name == "multi-register" and is_plain:
        return None
    shown = ", ".join(sorted(names)) or "nothing"
    help_ = "; without --model, `dissever check` judges transactions whose micro-operations are "
    help_ += "lists of three: r, append or w, a key, and a value"
    help_ += "; `--model multi-register` judges reads and writes" if is_plain else ""
    return (
        f"this is a history of transactions (f is txn, with micro-operations {shown}), "
        f"which {model.name} does not judge{help_}"
    )


def _micro_operations(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, list) and each and isinstance(each[0], str):
            yield each[0]


def hints(history: History, model: Model, result: Result, *, keyed: bool) -> tuple[str, ...]:
    """What the user may have left out, where the history looks like it."""
    found = []
    value = _unexplained(history, result) if result.anomalies else None
    if value is not None and model.start is not None and model.initial is None:
        option = shlex.join(["--initial", json.dumps(value, ensure_ascii=False)])
        found.append(f"if each {model.noun} held {json.dumps(value)} at first, say {option}")
    if not keyed and result.verdict is not Verdict.VALID and _looks_keyed(history):
        found.append("every value is a pair; if the pairs are [key value], say --keyed")
    return tuple(found)


def _unexplained(history: History, result: Result) -> Any:
    """The value that a read found before any change of its object was acknowledged, or None."""
    columns = history.columns
    named = {i for each in result.anomalies if each.name in SOURCELESS for i in each.indices}
    changed: dict[int, int] = {}  # Key -> the index of the first acknowledged change.
    for at, f in enumerate(columns.f):
        if columns.fs[f] not in READS and columns.type[at] == OK:
            key, ret = columns.key[at], columns.ret[at]
            changed[key] = min(ret, changed.get(key, ret))
    for at, inv in enumerate(columns.inv):
        is_read = columns.fs[columns.f[at]] in READS and columns.type[at] == OK
        if inv in named and is_read and inv < changed.get(columns.key[at], inv + 1):
            return columns.values[columns.value_out[at]]
    return None


def _looks_keyed(history: History) -> bool:
    """Whether all values that clients asked with, except those of a swap, are lists of two."""
    columns = history.columns
    if len(columns.keys) > 1:
        return False
    others = [
        at
        for at in range(min(len(columns), SAMPLE_MAX))
        if columns.b[at] < 0 and columns.value_in[at] > 0
    ]
    return bool(others) and all(
        isinstance(value := columns.values[columns.value_in[at]], list) and len(value) == 2
        for at in others
    )
