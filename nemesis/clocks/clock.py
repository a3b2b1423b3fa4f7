"""
Set the clocks of nodes wrong while they run: a jump, a strobe, a drift; then set them right.

Only nodes have wrong clocks, never the machine: each node's processes take the time from a library
that adds an offset to it. A drift is the offset moved every few ms, so every process under that
clock sees the same. The `monotonic-` faults move the monotonic clock as well. A monotonic clock
never goes back, so they move it only forwards, and heal by starting nodes again: hence they count
as taking nodes down, and no plan has them together with the `clock-` faults, which go to and fro.

Evidence: what a process under that clock takes for the time, against the machine's, and that the
node's own processes still have that library loaded.

Source: Jepsen, `nemesis/time.clj`, for the faults and their sizes (skews from 11 ms to 288 s).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from dissever.harness.cluster import (
    Clocks,
    HostCommands,
    Hosts,
    NodeClock,
    NodeProcesses,
    NodeState,
)
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.clocks.simulated import turned
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.host_commands import BURST_S, run_script
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Draw, Parameter, Settings, log_uniform, number, uniform

__all__ = ["FAULTS"]

log = logging.getLogger(__name__)

SETTLE_S = 0.1

STEP_S = 0.01
"""From one move of a drifting clock to the next."""

HOLD_LIMIT_S = 5.0
"""A clock must be seen wrong in this time: what turns it must come up first."""

READS = 12
DRIFT_SEEN_S = 0.4
"""The readings of a drifting clock are spread over this time."""

LEAST: Final = {"offset_s": 0.03, "rate": 0.02}
"""With less, a clock is as good as right: its readings are not more exact."""

DRIFT_SHARE = 0.5
"""A drifting clock must have gained this share of what it should: a busy machine turns it late."""

SLACK_MS = 5.0
"""What a reading may be off in addition to its own error, when the machine is busy."""


TURN_CLOCK = """
import fcntl, json, os, sys, time
path, mode, seconds, step_s, value = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
folder = os.open(os.path.dirname(path), os.O_RDONLY)

def read():
    with open(path) as file:
        return file.read()

def state():
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns

def write(offset_s):
    draft = "%s.%d" % (path, os.getpid())  # Two may turn it at once, for a moment.
    with open(draft, "w") as file:
        file.write("%+.6f\\n" % offset_s)
        file.flush()
        status = os.fstat(file.fileno())
    os.rename(draft, path)
    return status.st_ino, status.st_mtime_ns

def write_next(offset_s, last):
    # Nobody else writes between the look and the write, or their offset would be lost.
    fcntl.flock(folder, fcntl.LOCK_EX)
    mine = write(offset_s) if last in (None, state()) else None
    fcntl.flock(folder, fcntl.LOCK_UN)
    return mine

last, start = (write_next(value, None) if mode == "jump" else state()), time.monotonic()
first_s, turns = float(read()), 0
while mode != "jump" and (passed := time.monotonic() - start) < seconds:
    offset_s = value * ((turns + 1) % 2) if mode == "strobe" else first_s + value * passed
    last = write_next(offset_s, last)
    if last is None:
        break
    turns += 1
    time.sleep(step_s)
print(json.dumps({"turns": turns}))
"""
"""
`FILE jump|strobe|drift SECONDS STEP_S VALUE`: sets a clock's offset to VALUE; or to VALUE and 0 by
turns; or moves it by VALUE for each second. The last two go on until time is up or somebody else
wrote the file.
"""

READ_CLOCK = """
import glob, json, os, subprocess, sys, time
environment, reads, gap_s = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
own, file = os.readlink("/proc/self/ns/net"), environment["FAKETIME_TIMESTAMP_FILE"]
processes = []
for path in glob.glob("/proc/[0-9]*"):
    try:
        with open(path + "/environ", "rb") as given, open(path + "/maps") as maps:
            if os.readlink(path + "/ns/net") == own and file.encode() in given.read():
                processes.append("libfaketime" in maps.read())
    except OSError:
        continue

