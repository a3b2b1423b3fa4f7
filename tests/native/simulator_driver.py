"""A simulator driven by hand: frames as frames.h has them, without the harness."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.missing import Missing
from dissever.systems.raft import libraries

NS_PER_MS = 1_000_000

BEGIN, ADVANCE, RESEED, END = 1, 2, 3, 4
OPEN, SEND, CLOSE = 10, 11, 12
START, STOP, KILL, PAUSE, RESUME, LOOK = 20, 21, 22, 23, 24, 25
CUT, IMPAIR, COUNT, PROBE, REACH = 30, 31, 32, 33, 34
DISK_RULE, DISK_HITS, CLOCK, CLOCK_LOOK, ALLOCATION, ALLOCATIONS, WIPE = 40, 41, 42, 43, 44, 45, 46
CHANGE = 50
OK, REFUSED, READY, NOW, SUMMARY, KILLED, SERVER = 100, 101, 102, 103, 104, 105, 106
TRAFFIC, HITS, OFFSET, FAILED = 107, 108, 109, 110
OPENED, RECEIVED, CLOSED, EXIT, CHANGED, ARRIVED, VIOLATION, TRACE = range(120, 128)

READ, WRITE, CAS, ADD, ELEMENTS, LOCAL_READ, LOCAL_ELEMENTS = range(7)


def text(value: str) -> bytes:
    return struct.pack("<H", len(value.encode())) + value.encode()


@dataclass(slots=True)
class Fields:
    """The fields of a frame, taken from its front."""

    content: bytes

    def take(self, format_: str) -> Any:
        size = struct.calcsize("<" + format_)
        values = struct.unpack("<" + format_, self.content[:size])
        self.content = self.content[size:]
        return values[0] if len(values) == 1 else values

    def text(self) -> str:
        return self.blob("H").decode()

    def blob(self, size_format: str = "I") -> bytes:
        size = self.take(size_format)
        taken, self.content = self.content[:size], self.content[size:]
        return taken


class Ended(Exception):
    """The simulator's output ended."""


@dataclass(frozen=True, slots=True)
class Server:
    """The answer to LOOK."""

    running: int
    incarnation: int
    role: int
    leader: int
    term: int
    vote: int
    first: int
    last: int
    stored: int
    commit: int
    applied: int
    snapshot: int
    installed: int
    members: Mapping[int, int]
    digest: int

    @property
    def leads(self) -> bool:
        return self.role == 3


class Simulator:
    """One process, one run."""

    def __init__(self, program: Path, seed: int, servers: int = 3, **options: object) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.servers = servers
        self.now = 0
        self.said: list[tuple[int, int, Fields]] = []
        self.violations: list[tuple[str, int, str]] = []
        self.details: list[bytes] = []
        self.exits: list[tuple[int, int]] = []
        self.trace: list[bytes] = []
        words = b"".join(text(name) + text(str(value)) for name, value in options.items())
        kind, answer = self.ask(BEGIN, struct.pack("<QBH", seed, servers, len(options)) + words)
        if kind != READY:
            self.close()
            raise ValueError(answer.text())
        self.library = answer.text()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> str:
        """End it; what it wrote to stderr."""
        _, errors = self.process.communicate()
        return errors.decode()

    def write(self, kind: int, content: bytes = b"") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack("<IB", len(content) + 1, kind) + content)
        self.process.stdin.flush()

    def read(self) -> tuple[int, Fields]:
        assert self.process.stdout is not None
        header = self.process.stdout.read(4)
        if len(header) < 4:
            raise Ended
        content = self.process.stdout.read(int.from_bytes(header, "little"))
        return content[0], Fields(content[1:])

    def ask(self, kind: int, content: bytes = b"") -> tuple[int, Fields]:
        self.write(kind, content)
        return self.read()

    def do(self, kind: int, format_: str = "", *values: object) -> Fields:
        """Ask, and expect anything but a refusal."""
        answer, fields = self.ask(kind, struct.pack("<" + format_, *values))
        assert answer != REFUSED, fields.text()
        return fields

    def advance(self, until: int) -> bool:
        """To `until` ns, or until something was said; True when nothing is left to happen."""
        self.write(ADVANCE, struct.pack("<Q", until))
        while True:
            kind, fields = self.read()
            if kind == NOW:
                self.now, is_idle = fields.take("QB")
                return bool(is_idle)
            time = fields.take("Q")
            if kind == VIOLATION:
                name, node, why = fields.text(), fields.take("B"), fields.text()
                self.violations.append((name, node, why))
                self.details.append(fields.blob())
            elif kind == EXIT:
                node, _, status, _ = fields.take("BIiB")
                self.exits.append((node, status))
            elif kind == TRACE:
                self.trace.append(fields.blob())
            else:
                self.said.append((kind, time, fields))

    def run(self, ms: float) -> None:
        """Let so much time pass, whatever is said."""
        end = self.now + int(ms * NS_PER_MS)
        while self.now < end:
            self.advance(end)

    def start(self, *nodes: int) -> None:
        for node in nodes or range(self.servers):
            self.do(START, "B", node)

    def look(self, node: int) -> Server:
        fields = self.do(LOOK, "B", node)
        head = fields.take("BIBBQBQQQQQQQ")
        members = dict(fields.take("BB") for _ in range(fields.take("B")))
        return Server(*head, members, fields.take("Q"))

    def leader(self) -> int | None:
        """The server that leads the highest term."""
        found = [(self.look(node).term, node) for node in range(self.servers)]
        leads = [(term, node) for term, node in found if self.look(node).leads]
        return max(leads)[1] if leads else None

    def await_leader(self, limit_ms: float = 20_000) -> int:
        while self.leader() is None:
            assert self.now < limit_ms * NS_PER_MS, "nobody leads"
            self.run(100)
        leader = self.leader()
        assert leader is not None
        return leader

    def cut(self, *links: tuple[int, int]) -> None:
        pairs = b"".join(struct.pack("<BB", *link) for link in links)
        kind, fields = self.ask(CUT, struct.pack("<H", len(links)) + pairs)
        assert kind == OK, fields.text()

    def isolate(self, node: int) -> None:
        others = [other for other in range(self.servers) if other != node]
        self.cut(*((node, other) for other in others), *((other, node) for other in others))

    def impair(self, links: Mapping[tuple[int, int], Sequence[float]]) -> None:
        rows = b"".join(struct.pack("<BB10d", *link, *values) for link, values in links.items())
        kind, fields = self.ask(IMPAIR, struct.pack("<H", len(links)) + rows)
        assert kind == OK, fields.text()

    def traffic(self) -> dict[tuple[int, int], tuple[int, ...]]:
        fields = self.do(COUNT)
        rows = [fields.take("BB7Q") for _ in range(fields.take("H"))]
        return {row[:2]: row[2:] for row in rows}

    def rule(
        self,
        node: int,
        name: str,
        kind: int = 0,
        call: int = 0,
        *,
        on: bool = True,
        probability: float = 1.0,
        ms: float = 0.0,
    ) -> None:
        content = struct.pack("<B", node) + text(name)
        content += struct.pack("<BBBddQ", on, kind, call, probability, ms, 7)
        answer, fields = self.ask(DISK_RULE, content)
        assert answer == OK, fields.text()

    def kill(self, node: int, *, power: bool = False) -> tuple[int, int]:
        lost, kept = self.do(KILL, "BB", node, power).take("II")
        return lost, kept

    def end(self) -> dict[str, str]:
        fields = self.do(END)
        return {fields.text(): fields.text() for _ in range(fields.take("H"))}


