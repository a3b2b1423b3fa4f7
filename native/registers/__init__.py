"""
Every key of a history of registers judged in one call of C, with the interpreter's lock released;
of texts in `texts`.

Ctrl-C is answered within about 0.1 s: keys that are not judged by then are undecided, and the
others keep what came of them.

Source: `keys.h`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Columns

_SLICE_MS: Final = 100
"""Between two looks at signals."""


class Decision(Enum):
    """What came of a key; all but the first two are unknown, each with what it ran out of."""

    VALID = lib.KEYS_VALID
    INVALID = lib.KEYS_INVALID
    UNDECIDED = lib.KEYS_UNDECIDED
    CONFIGURATIONS = lib.KEYS_CONFIGURATIONS
    MEMORY = lib.KEYS_MEMORY
    CAPPED = lib.KEYS_CAPPED
    WIDE = lib.KEYS_WIDE
    MALFORMED = lib.KEYS_MALFORMED
    FLAWED = lib.KEYS_FLAWED


class Decider(StrEnum):
    """The engine that decided a key, in the order of `enum keys_engine`."""

    NONE = "nothing"
    ZONES = "zones"
    CHAINS = "chains"
    DEPTH = "depth"
    BREADTH = "breadth"
    VALUES = "values"
    TEXTS = "texts"


EVIDENCE: Final = (
    "each value is set at most once",
    "a value may be set twice",
    "the initial value may be set again",
    "a compare-and-set replaces a value by itself",
    "no text that is added begins another",
    "a text that is added begins another, is empty, or is added again",
)
"""What the data prove of the values of a key, in the order of `enum keys_evidence`."""

REASONS: Final = (
    "",
    "nobody ever asked to write that value",
    "two operations both replaced it",
    "each of them needs another to come first",
    "it had ended before the other, which must come first, began",
    "each of the two values would have to come before the other",
    "no order survives this answer",
    "neither of the two texts begins the other, and both begin with one put",
    "what was appended once was told at two places",
)
"""Why a key is invalid, in the order of `enum keys_reason`."""


@dataclass(frozen=True, slots=True)
class KeyOutcome:
    """
    What came of one key.

    `witness` holds operations (positions in the columns): 1 to 6 that contradict each other, for
    `Decider.CHAINS` with what led to their values; the last return reached where a search decided
    or gave up; the one that no such object has where it is malformed. Of `Decider.TEXTS` it is at
    most 8. `order` is a linearization, if asked for.
    """

    decision: Decision
    decider: Decider
    evidence: str
    reason: str
    operations: int
    configurations: int
    peak_bytes: int
    witness: tuple[int, ...]
    order: Sequence[int] | None


class KeyOutcomes:
    """What came of all keys, by id of key; a finding is made when it is asked for."""

    __slots__ = ("_keys", "_operations", "interrupted", "results")

    def __init__(self, results: Any, *, keys: int, operations: int) -> None:
        self.results = results
        self._keys = keys
        self._operations = operations
        self.interrupted = False

    def __len__(self) -> int:
        return self._keys

    def __getitem__(self, key: int) -> KeyOutcome:
        if not 0 <= key < self._keys:
            raise IndexError(f"expected a key below {self._keys}, got {key}")
        of = self.results
        start = key * lib.KEYS_WITNESS_MAX
        first = of.order_start[key]
        return KeyOutcome(
            Decision(of.verdict[key]),
            tuple(Decider)[of.engine[key]],
            EVIDENCE[of.evidence[key]],
            REASONS[of.reason[key]],
            of.n_operations[key],
            of.configurations[key],
            of.peak_bytes[key],
            tuple(of.witness[start : start + of.n_witness[key]]),
            self._order(first, of.order_length[key]) if of.order else None,
        )

    def _order(self, first: int, length: int) -> Sequence[int]:
        order = array("i")
        order.frombytes(ffi.buffer(self.results.order + first, 4 * length))
        return order

    def as_bytes(self) -> bytes:
        """Every result as bytes: two runs that say the same have the same."""
        of, keys = self.results, self._keys
        columns = [
            bytes(ffi.buffer(getattr(of, name), keys * size)) for name, size in _BYTES.items()
        ]
        orders = bytes(ffi.buffer(of.order, 4 * self._operations)) if of.order else b""
        return b"".join([*columns, orders])

    def count(self, decision: Decision) -> int:
        """How many keys came out so; keys without operations are valid."""
        return bytes(ffi.buffer(self.results.verdict, self._keys)).count(decision.value)


_BYTES: Final = {
    "verdict": 1,
    "engine": 1,
    "evidence": 1,
    "reason": 1,
    "n_operations": 4,
    "configurations": 8,
    "peak_bytes": 8,
    "n_witness": 4,
    "witness": 4 * lib.KEYS_WITNESS_MAX,
    "order_start": 4,
    "order_length": 4,
}
"""The results of C, each with its bytes a key."""


def judge_keys(
    columns: Columns,
    *,
    initial: int,
    has_cas: bool,
    configurations_max: int,
    bytes_max: int,
    threads: int | None = None,
    orders: bool = True,
    replay: bool = True,
    search_only: bool = False,
) -> KeyOutcomes:
    """
    Judge each key as a register.

    Args:
        initial: Id of the initial value, or -1 where no operation has it.
        has_cas: Whether the register knows `cas`.
        configurations_max: Of all keys together: an equal share each, then what is left for those
            that ran out.
        bytes_max: Of all that C holds at any one time, but for the findings.
        threads: At most; None means one a core where that is worth it. What comes of it does not
            depend on them.
        orders: Whether to keep a linearization of each valid key.
        replay: Whether C replays each order it found before it says valid.
        search_only: For tests: the search alone decides.

    Raises:
        ValueError: When the columns contradict each other.
        MemoryError: When the split by key does not fit into memory.
    """
    ids = {name: number for number, name in enumerate(columns.fs)}
    objects = {
        "read": ids.get("read", -1),
        "write": ids.get("write", -1),
        "cas": ids.get("cas", -1) if has_cas else -1,
        "initial": initial,
    }
    limits = (configurations_max, bytes_max, threads)
    return judge_objects(columns, objects, *limits, orders, replay, search_only)


def judge_objects(
    columns: Columns,
    objects: Mapping[str, Any],
    configurations_max: int,
    bytes_max: int,
    threads: int | None,
    orders: bool,
    replay: bool,
    search_only: bool,
) -> KeyOutcomes:
    """As `judge_keys`, of whatever these members of `struct keys_options` say."""
    n_keys, n = len(columns.keys), len(columns)
    options = ffi.new(
        "struct keys_options *",
        {
            **objects,
            "n_keys": n_keys,
            "n_values": len(columns.values),
            "max_configurations": configurations_max,
            "max_bytes": bytes_max,
            "n_threads": 0 if threads is None else max(1, min(threads, lib.KEYS_THREADS_MAX)),
            "is_replayed": replay,
            "search_only": search_only,
        },
    )
    results = lib.keys_results_open(n_keys, n, orders)
    if results == ffi.NULL:
        raise MemoryError("the results do not fit into memory")
    findings = KeyOutcomes(ffi.gc(results, lib.keys_results_close), keys=n_keys, operations=n)
    _run(columns, options, findings)
    return findings


def _run(columns: Columns, options: Any, findings: KeyOutcomes) -> None:
    error = ffi.new("int32_t[2]")
    handle = lib.keys_open(columns.pointer(), options, findings.results, error, error + 1)
    if handle == ffi.NULL:
        if error[0] == lib.SEARCH_NO_MEMORY:
            raise MemoryError("the operations by key do not fit into memory")
        raise ValueError(f"the columns contradict each other at operation {error[1]}")
    try:
        while not lib.keys_run(handle, _SLICE_MS):
            pass
    except KeyboardInterrupt:
        findings.interrupted = True
        lib.keys_cancel(handle)
    finally:
        lib.keys_close(handle)
