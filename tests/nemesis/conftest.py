"""A cluster in memory, which does what it is told, and can be told to lie."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation, Nemesis
from dissever.harness.cluster import Grudge, NodeState, NodeStatus, Program, Reachability
from dissever.nemesis import Environment, make_nemeses

# A busy machine makes one example slow; that is no failure.
settings.register_profile("dissever", deadline=None)
settings.load_profile("dissever")


@dataclass
class FakeCluster:
    """
    Implements `Cluster`. Each of `lies` names a method that does nothing, or the counters.

    `calls` lists what was changed, in order.
    """

    nodes: tuple[str, ...]
    lies: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    grudge: Grudge = field(default_factory=dict)
    leaders: tuple[str, ...] = ()
    broken_links: set[tuple[str, str]] = field(default_factory=set)
    lost_once: set[tuple[str, str]] = field(default_factory=set)
    limits: dict[str, Any] = field(default_factory=dict)
    effects: dict[str, int] = field(default_factory=dict)

    backend = "namespaces"

    def __post_init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.states = {
            node: NodeStatus(NodeState.RUNNING, 1, pid, None)
            for pid, node in enumerate(self.nodes, start=100)
        }

    async def primaries(self) -> tuple[str, ...]:
        return self.leaders

    async def answers(self, node: str) -> bool:
        return "answers" in self.lies or self.states[node].state is NodeState.RUNNING

    def address(self, node: str) -> str:
        return f"10.0.0.{self.nodes.index(node) + 1}"

    def directory(self, node: str) -> Path:
        return Path(node)

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        old = self.states[node]
        if self._does("start", node) and old.pid is None:
            number = old.incarnation + 1
            pid = 1000 * number + self.nodes.index(node)
            self.states[node] = replace(old, state=NodeState.RUNNING, incarnation=number, pid=pid)
        return self.states[node]

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        is_late = not self._does("stop", node)
        incarnation = self.states[node].incarnation
        self.states[node] = NodeStatus(NodeState.GONE, incarnation, None, -9 if is_late else 0)
        return self.states[node]

    async def kill(self, node: str) -> NodeStatus:
        if self._does("kill", node):
            incarnation = self.states[node].incarnation
            self.states[node] = NodeStatus(NodeState.GONE, incarnation, None, -9)
        return self.states[node]

    async def pause(self, node: str) -> NodeStatus:
        return self._set("pause", node, NodeState.PAUSED)

    async def resume(self, node: str) -> NodeStatus:
        return self._set("resume", node, NodeState.RUNNING)

    async def status(self, node: str) -> NodeStatus:
        return self.states[node]

    async def drop(self, grudge: Grudge) -> None:
        if self._does(
            "drop", " ".join(f"{n}<{','.join(sorted(grudge[n]))}" for n in sorted(grudge))
        ):
            self.grudge = grudge
            self.counts = {(source, node): 0 for node in grudge for source in grudge[node]}

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        if "dropped" in self.fails:
            raise OSError("no counters")
        return {} if "dropped" in self.lies else dict(self.counts)

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        return {pair: self._arrives(pair) for pair in pairs}

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        raise NotImplementedError

    async def limit(
        self, node: str, cpus: float | None = None, memory_bytes: int | None = None
    ) -> Mapping[str, Any]:
        if self._does("limit", node):
            given = {"cpu": cpus, "memory": memory_bytes}
            self.limits[node] = {
                name: {"limit": value, "pids": 1, **self.effects}
                for name, value in given.items()
                if value is not None
            }
        return self.limits.get(node, {})

    async def readings(self, node: str) -> Mapping[str, Any]:
        return self.limits.get(node, {})

    async def lift(self, node: str) -> None:
        if self._does("lift", node):
            self.limits.pop(node, None)

    async def close(self) -> None:
        raise NotImplementedError

    def _arrives(self, pair: tuple[str, str]) -> bool:
        if pair in self.counts:
            self.counts[pair] += 1
            return False
        if pair in self.lost_once:
            self.lost_once.discard(pair)
            return False
        return pair not in self.broken_links

    def _set(self, verb: str, node: str, state: NodeState) -> NodeStatus:
        if self._does(verb, node) and self.states[node].pid is not None:
            self.states[node] = replace(self.states[node], state=state)
        return self.states[node]

    def _does(self, verb: str, what: str) -> bool:
        if verb in self.fails:
            raise OSError(f"{verb} failed")
        self.calls.append(f"{verb} {what}".strip())
        return verb not in self.lies


NODES = ("n1", "n2", "n3", "n4", "n5")


@pytest.fixture
def nodes() -> tuple[str, ...]:
    return NODES


@pytest.fixture
def make_cluster() -> Callable[..., FakeCluster]:
    def make(count: int = 5, **settings: Any) -> FakeCluster:
        return FakeCluster(NODES[:count], **settings)

    return make


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(NODES)


@pytest.fixture
def nemeses_of() -> Callable[..., dict[str, Nemesis]]:
    """Every nemesis of a cluster, or those that are named."""

    def make(
        cluster: FakeCluster, *faults: str, budget: int | None = None, asks: bool = True
    ) -> dict[str, Nemesis]:
        environment = Environment(
            cluster, cluster, 1, answers=cluster.answers if asks else None, budget=budget
        )
        every = ("partition", "kill", "pause", "deposed-leader")
        return make_nemeses(faults or every, environment)

    return make


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on the virtual clock."""
    return lambda main: clock.run(main, is_virtual=True)


@pytest.fixture
def play(run: Callable[..., Any]) -> Callable[..., list[Completion]]:
    """Invoke one after another: `("kill", "kill", {"spec": "one"})` is process, f and value."""

    def play(nemeses: Mapping[str, Nemesis], *steps: tuple[Any, ...]) -> list[Completion]:
        async def main() -> list[Completion]:
            return [
                await nemeses[process].invoke(
                    Invocation(f, value[0] if value else None, process=process)
                )
                for process, f, *value in steps
            ]

        completions: list[Completion] = run(main())
        return completions

    return play
