"""
How operations, values and times are written, in every report alike.

A value keeps the shape its workload gave it, shortened where a reader would not miss it: `cas 3→4`,
`read → 17`, `txn r 1 [4 5], append 2 6`.
"""

from __future__ import annotations

import json
from typing import Any

from dissever.harness.history import Operation, Type
from dissever.harness.values import shorten

VALUE_CHARACTERS_MAX = 300
SHORT_CHARACTERS_MAX = 40
LIST_ELEMENTS_MAX = 12

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


def asked(operation: Operation) -> str:
    """What was asked for; empty when nothing, or when the answer repeats all of it."""
    if _repeats(operation):
        return ""
    return value_text(operation.f, operation.invocation.value)


def answered(operation: Operation) -> str:
    """
    What the answer adds to what was asked; empty when nothing, and when there is no answer.

    It starts with → unless it is what was asked with the blanks filled in.
    """
    completion = operation.completion
    if completion is None or completion.type is not Type.OK:
        return ""
    if _repeats(operation):
        return value_text(operation.f, completion.value)
    if operation.invocation.value is None:
        return f"→ {value_text(operation.f, completion.value) or 'none'}"
    if completion.value is None or completion.value == operation.invocation.value:
        return ""
    return f"→ {value_text(operation.f, completion.value)}"


def label(operation: Operation) -> str:
    """`write 41`, `read → 17`, `cas 3→4`; what is not ok says so."""
    parts = (operation.f, asked(operation), answered(operation))
    text = " ".join(part for part in parts if part)
    return text if operation.type is Type.OK else f"{text} · {operation.type.value}"


def short_label(operation: Operation) -> str:
    """The label, short enough to stand in a sentence."""
    return shorten(label(operation), SHORT_CHARACTERS_MAX)


def value_text(f: str, value: Any) -> str:
    """A value on one line, at most VALUE_CHARACTERS_MAX characters; empty for None."""
    if value is None:
        return ""
    if f == "cas" and isinstance(value, (list, tuple)) and len(value) == 2:
        text = f"{_compact(value[0])}→{_compact(value[1])}"
    elif _is_transaction(value):
        text = ", ".join(micro_operation_text(part) for part in value)
    else:
        text = _compact(value)
    return shorten(text, VALUE_CHARACTERS_MAX)


def error_text(error: Any) -> str:
    """An error on one line: `timeout: no answer for 5 s`."""
    if error is None:
        return ""
    parts = error if isinstance(error, (list, tuple)) else [error]
    return shorten(": ".join(_compact(part) for part in parts), VALUE_CHARACTERS_MAX)


def duration_text(duration_ns: float) -> str:
    """A duration with three digits and its unit: `340 µs`, `1.23 ms`, `12.3 s`, `3 min 20 s`."""
    if duration_ns >= 100 * NS_PER_S:
        minutes, seconds = divmod(round(duration_ns / NS_PER_S), 60)
        return f"{minutes} min {seconds} s"
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("µs", NS_PER_US)):
        if duration_ns >= size:
            number = duration_ns / size
            decimals = 0 if number >= 100 else 1 if number >= 10 else 2
            return f"{number:.{decimals}f} {unit}"
    return f"{round(duration_ns)} ns" if duration_ns else "0 s"


def time_text(time_ns: int) -> str:
    """A point in time of the run, to the millisecond."""
    return f"{time_ns / NS_PER_S:,.3f} s"


def end_of(operation: Operation, *, end_ns: int) -> int:
    """When an operation ended; those without a completion last to the end of the run."""
    return operation.completion.time if operation.completion else end_ns


def _repeats(operation: Operation) -> bool:
    """Whether the completion holds the invocation with the blanks filled in, as transactions do."""
    completion = operation.completion
    return (
        completion is not None
        and completion.type is Type.OK
        and _is_transaction(completion.value)
        and _is_transaction(operation.invocation.value)
    )


def _is_transaction(value: Any) -> bool:
    """Whether the value is a list of micro-operations: `[["r", 1, None], ["append", 2, 3]]`."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(
            isinstance(part, (list, tuple)) and len(part) == 3 and isinstance(part[0], str)
            for part in value
        )
    )


def micro_operation_text(part: Any) -> str:
    """`r 1 [4 5]`, `append 2 6`; a long list is shortened in its middle: its end matters."""
    if not _is_transaction([part]):
        return shorten(_compact(part), VALUE_CHARACTERS_MAX)
    f, key, value = part
    return f"{f} {_compact(key)}" + ("" if value is None else f" {_list_text(value)}")


def _list_text(value: Any) -> str:
    if not isinstance(value, (list, tuple)) or len(value) <= LIST_ELEMENTS_MAX:
        return _compact(value)
    ends = LIST_ELEMENTS_MAX // 2
    first, last = _compact(list(value[:ends])), _compact(list(value[-ends:]))
    return f"{first[:-1]}, … {len(value) - 2 * ends} more …, {last[1:]}"


def _compact(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Sets and other strangers cannot come from a history file, but must not break a report.
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
