"""
End, start, pause and resume one node, each measured: what the kernel said before and after.

What a change returns is not believed: the status is asked for afterwards. Times are those of the
event loop's clock, so they are virtual where the cluster is.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dissever.harness.cluster import NodeState, NodeStatus
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.aiming import Ledger

__all__ = [
    "Answers",
    "NodeEvidence",
    "answers_again",
    "as_json",
    "end",
    "now",
    "pause",
    "resume",
    "revive",
    "since_ms",
    "start",
    "still",
]


log = logging.getLogger(__name__)

Answers: TypeAlias = Callable[[str], Awaitable[bool | None]]
"""Whether a node's process answers a request now; None when nobody can say, cut off as all are."""

SILENCE_S = 0.5
"""A paused node that says nothing in this time is silent."""

ANSWER_LIMIT_S = 5.0
"""A resumed node must answer again in this time."""

ANSWER_GAP_S = 0.05


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """
    One node after a change.

    `is_so`: whether the change did what it is for. `is_back`: whether healing has nothing more to
    do for the node; None: as `is_so` says. `is_idle`: nothing met the fault while it was in force.
    `skipped`: why it could not be struck, in words; empty when it was. Nothing is in force then.
    `refused`: what the system said, or failed to say, when it was asked to take a change back and
    did not; empty when it did, or when it could not be asked.
    """

    node: str
    is_so: bool
    status: NodeStatus
    facts: Mapping[str, Any]
    is_back: bool | None = None
    is_idle: bool = False
    skipped: str = ""
    refused: str = ""


def as_json(seen: Iterable[NodeEvidence]) -> dict[str, Any]:
    """What the history keeps: node -> what was seen of it."""
    return {
        each.node: {
            "state": each.status.state.value,
            "incarnation": each.status.incarnation,
            "exit_status": each.status.exit_status,
            **each.facts,
        }
        for each in seen
    }


async def still(cluster: AbleCluster, node: str, state: NodeState) -> NodeEvidence:
    """Whether the kernel says that the node is still in that state."""
    status = await cluster.status(node)
    return NodeEvidence(node, status.state is state, status, {"pid": status.pid})


async def end(cluster: AbleCluster, node: str, grace_s: float | None = None) -> NodeEvidence:
    """
    SIGKILL: so when a process was there, and is gone by that very signal.

    Args:
        grace_s: Of SIGTERM instead: so when the process ended before that time was over.
    """
    before, began = await cluster.status(node), now()
    await (cluster.kill(node) if grace_s is None else cluster.stop(node, grace_s))
    after = await cluster.status(node)
    is_gone = after.state is NodeState.GONE and after.pid is None
    is_killed = after.exit_status == -signal.SIGKILL
    is_so = is_gone and before.pid is not None and is_killed is (grace_s is None)
    return NodeEvidence(node, is_so, after, {"pid": before.pid, "took_ms": since_ms(began)})


async def start(cluster: AbleCluster, node: str, killed: NodeStatus | None) -> NodeEvidence:
    """
    Start: so when a process runs that is not the one that was killed.

    Args:
        killed: The status before the kill; None when it is not known.
    """
    began = now()
    await cluster.start(node)
    after = await cluster.status(node)
    is_new = killed is None or (after.pid != killed.pid and after.incarnation > killed.incarnation)
    is_so = after.state is NodeState.RUNNING and after.pid is not None and is_new
    facts = {"pid": after.pid, "pid_before": killed and killed.pid, "took_ms": since_ms(began)}
    return NodeEvidence(node, is_so, after, facts)


async def pause(cluster: AbleCluster, node: str, answers: Answers | None) -> NodeEvidence:
    """SIGSTOP: so when the kernel says that it stands still, and it does not answer."""
    before, began = await cluster.status(node), now()
    await cluster.pause(node)
    after = await cluster.status(node)
    facts = {"pid": after.pid, "took_ms": since_ms(began)}
    is_so = after.state is NodeState.PAUSED and after.pid == before.pid
    if answers is not None:
        facts["answers"] = await _answers_within(SILENCE_S, answers, node)
        is_so = is_so and not facts["answers"]
    return NodeEvidence(node, is_so, after, facts)


async def resume(cluster: AbleCluster, node: str, answers: Answers | None) -> NodeEvidence:
    """
    SIGCONT: so when the kernel says that it runs, and it answers again. It is so, too, when the
    process has ended meanwhile: then it is not paused, and why it ended is judged apart.
    """
    began = now()
    await cluster.resume(node)
    after = await cluster.status(node)
    facts = {"pid": after.pid, "took_ms": since_ms(began)}
    is_so = after.state is NodeState.RUNNING
    if answers is not None and is_so:
        facts["answers"] = await _comes_to_answer(answers, node)
        facts["answered_ms"] = since_ms(began)
        if facts["answers"] is False and (await cluster.status(node)).state is NodeState.GONE:
            facts["ended"] = True
        is_so = facts["answers"] is not False or "ended" in facts
    return NodeEvidence(node, is_so, after, facts)


async def revive(cluster: AbleCluster, down: Ledger, node: str) -> dict[str, Any]:
    """
    Start the node if it has ended and no fault holds it down; what the history says of it.

    A node that still runs but is of no use is left as it is: the end of the run finds out whether
    it comes back.
    """
    status = await cluster.status(node)
    if status.state is not NodeState.GONE or node in down.reasons:
        return {}
    log.info("%s: ended by itself with status %s, started again", node, status.exit_status)
    await cluster.start(node)
    return {"ended": status.exit_status}


async def answers_again(answers: Answers | None, node: str) -> bool:
    """Whether a node answers before long; taken for granted when nobody can say."""
    return answers is None or await _comes_to_answer(answers, node) is not False


async def _comes_to_answer(answers: Answers, node: str) -> bool | None:
    end = now() + ANSWER_LIMIT_S
    while (left_s := end - now()) > 0:
        if (answered := await _answers_within(left_s, answers, node)) is not False:
            return answered
        await asyncio.sleep(ANSWER_GAP_S)
    return False


async def _answers_within(limit_s: float, answers: Answers, node: str) -> bool | None:
    try:
        async with asyncio.timeout(limit_s):
            return await answers(node)
    except (OSError, TimeoutError):
        return False


def now() -> float:
    return asyncio.get_running_loop().time()


def since_ms(began: float) -> float:
    return round((now() - began) * 1000, 3)
