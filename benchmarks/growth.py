"""
How time and memory of each engine grow: over three decades of sizes, on valid histories.

Ten clients ask, and each operation takes effect as it is asked, so that an order exists. The time
is what the processor worked for the engine alone, the least of several runs; the memory is what the
process came to hold more at its peak, history not included. An exponent is the slope of the
logarithms: 1 is linear, and n log n looks like 1.1.
"""

from __future__ import annotations

import ctypes
import gc
import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final

from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.monitors import counter, elements, grow_only
from dissever.harness.history import Event, Operation, Type
from dissever.native.columns import OK, TYPE_CODES, Columns
from dissever.native.containers import Kind, Operations, judge_container
from dissever.native.registers import KeyEngine, KeyVerdict, judge_keys
from dissever.native.texts import judge_texts

CLIENTS: Final = 10
LARGE: Final = (1000, 10_000, 100_000, 1_000_000)
SMALL: Final = (100, 1000, 10_000, 100_000)
"""Of engines in Python."""

CONFIGURATIONS_MAX: Final = 20_000_000
BYTES_MAX: Final = 4 << 30
SHORT_S: Final = 0.2
REPEATS: Final = 5
KIB: Final = 1024

Step = tuple[str, Any, Any]
"""f, what is asked with and what is answered."""

Run = Callable[[], object]


@dataclass
class Grown:
    """What was measured of one engine, by operations."""

    engine: str
    stated: str
    seconds: dict[int, float] = field(default_factory=dict)
    peak_bytes: dict[int, int] = field(default_factory=dict)
    exponents: dict[str, float] = field(default_factory=dict)


def _intervals(n: int, rng: Random) -> tuple[array[int], array[int]]:
    """Positions at which n operations are asked and answered, CLIENTS of them at a time."""
    inv, ret = array("i", bytes(4 * n)), array("i", bytes(4 * n))
    waiting: list[int] = []
    position = 0
    for i in range(n + CLIENTS):
        if i < n:
            inv[i] = position
            waiting.append(i)
            position += 1
        if waiting and (i >= n or len(waiting) == CLIENTS or rng.random() < 0.8):
            ret[waiting.pop(rng.randrange(len(waiting)))] = position
            position += 1
    for i in waiting:
        ret[i] = position
        position += 1
    return inv, ret


def _columns(steps: Sequence[Step], rng: Random, keys: int = 1) -> Columns:
    inv, ret = _intervals(len(steps), rng)
    fs: dict[str, int] = {}
    ids: dict[Any, int] = {None: 0}

    def ids_of(values: Iterable[Any]) -> list[int]:
        return [ids.setdefault(value, len(ids)) for value in values]

    asked, answered = ids_of(step[1] for step in steps), ids_of(step[2] for step in steps)
    pairs = [step[1] if step[0] == "cas" else (step[1], None) for step in steps]
    old, new = ids_of(pair[0] for pair in pairs), ids_of(pair[1] for pair in pairs)
    columns = {
        **{name: [0] * len(steps) for name in TYPE_CODES},
        "type": [OK] * len(steps),
        "f": [fs.setdefault(step[0], len(fs)) for step in steps],
        "key": [i % keys for i in range(len(steps))],
        "value_in": asked,
        "value_out": answered,
        "a": old,
        "b": new,
        "inv": inv,
        "ret": ret,
        "inv_time": inv,
        "ret_time": ret,
    }
    return Columns.of(columns, fs=tuple(fs), keys=tuple(range(keys)), values=tuple(ids))


def _calls(steps: Sequence[Step], rng: Random, reads: frozenset[str]) -> tuple[Call, ...]:
    inv, ret = _intervals(len(steps), rng)
    return calls(
        [
            Operation(
                Event(inv[i], inv[i], i, Type.INVOKE, f, asked),
                Event(ret[i], ret[i], i, Type.OK, f, answered),
            )
            for i, (f, asked, answered) in enumerate(steps)
        ],
        reads,
    )


def _registers(n: int, rng: Random, keys: int, has_cas: bool) -> list[Step]:
    """Each value once; key by key in turn."""
    held: list[Any] = [None] * keys
    steps: list[Step] = []
    for i in range(n):
        key = i % keys
        drawn = rng.randrange(3 if has_cas else 2)
        if drawn == 0:
            steps.append(("read", None, held[key]))
            continue
        steps.append(("cas", (held[key], i), None) if drawn == 2 else ("write", i, i))
        held[key] = i
    return steps


def _few_values(n: int, rng: Random) -> list[Step]:
    held: Any = None
    steps: list[Step] = []
    for _ in range(n):
        value = rng.randrange(5)
        drawn = rng.randrange(3)
        if drawn == 0:
            steps.append(("read", None, held))
            continue
        steps.append(("cas", (held, value), None) if drawn == 2 else ("write", value, value))
        held = value
    return steps


