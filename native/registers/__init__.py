"""
Every key of a history of registers judged in one call of C, with the interpreter's lock released;
of texts in `texts`.

Ctrl-C is answered within about 0.1 s: keys that are not judged by then are undecided, and the
others keep their outcome.

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


class KeyVerdict(Enum):
    """The verdict on a key; all but the first two are unknown, each with what it ran out of."""

    VALID = lib.KEYS_VALID
    INVALID = lib.KEYS_INVALID
    UNDECIDED = lib.KEYS_UNDECIDED
    CONFIGURATIONS = lib.KEYS_CONFIGURATIONS
    MEMORY = lib.KEYS_MEMORY
    CAPPED = lib.KEYS_CAPPED
    WIDE = lib.KEYS_WIDE
    MALFORMED = lib.KEYS_MALFORMED
    FLAWED = lib.KEYS_FLAWED


class KeyEngine(StrEnum):
    """The engine that decided a key, by its name in reports."""

    NONE = "nothing"
    ZONES = "zones"
    CHAINS = "chains"
    DEPTH = "depth"
    BREADTH = "breadth"
    VALUES = "values"
    TEXTS = "texts"


_ENGINES: Final = {getattr(lib, f"KEYS_{engine.name}"): engine for engine in KeyEngine}

_EVIDENCE: Final[Mapping[int, str]] = {
    lib.KEYS_UNIQUE: "each value is set at most once",
    lib.KEYS_REPEATED: "a value may be set twice",
    lib.KEYS_INITIAL_AGAIN: "the initial value may be set again",
    lib.KEYS_UNCHANGED: "a compare-and-set replaces a value by itself",
    lib.KEYS_DISTINCT: "no text that is added begins another",
    lib.KEYS_AMBIGUOUS: "a text that is added begins another, is empty, or is added again",
}
"""What the data prove of the values of a key."""

_REASONS: Final[Mapping[int, str]] = {
    lib.KEYS_NO_REASON: "",
    lib.KEYS_PHANTOM: "nobody ever asked to write that value",
    lib.KEYS_CONSUMED_TWICE: "two operations both replaced it",
    lib.KEYS_ROOTLESS: "each of them needs another to come first",
    lib.KEYS_INSIDE: "it had ended before the other, which must come first, began",
    lib.KEYS_CONFLICT: "each of the two values would have to come before the other",
    lib.KEYS_SEARCHED: "no order survives this answer",
    lib.KEYS_APART: "neither of the two texts begins the other, and both begin with one put",
    lib.KEYS_TWICE: "what was appended once was returned at two places",
}
"""Why a key is invalid, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class KeyOutcome:
    """
    What C found about one key.

    Attributes:
        evidence: What the data prove of its values: why an engine could, or could not, decide it.
        reason: Why it is invalid; empty otherwise.
        operations: How many of its operations count: failed ones and crashed reads do not.
        configurations: How many the search explored.
        peak_bytes: The most that C held for it at one time; 0 where nothing fitted.
        witness: Rows of the columns. An invalid key: 1 to 6 operations that contradict each other
            (of `KeyEngine.TEXTS` at most 8; of `KeyEngine.CHAINS` what led to their values may be
            missing); the last return reached where a search decided or gave up. A malformed key:
            the operation that no such object has.
        order: A linearization as rows, which C replayed, where it is valid; empty otherwise.
    """

    verdict: KeyVerdict
    engine: KeyEngine
    evidence: str
    reason: str
    operations: int
    configurations: int
    peak_bytes: int
    witness: tuple[int, ...]
    order: Sequence[int]


class KeyOutcomes:
    """The outcomes of all keys, by id of key; each is made when it is read."""

    __slots__ = ("_keys", "interrupted", "results")

    def __init__(self, results: Any, *, keys: int) -> None:
        self.results = results
        self._keys = keys
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
            KeyVerdict(of.verdict[key]),
            _ENGINES[of.engine[key]],
            _EVIDENCE[of.evidence[key]],
            _REASONS[of.reason[key]],
            of.n_operations[key],
            of.configurations[key],
            of.peak_bytes[key],
            tuple(of.witness[start : start + of.n_witness[key]]),
            self._order(first, of.order_length[key]),
        )

    def _order(self, first: int, length: int) -> Sequence[int]:
        order = array("i")
        order.frombytes(ffi.buffer(self.results.order + first, 4 * length))
        return order

    def count(self, verdict: KeyVerdict) -> int:
        """How many keys have this verdict; keys without operations are valid."""
        return bytes(ffi.buffer(self.results.verdict, self._keys)).count(verdict.value)


def judge_keys(
    columns: Columns,
    *,
    initial: int,
    has_cas: bool,
    configurations_max: int,
    bytes_max: int,
    threads: int | None = None,
) -> KeyOutcomes:
    """
    Judge each key as a register.

    Args:
        initial: Id of the initial value, or -1 where no operation has it.
        has_cas: Whether the register knows `cas`.
        configurations_max: Of all keys together: an equal share each, then what is left for those
            that ran out.
        bytes_max: Of all that C holds at any one time, without the outcomes.
        threads: At most; None means one for each core where that is worth it. The outcomes do not
            depend on their number.

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
    return judge_objects(columns, objects, configurations_max, bytes_max, threads)


def judge_objects(
    columns: Columns,
    objects: Mapping[str, Any],
    configurations_max: int,
    bytes_max: int,
    threads: int | None,
) -> KeyOutcomes:
    """
    As `judge_keys`, for any kind of object.

    Args:
        objects: Members of `struct keys_options` that say what the objects are.
    """
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
        },
    )
    results = lib.keys_results_open(n_keys, n)
    if results == ffi.NULL:
        raise MemoryError("the results do not fit into memory")
    outcomes = KeyOutcomes(ffi.gc(results, lib.keys_results_close), keys=n_keys)
    _run(columns, options, outcomes)
    return outcomes


def _run(columns: Columns, options: Any, outcomes: KeyOutcomes) -> None:
    error = ffi.new("int32_t[2]")
    handle = lib.keys_open(columns.pointer(), options, outcomes.results, error, error + 1)
    if handle == ffi.NULL:
        if error[0] == lib.SEARCH_NO_MEMORY:
            raise MemoryError("the operations by key do not fit into memory")
        raise ValueError(f"the columns contradict each other at operation {error[1]}")
    try:
        while not lib.keys_run(handle, _SLICE_MS):
            pass
    except KeyboardInterrupt:
        outcomes.interrupted = True
        lib.keys_cancel(handle)
    finally:
        lib.keys_close(handle)
