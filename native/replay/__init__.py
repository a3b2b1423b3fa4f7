"""
A serial order of transactions, replayed in C on real lists and registers.

The one decision that is not obvious: it uses nothing of the engine that found the order, so that
it can contradict it.

Source: `replay.h`.
"""

from __future__ import annotations

from array import array
from enum import Enum
from typing import Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Micro, int32_pointer


class Flaw(Enum):
    """What is wrong with an order; each is explained at `enum replay_status`."""

    STRANGER = lib.REPLAY_STRANGER
    FAILED = lib.REPLAY_FAILED
    MISSING = lib.REPLAY_MISSING
    ANSWER = lib.REPLAY_ANSWER
    PROCESS = lib.REPLAY_PROCESS
    REALTIME = lib.REPLAY_REALTIME


_WORDS: Final = {
    Flaw.STRANGER: "stands twice in the order, or is no transaction",
    Flaw.FAILED: "failed, and stands in the order",
    Flaw.MISSING: "is ok, and is missing in the order",
    Flaw.ANSWER: "read something else than its key holds by then",
    Flaw.PROCESS: "stands after one that its process made later",
    Flaw.REALTIME: "stands before one that was answered before it began",
}


def refute_replay(
    micro: Micro, order: array[int], *, is_append: bool, process: bool, realtime: bool
) -> str | None:
    """
    Why an order of rows does not explain what was read, or None when it does.

    Args:
        order: Each ok transaction once, an open one at most once; 4-byte integers.
        is_append: Lists that are empty at first; else registers that hold None.
        process: Whether each process must stay in its order.
        realtime: Whether what was answered before something began must come before it.

    Raises:
        ValueError: When the arrays contradict each other, or there are other micro-operations.
        MemoryError: When it does not fit into memory.
    """
    options = ffi.new("struct replay_options *", (is_append, process, realtime))
    place = ffi.new("int64_t *")
    status = lib.replay_order(
        micro.columns.pointer(), micro.pointer(), options, int32_pointer(order), len(order), place
    )
    if status == lib.REPLAY_HOLDS:
        return None
    if status == lib.REPLAY_MEMORY:
        raise MemoryError("the states of the transactions do not fit into memory")
    if status == lib.REPLAY_MALFORMED:
        raise ValueError("the columns and micro-operations contradict each other")
    flaw, row = Flaw(status), place[0]
    if flaw is Flaw.ANSWER:
        row = next(i for i in range(len(micro.columns)) if micro.first[i + 1] > row)
    is_row = 0 <= row < len(micro.columns)
    event = f"event {micro.columns.inv[row]}" if is_row else f"row {row}"
    return f"the transaction of {event} {_WORDS[flaw]}"