def _texts(n: int, rng: Random) -> list[Step]:
    held = ""
    steps: list[Step] = []
    for i in range(n):
        drawn = rng.randrange(20)
        if drawn < 9:
            steps.append(("get", None, held))
        elif drawn == 9:
            held = f"{i},"
            steps.append(("put", held, held))
        else:
            held += f"{i},"
            steps.append(("append", f"{i},", f"{i},"))
    return steps


def _taken(kind: Kind, n: int, rng: Random) -> Iterator[tuple[bool, int]]:
    """Whether it takes, and which value; about 50 are in at a time."""
    line: deque[int] = deque()
    heap: list[int] = []
    n_in = number = 0
    ranks = list(range(n))
    rng.shuffle(ranks)
    for _ in range(n):
        if n_in > 0 and rng.random() < n_in / 100:
            n_in -= 1
            if kind is Kind.PRIORITY:
                yield True, -heappop(heap)
            else:
                yield True, line.pop() if kind is Kind.STACK else line.popleft()
            continue
        value = ranks[number] if kind is Kind.PRIORITY else number
        line.append(value)
        heappush(heap, -value)
        number += 1
        n_in += 1
        yield False, value


def _container(kind: Kind, n: int, rng: Random) -> Operations:
    steps = list(_taken(kind, n, rng))
    inv, ret = _intervals(n, rng)
    is_take = bytes(is_taken for is_taken, _ in steps)
    value = array("i", [value for _, value in steps])
    ranks = array("i", range(n) if kind is Kind.PRIORITY else ())
    return Operations(is_take, value, inv, ret, ranks, n, 2 * n)