def look():
    before = time.time_ns()
    date = subprocess.run(["date", "+%s %N"], env={**os.environ, **environment},
                          capture_output=True, text=True, check=True).stdout.split()
    after = time.time_ns()
    offset_ns = int(date[0]) * 1000000000 + int(date[1]) - (before + after) // 2
    return after / 1e9, offset_ns / 1e6, (after - before) / 2e6

seen = []
for number in range(reads):
    if number:
        time.sleep(gap_s)
    seen.append(min((look() for _ in range(3 if reads == 1 else 1)), key=lambda each: each[2]))
print(json.dumps({"at_s": [each[0] for each in seen], "offset_ms": [each[1] for each in seen],
                  "within_ms": max(each[2] for each in seen), "processes": processes}))
"""
"""
`ENVIRONMENT READS GAP_S`: what a process under the clock takes for the time, less what it is, each
right to `within_ms`; and whether each process that was started under the clock still uses it.
"""


class Turn(StrEnum):
    """How a clock goes wrong."""

    JUMP = "jump"
    STROBE = "strobe"
    DRIFT = "drift"


class _Reading(msgspec.Struct, frozen=True):
    """What was seen of a clock: when in s, offsets in ms, each right to `within_ms`."""

    at_s: tuple[float, ...]
    offset_ms: tuple[float, ...]
    within_ms: float
    processes: tuple[bool, ...]

    @property
    def error_ms(self) -> float:
        """How far an offset may be off."""
        return self.within_ms + SLACK_MS

    @property
    def is_worn(self) -> bool:
        """Whether the node has processes, and all of them use that clock."""
        return bool(self.processes) and all(self.processes)

    def as_json(self) -> dict[str, Any]:
        """What the history keeps."""
        first, last = self.offset_ms[0], self.offset_ms[-1]
        least, most = min(self.offset_ms), max(self.offset_ms)
        shown = {"first": first, "last": last, "least": least, "most": most}
        return {
            "offset_ms": {name: round(value, 3) for name, value in shown.items()},
            "within_ms": round(self.within_ms, 3),
            "processes": len(self.processes),
        }


class ClockFault:
    """A `NodeFault`: sets the clock of a node wrong, and right."""

    def __init__(self, site: Environment, turn: Turn, *, is_monotonic: bool) -> None:
        self._cluster: AbleCluster = site.cluster
        self._turn = turn
        self._is_monotonic = is_monotonic
        self._turning: dict[str, asyncio.Task[None]] = {}
        """Node -> what keeps turning its clock, where it must be kept up."""
        self._asked: dict[str, tuple[Settings, float]] = {}
        """Node -> what was asked for, and when."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        reads, gap_s = 1, 0.0
        match self._turn:
            case Turn.JUMP:
                await self._set(node, settings["offset_s"])
            case Turn.STROBE:
                self._keep_up(node, settings["period_s"], settings["offset_s"])
                reads, gap_s = READS, 2.3 * settings["period_s"] / READS
            case Turn.DRIFT:
                self._keep_up(node, STEP_S, settings["rate"])
                reads, gap_s = READS, DRIFT_SEEN_S / READS
        loop = asyncio.get_running_loop()
        self._asked[node] = settings, loop.time()
        end = loop.time() + HOLD_LIMIT_S
        while True:
            reading = await self._read(node, reads, gap_s)
            # Another fault may have the node start again just now: its process comes up first.
            is_so = _is_turned(self._turn, reading, settings) and reading.is_worn
            if is_so or loop.time() > end:
                return await self._struck(node, is_so, reading)

    async def _struck(self, node: str, is_so: bool, reading: _Reading) -> NodeEvidence:
        """What was seen of a strike; one that found no process, since it is down, is left out."""
        seen = await self._seen(node, is_so, reading)
        is_down = seen.status.state is NodeState.GONE and not reading.processes
        if is_so or not is_down or self._is_monotonic:
            return seen
        await self.release(node)
        return replace(seen, skipped=f"{node} was {seen.status.state.value}")

    async def look_again(self, node: str) -> NodeEvidence | None:
        """Wrong still, and kept so; a node that is down has no process that could use the clock."""
        settings, since_s = self._asked[node]
        passed_s = asyncio.get_running_loop().time() - since_s
        task = self._turning.get(node)
        is_kept = self._turn is Turn.JUMP or (task is not None and not task.done())
        reading = await self._read(node)
        is_worn = all(reading.processes)
        is_so = is_kept and is_worn and _is_wrong(self._turn, reading, settings, passed_s)
        return await self._seen(node, is_so, reading, {"is_kept_wrong": is_kept})

    async def undo(self, node: str) -> NodeEvidence:
        await self.release(node)
        reading = await self._read(node)
        is_so = abs(reading.offset_ms[-1]) <= reading.error_ms
        return await self._seen(node, is_so, reading)

    async def _seen(
        self, node: str, is_so: bool, reading: _Reading, more: Mapping[str, Any] | None = None
    ) -> NodeEvidence:
        facts = {"clock": reading.as_json(), **(more or {})}
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_back=True)

    async def release(self, node: str) -> None:
        """
        Set it right until nothing keeps turning it: that ends once somebody else has set the clock.

        A monotonic clock must never be seen to go back: its node is ended first, and starts again
        under the right one.
        """
        if self._is_monotonic:
            await self._cluster.kill(node)
        task = self._turning.pop(node, None)
        await self._set(node, 0.0)
        while task is not None and not task.done():
            await asyncio.wait([task], timeout=SETTLE_S)
            await self._set(node, 0.0)
        if self._is_monotonic:
            await self._cluster.start(node)

    def _keep_up(self, node: str, step_s: float, value: float) -> None:
        self._turning[node] = asyncio.ensure_future(self._turn_on(node, step_s, value))

    async def _turn_on(self, node: str, step_s: float, value: float) -> None:
        file, limit_s = self._clock(node).file, BURST_S
        arguments = (file, self._turn.value, limit_s, step_s, value)
        loop = asyncio.get_running_loop()
        try:
            while node in self._turning:
                began = loop.time()
                await run_script(self._cluster, node, TURN_CLOCK, *arguments)
                if loop.time() - began < limit_s:  # Somebody else has set the clock.
                    return
        except OSError as error:
            log.warning("%s: its clock is not turned any more: %s", node, error)

    async def _set(self, node: str, offset_s: float) -> None:
        file = self._clock(node).file
        arguments = (file, Turn.JUMP.value, 0, 0, offset_s)
        await run_script(self._cluster, node, TURN_CLOCK, *arguments)

    async def _read(self, node: str, reads: int = 1, gap_s: float = 0.0) -> _Reading:
        environment = json.dumps(dict(self._clock(node).environment))
        arguments = (environment, reads, gap_s)
        read = await run_script(self._cluster, node, READ_CLOCK, *arguments)
        return msgspec.convert(read, _Reading)

    def _clock(self, node: str) -> NodeClock:
        clock = self._cluster.clock(node)
        assert clock is not None, "the probe has seen it"
        return clock