@dataclass(slots=True)
class Client:
    """Asks one server at a time, over a connection that it opens when there is none."""

    simulator: Simulator
    number: int = 0
    node: int | None = None
    requests: int = 0
    bytes_: bytes = b""
    answers: dict[int, tuple[int, Fields]] = field(default_factory=dict)

    def connect(self, node: int) -> bool:
        simulator = self.simulator
        simulator.connections = self.number = getattr(simulator, "connections", 0) + 1  # type: ignore[attr-defined]
        self.node = node
        self.bytes_ = b""
        simulator.do(OPEN, "IB", self.number, node)
        end = simulator.now + 1000 * NS_PER_MS
        while simulator.now < end:
            simulator.advance(end)
            for kind, _, fields in self._mine():
                if kind == OPENED:
                    return True
                if kind == CLOSED:
                    self.node = None
                    return False
                self._take(fields)
        return False

    def _mine(self) -> Iterator[tuple[int, int, Fields]]:
        """What was said of this connection; the rest stays."""
        rest = []
        found = []
        for kind, time, fields in self.simulator.said:
            is_mine = kind in (OPENED, RECEIVED, CLOSED) and fields.content[:4] == struct.pack(
                "<I", self.number
            )
            (found if is_mine else rest).append((kind, time, fields))
        self.simulator.said[:] = rest
        for kind, time, fields in found:
            fields.take("I")
            yield kind, time, fields

    def _take(self, fields: Fields) -> None:
        self.bytes_ += fields.blob()
        while len(self.bytes_) >= 4:
            size = int.from_bytes(self.bytes_[:4], "little")
            if len(self.bytes_) < 4 + size:
                return
            answer = Fields(self.bytes_[4 : 4 + size])
            self.bytes_ = self.bytes_[4 + size :]
            id_, status = answer.take("IB")
            self.answers[id_] = status, answer

    def ask(self, function: int, format_: str = "", *values: int) -> int:
        """Send a request; its id."""
        self.requests += 1
        content = struct.pack("<IB" + format_, self.requests, function, *values)
        content = struct.pack("<I", len(content)) + content
        self.simulator.do(SEND, f"II{len(content)}s", self.number, len(content), content)
        return self.requests

    def call(
        self, function: int, format_: str = "", *values: int, limit_ms: float = 1000
    ) -> tuple[int, Fields] | None:
        """Send a request and wait for its answer: (status, fields); None: none came."""
        id_ = self.ask(function, format_, *values)
        simulator = self.simulator
        end = simulator.now + int(limit_ms * NS_PER_MS)
        while simulator.now < end:
            simulator.advance(end)
            for kind, _, fields in self._mine():
                if kind == RECEIVED:
                    self._take(fields)
                else:
                    self.node = None
                    return None
            if id_ in self.answers:
                return self.answers.pop(id_)
        return None

    def write(self, key: int, value: int) -> bool:
        answer = self.call(WRITE, "Iq", key, value)
        return answer is not None and answer[0] == 0

    def read(self, key: int) -> int | None:
        answer = self.call(READ, "I", key)
        assert answer is not None, "no answer came"
        assert answer[0] == 0, answer[1].take("H")
        is_present, value = answer[1].take("Bq")
        return value if is_present else None