def _grow_only(n: int, rng: Random, f: str) -> list[Step]:
    """Ten of n operations are reads, so the total size of all reads grows as n does."""
    held: list[Any] = []
    steps: list[Step] = []
    for i in range(n):
        if i % max(1, n // 10) == 0:
            steps.append(("read", None, list(held)))
        else:
            steps.append((f, i, None))
            held.append(i)
    return steps


def _counted(n: int, rng: Random) -> list[Step]:
    held = 0
    steps: list[Step] = []
    for _ in range(n):
        is_read = rng.random() < 0.3
        steps.append(("read", None, held) if is_read else ("add", 1, None))
        held += not is_read
    return steps


def _members(n: int, rng: Random) -> list[Step]:
    """Elements that come and go, a hundred operations on each."""
    inside: set[int] = set()
    steps: list[Step] = []
    for _ in range(n):
        element, drawn = rng.randrange(max(1, n // 100)), rng.randrange(3)
        if drawn == 0:
            steps.append(("contains", element, [element, element in inside]))
        elif drawn == 1:
            steps.append(("add", element, None))
            inside.add(element)
        else:
            steps.append(("remove", element, None))
            inside.discard(element)
    return steps


def _judge_registers(columns: Columns, decider: KeyEngine) -> Run:
    def run() -> None:
        findings = judge_keys(
            columns,
            initial=0,
            has_cas=True,
            configurations_max=CONFIGURATIONS_MAX,
            bytes_max=BYTES_MAX,
            threads=1,
        )
        assert findings.count(KeyVerdict.VALID) == len(findings)
        assert findings[0].engine is decider

    return run


def _judge_texts(columns: Columns) -> Run:
    def run() -> None:
        finding = judge_texts(
            columns,
            initial="",
            configurations_max=CONFIGURATIONS_MAX,
            bytes_max=BYTES_MAX,
            threads=1,
        )[0]
        assert (finding.verdict, finding.engine) == (KeyVerdict.VALID, KeyEngine.TEXTS)

    return run


def _judge_container(kind: Kind, n: int, rng: Random) -> Run:
    operations = _container(kind, n, rng)

    def run() -> None:
        assert judge_container(kind, operations).is_valid

    return run


def _judge_calls(judge: Callable[..., Any], model: str, steps: Sequence[Step], rng: Random) -> Run:
    of = MODELS[model]
    kept = _calls(steps, rng, of.reads)

    def run() -> None:
        finding = judge(kept, of)
        assert finding is not None
        assert finding.order is not None

    return run


@dataclass(frozen=True)
class Engine:
    """An engine, how its docstring says that it grows, and from a size to a run of it."""

    name: str
    stated: str
    sizes: Sequence[int]
    prepare: Callable[[int, Random], Run]


ENGINES: Final = (
    Engine(
        "unique (one register alone)",
        "n",
        LARGE,
        lambda n, rng: _judge_registers(
            _columns(_registers(n, rng, 1, has_cas=False), rng), KeyEngine.ZONES
        ),
    ),
    Engine(
        "zones (ten registers)",
        "n",
        LARGE,
        lambda n, rng: _judge_registers(
            _columns(_registers(n, rng, 10, has_cas=False), rng, 10), KeyEngine.ZONES
        ),
    ),
    Engine(
        "chains",
        "n",
        LARGE,
        lambda n, rng: _judge_registers(
            _columns(_registers(n, rng, 1, has_cas=True), rng), KeyEngine.CHAINS
        ),
    ),
    Engine(
        "depth (5 values)",
        "n where it is valid",
        LARGE,
        lambda n, rng: _judge_registers(_columns(_few_values(n, rng), rng), KeyEngine.DEPTH),
    ),
    Engine("texts", "n log n", LARGE, lambda n, rng: _judge_texts(_columns(_texts(n, rng), rng))),
    Engine("queue", "n", LARGE, lambda n, rng: _judge_container(Kind.QUEUE, n, rng)),
    Engine("unordered queue", "n", LARGE, lambda n, rng: _judge_container(Kind.BAG, n, rng)),
    Engine("stack", "n log n", LARGE, lambda n, rng: _judge_container(Kind.STACK, n, rng)),
    Engine(
        "priority queue", "n log n", LARGE, lambda n, rng: _judge_container(Kind.PRIORITY, n, rng)
    ),
    Engine(
        "grow-only set",
        "size of the reads",
        SMALL,
        lambda n, rng: _judge_calls(grow_only.judge_set, "set", _grow_only(n, rng, "add"), rng),
    ),
    Engine(
        "log",
        "size of the reads",
        SMALL,
        lambda n, rng: _judge_calls(grow_only.judge_log, "log", _grow_only(n, rng, "append"), rng),
    ),
    Engine(
        "counter",
        "n log n",
        SMALL,
        lambda n, rng: _judge_calls(counter.judge, "counter", _counted(n, rng), rng),
    ),
    Engine(
        "elements of a set",
        "n",
        SMALL,
        lambda n, rng: _judge_calls(elements.judge, "removable-set", _members(n, rng), rng),
    ),
)


def measure(announce: Callable[[str], None], operations_max: int) -> list[Grown]:
    """Every engine at every size; `announce` is called with each task as it begins."""
    found = []
    for engine in ENGINES:
        grown = Grown(engine.name, engine.stated)
        for n in engine.sizes:
            if n > operations_max:
                continue
            announce(f"{engine.name}, {n:,} operations")
            run = engine.prepare(n, Random(f"{engine.name} {n}"))
            grown.seconds[n] = _least_seconds(run)
            grown.peak_bytes[n] = _peak_bytes(run)
        for of in ("seconds", "peak_bytes"):
            grown.exponents[of] = exponent(getattr(grown, of))
        found.append(grown)
    return found


def _least_seconds(run: Run) -> float:
    gc.collect()
    least = math.inf
    for _ in range(REPEATS):
        began = time.process_time()
        run()
        least = min(least, time.process_time() - began)
        if least > SHORT_S:
            break
    return least


def _peak_bytes(run: Run) -> int:
    """What the process holds more at its peak; Linux alone tells, else 0."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not status.exists():
        return 0
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    clear.write_text("5", encoding="ascii")  # The peak begins again.
    before = _kib(status, "VmRSS")
    run()
    return max(0, _kib(status, "VmHWM") - before) * KIB


def _kib(status: Path, name: str) -> int:
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def exponent(measured: dict[int, float]) -> float:
    """The slope of a straight line through the logarithms; not a number without two points."""
    points = [(math.log(n), math.log(s)) for n, s in measured.items() if s > 0]
    if len(points) < 2:
        return math.nan
    x, y = (sum(each) / len(points) for each in zip(*points, strict=True))
    slope: float = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
    return slope


def lines(found: Sequence[Grown]) -> Iterator[Sequence[str]]:
    """Rows of a table."""
    yield (
        "engine",
        "stated",
        "ns an operation, by size",
        "exponent",
        "bytes an operation",
        "exponent",
    )
    for grown in found:
        each = [f"{n:.0e}: {s / n * 1e9:,.0f}" for n, s in grown.seconds.items()]
        largest = max(grown.seconds)
        yield (
            grown.engine,
            grown.stated,
            ", ".join(each).replace("e+0", "e"),
            f"{grown.exponents['seconds']:.2f}",
            f"{grown.peak_bytes[largest] / largest:,.0f}",
            f"{grown.exponents['peak_bytes']:.2f}",
        )
