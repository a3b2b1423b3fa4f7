"""What a run waits for once faults have healed: what is missing is in the completion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import NodeProcesses, NodeState, NodeStatus
from dissever.harness.recovery import Recovery
from dissever.harness.system import Damaged, Digest, Replica, Unseen
from dissever.harness.vocabulary import (
    COMPARE,
    COMPARE_AGAIN,
    PROGRESS,
    READY,
    RESTART_AGAIN,
)


class Deployment(NodeProcesses):
    """Ready after some seconds; offers no dump. It is its own cluster."""

    nodes = ("n1", "n2")

    def __init__(
        self,
        ready_s: float = 0.0,
        equal_s: float = 0.0,
        restart_mends: bool = False,
    ) -> None:
        self.ready_s, self.equal_s = ready_s, equal_s
        self.restart_mends = restart_mends
        self.cluster = self
        self.did: list[str] = []
        self.paused: list[str] = []

    async def kill(self, node: str) -> None:  # type: ignore[override]
        self.did.append(f"kill {node}")

    async def start(self, node: str) -> None:  # type: ignore[override]
        self.did.append(f"start {node}")

    async def status(self, node: str) -> NodeStatus:
        state = NodeState.PAUSED if node in self.paused else NodeState.RUNNING
        return NodeStatus(state, 1, 100, None)

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        await asyncio.sleep(min(self.ready_s, timeout_s))
        if self.ready_s > timeout_s:
            raise TimeoutError("nobody leads")
        return {"leader": "n1"}

    async def await_progress(self, nodes: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        return await self.await_ready(timeout_s)


class Dumping(Deployment):
    """Equal after some seconds; or once n1 was started again, if a restart mends it."""

    async def replicas(self) -> Mapping[str, Replica]:
        is_equal = asyncio.get_running_loop().time() >= self.equal_s
        is_equal |= self.restart_mends and "start n1" in self.did
        return {"n1": Digest("a"), "n2": Digest("a" if is_equal else "b")}


def ask(deployment: Deployment, *f: str, value: Any = None) -> Completion:
    """The last answer."""

    async def main() -> Completion:
        recovery = Recovery(deployment)  # type: ignore[arg-type]
        return [await recovery.invoke(Invocation(each, value)) for each in f][-1]

    return clock.run(main(), is_virtual=True)


def test_what_comes_is_reported_with_how_long_it_took() -> None:
    completion = ask(Deployment(ready_s=2), PROGRESS, value={"nodes": ["n1"]})

    assert completion.value == {
        "nodes": ["n1"],
        "leader": "n1",
        "waited_ms": 2000,
        "evidence": {"held": True},
    }
    assert completion.error is None


@pytest.mark.parametrize("f", [PROGRESS, READY])
def test_what_does_not_come_is_reported_with_what_is_missing(f: str) -> None:
    completion = ask(Deployment(ready_s=99), f, value={"nodes": ["n1"]})

    assert completion.value["evidence"]["held"] is False
    assert completion.error == "nobody leads"


def test_a_node_that_stands_still_when_something_is_missed_is_told() -> None:
    deployment = Deployment(ready_s=99)
    deployment.paused = ["n2"]
    completion = ask(deployment, READY)

    assert completion.value["evidence"]["paused"] == ["n2"]


def test_replicas_may_catch_up() -> None:
    completion = ask(Dumping(equal_s=3), COMPARE)

    assert completion.value["evidence"] == {"held": True}
    assert completion.value["replicas"] == {"n1": "a", "n2": "a"}


def test_replicas_that_differ_for_long_are_reported() -> None:
    completion = ask(Dumping(equal_s=999), COMPARE)

    assert completion.value["evidence"] == {"held": False}
    assert completion.error == "replicas differ 40 s after the last write"


@pytest.mark.parametrize("restart_mends", [True, False])
def test_replicas_that_differ_are_compared_once_more_after_a_restart(restart_mends: bool) -> None:
    deployment = Dumping(equal_s=999, restart_mends=restart_mends)
    completion = ask(deployment, COMPARE, RESTART_AGAIN, COMPARE_AGAIN)

    assert deployment.did == ["kill n1", "kill n2", "start n1", "start n2"]
    assert completion.value["evidence"] == {"held": restart_mends}


@pytest.mark.parametrize("dumps", [True, False])
def test_nothing_is_restarted_without_a_difference(dumps: bool) -> None:
    deployment = Dumping() if dumps else Deployment()
    completion = ask(deployment, READY, COMPARE, RESTART_AGAIN, COMPARE_AGAIN)

    assert deployment.did == []
    assert completion.value["evidence"] == {"held": None}


def test_a_system_without_a_dump_is_skipped() -> None:
    completion = ask(Deployment(), COMPARE)

    assert completion.value["evidence"] == {"held": None}
    assert completion.error is None


def test_another_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one out of await-progress, await-ready"):
        ask(Deployment(), "await-summer")


class Unsure(Deployment):
    """Says of each node what it was made with."""

    def __init__(self, *held: Replica | Exception) -> None:
        super().__init__()
        self.held = held

    async def replicas(self) -> Mapping[str, Replica]:
        for each in self.held:
            if isinstance(each, Exception):
                raise each
        return {f"n{i}": held for i, held in enumerate(self.held, 1)}  # type: ignore[misc]


A, B, DAMAGED, UNSEEN = Digest("a"), Digest("b"), Damaged("page 3"), Unseen("timeout")


@pytest.mark.parametrize(
    ("held", "is_so", "told"),
    [
        ((A, A), True, None),
        ((A, B), False, "replicas differ"),
        ((A, UNSEEN), None, "no dump came from n2 (timeout)"),
        ((UNSEEN, UNSEEN), None, "no dump came from n1 (timeout), n2 (timeout)"),
        ((Unseen("a"), Unseen("b")), None, "no dump came from n1 (a), n2 (b)"),
        ((A, B, UNSEEN), False, "replicas differ"),
        ((A, DAMAGED), False, "replicas differ"),
        ((DAMAGED, DAMAGED), False, "the data of n1, n2 is damaged"),
        ((DAMAGED, UNSEEN), False, "the data of n1 is damaged"),
        ((), None, "no dump came from any node"),
        ((TimeoutError("too slow"),), None, "no dump came from n1 (too slow), n2 (too slow)"),
        ((ConnectionError(),), None, "no dump came from n1 (ConnectionError)"),
    ],
)
def test_only_what_was_seen_is_compared(
    held: tuple[Any, ...], is_so: bool | None, told: str | None
) -> None:
    completion = ask(Unsure(*held), COMPARE)

    assert completion.value["evidence"] == {"held": is_so}
    assert told in str(completion.error) if told else completion.error is None


def test_nothing_is_compared_again_when_nothing_was_seen() -> None:
    deployment = Unsure(UNSEEN, UNSEEN)
    completion = ask(deployment, COMPARE, RESTART_AGAIN, COMPARE_AGAIN)

    assert deployment.did == []
    assert completion.value["skipped"] == "no difference was seen"


def test_a_restart_that_the_harness_could_not_do_accuses_nobody() -> None:
    class Stuck(Dumping):
        async def kill(self, node: str) -> None:  # type: ignore[override]
            raise TimeoutError("no answer of the keeper")

    completion = ask(Stuck(equal_s=999), COMPARE, RESTART_AGAIN)

    assert completion.value["evidence"] == {"held": None}
    assert completion.error == "not every node was restarted: no answer of the keeper"


class Half(Deployment):
    """Never ready: n2 serves no write."""

    async def await_progress(self, nodes: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        if "n2" in nodes:
            await asyncio.sleep(timeout_s)
            raise TimeoutError("n2 names no leader")
        return {}


def test_a_recovery_that_did_not_come_names_the_nodes_that_do_not_serve() -> None:
    completion = ask(Half(ready_s=99), READY)

    assert completion.value["evidence"]["held"] is False
    assert completion.value["evidence"]["silent"] == ["n2"]
