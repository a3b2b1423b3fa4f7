"""A synthetic trace of five Raft servers: heartbeats, writes, elections, losses, a broken rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

NODES = ("n1", "n2", "n3", "n4", "n5")
MS = 1_000_000
S = 1_000_000_000


class Cluster:
    """Servers that follow whoever leads; it knows no more of Raft than a reader of a trace sees."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.sent = 0
        self.states = {
            node: {"role": "follower", "term": 1, "vote": None, "leader": None, "first": 1,
                   "last": 0, "stored": 0, "commit": 0, "applied": 0, "snapshot": 0}
            for node in NODES
        }  # fmt: skip

    def add(self, time_ns: int, **line: Any) -> None:
        self.lines.append((time_ns, {"time": time_ns, **line}))

    def set(self, time_ns: int, node: str, **changes: Any) -> None:
        state = self.states[node]
        if any(state[name] != value for name, value in changes.items()):
            state.update(changes)
            self.add(time_ns, kind="server", node=node, **state)

    def send(self, time_ns: int, source: str, target: str, what: str, text: str, **how: Any) -> int:
        """The time of arrival, or -1 when it is lost."""
        self.sent += 1
        term = self.states[source]["term"]
        self.add(time_ns, kind="send", id=self.sent, **{"from": source, "to": target},
                 what=what, term=term, text=text)  # fmt: skip
        arrival = time_ns + self.rng.randrange(400_000, 2 * MS)
        if how.get("why"):
            self.add(arrival, kind="lost", id=self.sent, why=how["why"])
            return -1
        self.add(arrival, kind="receive", id=self.sent)
        if how.get("twice"):
            self.add(arrival + MS, kind="receive", id=self.sent)
        return arrival

    def write(self, time_ns: int, leader: str, lost: dict[str, str], twice: bool = False) -> None:
        """One entry, from the leader's log to everybody's."""
        state = self.states[leader]
        index, term = state["last"] + 1, state["term"]
        self.set(time_ns, leader, last=index)
        self.set(time_ns + 300_000, leader, stored=index)
        self.add(time_ns + 300_000, kind="synced", node=leader, to=index)
        acknowledged = 1
        for node in NODES:
            if node == leader:
                continue
            text = f"entry {index} after {index - 1}/{term}, commit {state['commit']}"
            arrival = self.send(time_ns, leader, node, "AppendEntries", text, why=lost.get(node),
                                twice=twice)  # fmt: skip
            if arrival < 0:
                continue
            self.set(arrival, node, last=index, term=term, leader=leader, role="follower")
            self.set(arrival + 250_000, node, stored=index)
            self.add(arrival + 250_000, kind="synced", node=node, to=index)
            self.set(arrival + 300_000, node, commit=state["commit"], applied=state["commit"])
            self.send(arrival + 300_000, node, leader, "AppendEntriesResult", f"has {index}")
            acknowledged += 1
        if acknowledged > len(NODES) // 2:
            self.set(time_ns + 5 * MS, leader, commit=index, applied=index)

    def heartbeat(self, time_ns: int, leader: str, lost: dict[str, str]) -> None:
        state = self.states[leader]
        for node in NODES:
            if node == leader:
                continue
            text = f"nothing after {state['last']}/{state['term']}, commit {state['commit']}"
            arrival = self.send(time_ns, leader, node, "AppendEntries", text, why=lost.get(node))
            if arrival >= 0:
                self.set(arrival, node, commit=min(state["commit"], self.states[node]["last"]))
                said = f"has {self.states[node]['last']}"
                self.send(arrival, node, leader, "AppendEntriesResult", said)

    def elect(self, time_ns: int, node: str, lost: dict[str, str]) -> None:
        term = max(state["term"] for state in self.states.values()) + 1
        self.set(time_ns, node, role="candidate", term=term, vote=node, leader=None)
        for other in NODES:
            if other == node:
                continue
            last = self.states[node]["last"]
            text = f"last entry {last}/{term - 1}"
            arrival = self.send(time_ns, node, other, "RequestVote", text, why=lost.get(other))
            if arrival >= 0:
                self.set(arrival, other, role="follower", term=term, vote=node)
                self.send(arrival, other, node, "RequestVoteResult", "granted")
        self.set(time_ns + 4 * MS, node, role="leader", leader=node)


def trace_lines(duration_s: float = 30.0, *, step_ms: int = 50, seed: int = 7) -> list[bytes]:
    """A run of that length in which n1, n3 and n2 lead in turn, and two elections split."""
    cluster = Cluster(seed)
    for node in NODES:
        cluster.set(-MS, node, term=2)
    cluster.elect(MS, "n1", {})
    cuts = ((3.0, 7.0, ("n1", "n2")), (15.0, 20.0, ("n4",)))
    leader = "n1"
    for turn, time_ns in enumerate(range(20 * MS, int(duration_s * S), step_ms * MS)):
        time_s = time_ns / S
        lost = {
            node: "cut"
            for start, end, side in cuts
            for node in NODES
            if start <= time_s < end and (node in side) != (leader in side)
        }
        if cluster.rng.random() < 0.02:
            lost.setdefault(cluster.rng.choice(NODES), "loss")
        if leader == "n1" and time_s > 3.4:
            leader = "n3"
            cluster.elect(time_ns, leader, {"n1": "cut", "n2": "cut"})
        elif leader == "n3" and time_s > 9.3:
            cluster.set(time_ns, "n3", role="none", leader=None)
            cluster.add(time_ns, kind="unsynced", node="n3", lost=2, kept=1, why="power-failure")
            leader = "n2"
            cluster.elect(time_ns + MS, leader, {"n3": "down"})
        elif turn % 4 == 0:
            cluster.write(time_ns, leader, lost, twice=turn % 60 == 0)
        else:
            cluster.heartbeat(time_ns, leader, lost)
        if turn % 130 == 129:
            index = cluster.states[leader]["applied"]
            cluster.set(time_ns + MS, leader, snapshot=index, first=max(1, index - 16))
            cluster.add(time_ns + MS, kind="snapshot", node=leader, index=index, how="taken")
            cluster.add(time_ns + 9 * MS, kind="snapshot", node="n5", index=index, how="installed")
    cluster.add(
        int(0.55 * duration_s * S), kind="violation", node="n4", name="log-matching", index=12,
        text="n2 and n4 hold different entries at index 12, and n2 has committed its own.",
        logs={
            "n2": [[11, 2, "set k 4"], [12, 3, "set k 5"]],
            "n4": [[11, 2, "set k 4"], [12, 2, "set k 9"]],
        },
    )  # fmt: skip
    return list(_encoded(cluster))


def _encoded(cluster: Cluster) -> Iterator[bytes]:
    for _, line in sorted(cluster.lines, key=lambda each: each[0]):
        yield json.dumps(line, separators=(",", ":")).encode()