FAST = {
    "election_ms": 300,
    "heartbeat_ms": 30,
    "snapshot_threshold": 32,
    "snapshot_trailing": 8,
    "straggler": 0,
}
"""Times and sizes that no deployment has, so that much happens in little virtual time."""


@cache
def program(variant: str, *flags: str) -> Path:
    found = libraries.simulator(variant, flags=flags)
    if isinstance(found, Missing):
        if "not to be had" not in found.reason:
            pytest.fail(found.reason)
        pytest.skip(found.reason)
    return found


def simulator(
    seed: int = 1, servers: int = 3, variant: str = "raft-0.15.0", **more: object
) -> Simulator:
    return Simulator(program(variant), seed, servers, **FAST | more)


def elected(seed: int = 1, servers: int = 3, **more: object) -> tuple[Simulator, Client]:
    """A cluster with a leader, and a client that is connected to it."""
    found = simulator(seed, servers, **more)
    found.start()
    client = Client(found)
    assert client.connect(found.await_leader())
    return found, client


def storm(simulator: Simulator, seed: int, seconds: float = 10.0, faults: str = "ckps") -> None:
    """
    Clients write while faults happen, then all is healed.

    `faults`: c cuts, k kills, p pauses, s slow and failing disks, l losses, m members, t transfers,
    o failed allocations, w power failures, d clocks.
    """
    rng = random.Random(seed)
    simulator.start()
    end = int(seconds * 1000) * NS_PER_MS
    clients = [Client(simulator) for _ in range(3)]
    value = 0
    next_fault = 0
    changes = 0
    down: dict[int, int] = {}
    paused: dict[int, int] = {}
    while simulator.now < end:
        for node, until in list(down.items()):
            if simulator.now >= until:
                simulator.do(START, "B", node)
                del down[node]
        for node, until in list(paused.items()):
            if simulator.now >= until:
                simulator.do(RESUME, "B", node)
                del paused[node]
        if simulator.now >= next_fault and simulator.now < end * 2 // 3:
            next_fault = simulator.now + rng.randrange(200, 1200) * NS_PER_MS
            fault, node = rng.choice(faults), rng.randrange(simulator.servers)
            until = simulator.now + rng.randrange(100, 1500) * NS_PER_MS
            if fault == "c":
                nodes = range(simulator.servers)
                links = [(a, b) for a in nodes for b in nodes if a != b and rng.random() < 0.3]
                simulator.cut(*links)
            elif fault in "kw" and node not in down:
                paused.pop(node, None)
                simulator.kill(node, power=fault == "w")
                down[node] = until
            elif fault == "p" and node not in down:
                simulator.do(PAUSE, "B", node)
                paused[node] = until
            elif fault == "s":
                kind, call = rng.randrange(4), rng.randrange(1, 4)
                simulator.rule(node, "s", kind, call, on=rng.random() < 0.7, probability=0.3, ms=50)
            elif fault == "l":
                nodes = range(simulator.servers)
                links = [(a, b) for a in nodes for b in nodes if a != b]
                values = (rng.random() * 0.3, 2, 5, 5, 0.05, 0.1, 30, 0.05, 0, 400)
                simulator.impair(dict.fromkeys(links, values) if rng.random() < 0.6 else {})
            elif fault in "mt":
                changes += 1
                what = 3 if fault == "t" else rng.randrange(3)
                for asked in range(simulator.servers):
                    simulator.do(CHANGE, "IBBBB", changes, asked, what, node, rng.randrange(3))
            elif fault == "o":
                simulator.do(ALLOCATION, "BQ", node, rng.randrange(1, 60))
            elif fault == "d":
                simulator.do(CLOCK, "Bdd", node, rng.uniform(0, 5), rng.uniform(0.5, 2))
        if simulator.now >= end * 2 // 3 and next_fault >= 0:
            next_fault = 1 << 62
            simulator.cut()
            simulator.impair({})
            for node in range(simulator.servers):
                for name in "s":
                    simulator.rule(node, name, on=False)
        client = rng.choice(clients)
        if client.node is None and not client.connect(rng.randrange(simulator.servers)):
            continue
        value += 1
        answer = client.call(
            *rng.choice([(WRITE, "Iq", value % 5, value), (READ, "I", value % 5)]), limit_ms=400
        )  # type: ignore[arg-type]
        if answer is None or answer[0]:
            if client.node is not None:
                simulator.do(CLOSE, "I", client.number)
            client.node = None
        simulator.run(rng.randrange(1, 20))