def _is_turned(turn: Turn, reading: _Reading, settings: Settings) -> bool:
    """Whether a clock was seen as wrong as it should be."""
    first, last = reading.offset_ms[0], reading.offset_ms[-1]
    offset_ms: float = settings.get("offset_s", 0.0) * 1000
    match turn:
        case Turn.JUMP:
            return _is_jumped(reading, offset_ms)
        case Turn.STROBE:
            width_ms = max(reading.offset_ms) - min(reading.offset_ms)
            error_ms = 2 * reading.error_ms
            return 0 < abs(offset_ms) - error_ms <= width_ms <= abs(offset_ms) + error_ms
        case Turn.DRIFT:
            rate: float = settings["rate"]
            gained_ms = last - first
            passed_ms = (reading.at_s[-1] - reading.at_s[0]) * 1000
            error_ms = 2 * reading.error_ms + abs(rate) * STEP_S * 1000
            off_ms = abs(gained_ms - rate * passed_ms)
            return gained_ms * rate > 0 and off_ms <= error_ms and off_ms < abs(gained_ms)


def _is_jumped(reading: _Reading, offset_ms: float) -> bool:
    """Whether a clock is off by that much, which must be more than a reading may be off."""
    off_ms = abs(reading.offset_ms[-1] - offset_ms)
    return off_ms <= reading.error_ms < abs(offset_ms)


