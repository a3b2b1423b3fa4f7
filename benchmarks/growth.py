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
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final

from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.monitors import counter, elements, grow_only
from dissever.harness.history import Event, Operation, Type, columns_of
from dissever.native.containers import Kind, Operations, judge_container
from dissever.native.registers import KeyEngine, KeyVerdict, judge_keys
from dissever.native.texts import judge_texts

CLIENTS: Final = 10
LARGE: Final = (1000, 10_000, 100_000, 1_000_000)
SMALL: Final = (100, 1000, 10_000, 100_000)
"""Of engines in Python."""

LIMITS: Final = {"configurations_max": 20_000_000, "bytes_max": 4 << 30, "threads": 1}
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
    seconds: dict[int, float]
    peak_bytes: dict[int, int]
    exponents: dict[str, float]


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


def _operations(steps: Iterable[Step], n: int, rng: Random, keys: int = 1) -> Iterator[Operation]:
    """The steps as n operations, to each key in turn."""
    inv, ret = _intervals(n, rng)
    for i, (f, asked, answered) in enumerate(steps):
        key = i % keys if keys > 1 else None
        yield Operation(
            Event(inv[i], inv[i], i, Type.INVOKE, f, asked, key),
            Event(ret[i], ret[i], i, Type.OK, f, answered, key),
        )


def _registers(n: int, rng: Random, keys: int, has_cas: bool, values: int) -> Iterator[Step]:
    """To each key in turn, of so many values; 0: each value once."""
    held: list[Any] = [None] * keys
    for i in range(n):
        key = i % keys
        value = rng.randrange(values) if values else i
        drawn = rng.randrange(3 if has_cas else 2)
        if drawn == 0:
            yield "read", None, held[key]
            continue
        yield ("cas", [held[key], value], None) if drawn == 2 else ("write", value, value)
        held[key] = value


def _texts(n: int, rng: Random) -> Iterator[Step]:
    held = ""
    for i in range(n):
        drawn = rng.randrange(20)
        if drawn < 9:
            yield "get", None, held
        elif drawn == 9:
            held = f"{i},"
            yield "put", held, held
        else:
            held += f"{i},"
            yield "append", f"{i},", f"{i},"


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


def _grow_only(f: str, n: int, _: Random) -> Iterator[Step]:
    """Ten of n operations are reads, so the total size of all reads grows as n does."""
    held: list[Any] = []
    for i in range(n):
        if i % max(1, n // 10) == 0:
            yield "read", None, list(held)
        else:
            yield f, i, None
            held.append(i)


def _counted(n: int, rng: Random) -> Iterator[Step]:
    held = 0
    for _ in range(n):
        is_read = rng.random() < 0.3
        yield ("read", None, held) if is_read else ("add", 1, None)
        held += not is_read


def _members(n: int, rng: Random) -> Iterator[Step]:
    """Elements that come and go, a hundred operations on each."""
    inside: set[int] = set()
    for _ in range(n):
        element, drawn = rng.randrange(max(1, n // 100)), rng.randrange(3)
        if drawn == 0:
            yield "contains", element, [element, element in inside]
        elif drawn == 1:
            yield "add", element, None
            inside.add(element)
        else:
            yield "remove", element, None
            inside.discard(element)


def _register_run(
    decider: KeyEngine, n: int, rng: Random, *, keys: int = 1, has_cas: bool, values: int = 0
) -> Run:
    steps = _registers(n, rng, keys, has_cas, values)
    columns = columns_of(_operations(steps, n, rng, keys))

    def run() -> None:
        findings = judge_keys(columns, initial=0, has_cas=True, **LIMITS)
        assert findings.count(KeyVerdict.VALID) == len(findings)
        assert findings[len(findings) - 1].engine is decider

    return run


def _text_run(n: int, rng: Random) -> Run:
    columns = columns_of(_operations(_texts(n, rng), n, rng))

    def run() -> None:
        finding = judge_texts(columns, initial="", **LIMITS)[0]
        assert (finding.verdict, finding.engine) == (KeyVerdict.VALID, KeyEngine.TEXTS)

    return run


def _container_run(kind: Kind, n: int, rng: Random) -> Run:
    steps = list(_taken(kind, n, rng))
    is_take = bytes(is_taken for is_taken, _ in steps)
    value = array("i", [value for _, value in steps])
    ranks = array("i", range(n) if kind is Kind.PRIORITY else ())
    operations = Operations(is_take, value, *_intervals(n, rng), ranks, n, 2 * n)

    def run() -> None:
        assert judge_container(kind, operations).is_valid

    return run


def _monitor_run(
    judge: Callable[..., Any], name: str, steps: Callable[..., Iterator[Step]], n: int, rng: Random
) -> Run:
    model = MODELS[name]
    kept = calls(list(_operations(steps(n, rng), n, rng)), model.reads)

    def run() -> None:
        finding = judge(kept, model)
        assert finding is not None
        assert finding.order is not None

    return run


@dataclass(frozen=True)
class Engine:
    """An engine, how its docstring says that it grows, and from a size to a run of it."""

    name: str
    stated: str
    prepare: Callable[[int, Random], Run]
    sizes: Sequence[int] = LARGE


def _python(
    judge: Callable[..., Any], model: str, steps: Callable[..., Any], stated: str
) -> Engine:
    return Engine(model, stated, partial(_monitor_run, judge, model, steps), SMALL)


ZONES = partial(_register_run, KeyEngine.ZONES, has_cas=False)
CHAINS = partial(_register_run, KeyEngine.CHAINS, has_cas=True)
DEPTH = partial(_register_run, KeyEngine.DEPTH, has_cas=True, values=5)

ENGINES: Final = (
    Engine("unique (one register alone)", "n", ZONES),
    Engine("zones (ten registers)", "n", partial(ZONES, keys=10)),
    Engine("chains", "n", CHAINS),
    Engine("depth (5 values)", "n where it is valid", DEPTH),
    Engine("texts", "n log n", _text_run),
    Engine("queue", "n", partial(_container_run, Kind.QUEUE)),
    Engine("unordered queue", "n", partial(_container_run, Kind.BAG)),
    Engine("stack", "n log n", partial(_container_run, Kind.STACK)),
    Engine("priority queue", "n log n", partial(_container_run, Kind.PRIORITY)),
    _python(grow_only.judge_set, "set", partial(_grow_only, "add"), "size of the reads"),
    _python(grow_only.judge_log, "log", partial(_grow_only, "append"), "size of the reads"),
    _python(counter.judge, "counter", _counted, "n log n"),
    _python(elements.judge, "removable-set", _members, "n"),
)


def measure(announce: Callable[[str], None], operations_max: int) -> Iterator[Grown]:
    """Every engine at every size; `announce` is called with each task as it begins."""
    for engine in ENGINES:
        seconds: dict[int, float] = {}
        peaks: dict[int, int] = {}
        for n in engine.sizes:
            if n > operations_max:
                continue
            announce(f"{engine.name}, {n:,} operations")
            run = engine.prepare(n, Random(f"{engine.name} {n}"))
            seconds[n] = _least_seconds(run)
            peaks[n] = _peak_bytes(run)
        exponents = {"seconds": exponent(seconds), "peak_bytes": exponent(peaks)}
        yield Grown(engine.name, engine.stated, seconds, peaks, exponents)


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
    numbers = ("ns an operation, by size", "exponent", "bytes an operation", "exponent")
    yield ("engine", "stated", *numbers)
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