def _is_wrong(turn: Turn, reading: _Reading, settings: Settings, passed_s: float) -> bool:
    """Whether one reading fits a clock that went wrong so long ago."""
    offset_ms, error_ms = reading.offset_ms[-1], reading.error_ms
    match turn:
        case Turn.JUMP:
            return _is_jumped(reading, settings["offset_s"] * 1000)
        case Turn.STROBE:
            asked_ms: float = settings["offset_s"] * 1000
            return min(abs(offset_ms), abs(offset_ms - asked_ms)) <= error_ms
        case Turn.DRIFT:
            expected_ms: float = settings["rate"] * passed_s * 1000
            gained_ms = math.copysign(offset_ms, offset_ms * expected_ms)
            return gained_ms + error_ms >= DRIFT_SHARE * abs(expected_ms)


def _sized(name: str, description: str, most: float, size: Draw, *, is_signed: bool) -> Parameter:
    """Drawn to either side, or forwards only."""

    def draw(rng: Random) -> float:
        value: float = size.draw(rng)
        return round((rng.choice((-1, 1)) if is_signed else 1) * value, 3)

    drawn = Draw(f"{'±' if is_signed else ''}{size.text}", draw)
    return number(name, description, -most if is_signed else LEAST[name], most, drawn)


_offset = partial(_sized, "offset_s", "how far the clock jumps", 1e9, log_uniform(0.05, 288.0, 17))
_rate = partial(
    _sized, "rate", "seconds that the clock gains in one", 100.0, uniform(0.02, 0.5, 17)
)
OFFSET: Final = _offset(is_signed=True)

RATE_OF_TIMERS: Final = number(
    "rate", "seconds that the clock gains in one, or loses", -0.9, 10.0, _rate(is_signed=True).drawn
)
"""All timers of a simulated node follow its clock, which must neither stand still nor go back."""


def _check(settings: Settings) -> None:
    for name, least in LEAST.items():
        if abs(settings.get(name, least)) < least:
            raise ValueError(
                f"expected {name} of at least {least}, to either side, got {settings[name]}:"
                " with less, it looks like a right clock"
            )


def _clock(
    name: str, description: str, turn: Turn, parameters: tuple[Parameter, ...], held: str
) -> Fault:
    is_monotonic = name.startswith("monotonic-")
    other = (RATE_OF_TIMERS,) if turn is Turn.DRIFT else None
    return Fault(
        name=name,
        description=description,
        parameters=parameters,
        takes_down=is_monotonic,
        heals=Heals.CLOCKS,
        group="clocks",
        needs=(NodeProcesses, HostCommands, Clocks, Need.CLOCKS),
        check=_check,
        hosts=Hosts(own_clocks=True, own_monotonic=is_monotonic),
        make=lambda fault, site: PerNode(
            fault, site, ClockFault(site, turn, is_monotonic=is_monotonic)
        ),
        held=f"a process under that clock reads {held}, and the node's own processes use it",
        healed="the offset is 0" + (", after a restart" if is_monotonic else ""),
        simulated=turned(held, is_monotonic=is_monotonic, check=_check, parameters=other),
    )


FAULTS: Final[tuple[Fault, ...]] = (
    _clock(
        "clock-jump",
        "set the wall clock of nodes wrong, then right",
        Turn.JUMP,
        (OFFSET,),
        "the offset, right to some ms",
    ),
    _clock(
        "clock-strobe",
        "set the wall clock of nodes wrong and right, many times a second",
        Turn.STROBE,
        (
            OFFSET,
            number(
                "period_s", "how long it stays wrong, and right", 0.01, 10, uniform(0.05, 0.5, 3)
            ),
        ),
        "both offsets",
    ),
    _clock(
        "clock-drift",
        "let the wall clock of nodes run too fast or too slow",
        Turn.DRIFT,
        (_rate(is_signed=True),),
        "an offset that grows at that rate",
    ),
    _clock(
        "monotonic-jump",
        "let the monotonic clock of nodes jump forwards, and the wall clock",
        Turn.JUMP,
        (_offset(is_signed=False),),
        "the offset, right to some ms",
    ),
    _clock(
        "monotonic-drift",
        "let the monotonic clock of nodes run too fast, and the wall clock",
        Turn.DRIFT,
        (_rate(is_signed=False),),
        "an offset that grows at that rate",
    ),
)
