"""
Kill, stop, start, pause and resume one node, each measured: what the kernel said before and after.

What a change returns is not believed: the status is asked for afterwards. Times are those of the
event loop's clock, so they are virtual where the cluster is.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dissever.harness.cluster import NodeState, NodeStatus
from dissever.nemesis.abilities import AbleCluster

__all__ = [
    "Answers",
    "NodeEvidence",
    "answers_again",
    "as_json",
    "kill",
    "pause",
    "resume",
    "start",
    "stop",
]


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
    do for the node; None: as `is_so` says.
    """

    node: str
    is_so: bool
    status: NodeStatus
    facts: Mapping[str, Any]
    is_back: bool | None = None


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


async def kill(cluster: AbleCluster, node: str) -> NodeEvidence:
    """SIGKILL: so when a process was there, and is gone by that very signal."""
    before, began = await cluster.status(node), _now()
    await cluster.kill(node)
    after = await cluster.status(node)
    is_gone = after.state is NodeState.GONE and after.pid is None
    is_so = is_gone and before.pid is not None and after.exit_status == -signal.SIGKILL
    return NodeEvidence(node, is_so, after, {"pid": before.pid, "took_ms": _since_ms(began)})


async def stop(cluster: AbleCluster, node: str, grace_s: float) -> NodeEvidence:
    """SIGTERM: so when a process was there, and ended before the grace time was over."""
    before, began = await cluster.status(node), _now()
    await cluster.stop(node, grace_s)
    after = await cluster.status(node)
    is_gone = after.state is NodeState.GONE and after.pid is None
    is_so = is_gone and before.pid is not None and after.exit_status != -signal.SIGKILL
    return NodeEvidence(node, is_so, after, {"pid": before.pid, "took_ms": _since_ms(began)})


async def start(cluster: AbleCluster, node: str, killed: NodeStatus | None) -> NodeEvidence:
    """
    Start: so when a process runs that is not the one that was killed.

    Args:
        killed: The status before the kill; None when it is not known.
    """
    began = _now()
    await cluster.start(node)
    after = await cluster.status(node)
    is_new = killed is None or (after.pid != killed.pid and after.incarnation > killed.incarnation)
    is_so = after.state is NodeState.RUNNING and after.pid is not None and is_new
    facts = {"pid": after.pid, "pid_before": killed and killed.pid, "took_ms": _since_ms(began)}
    return NodeEvidence(node, is_so, after, facts)


async def pause(cluster: AbleCluster, node: str, answers: Answers | None) -> NodeEvidence:
    """SIGSTOP: so when the kernel says that it stands still, and it does not answer."""
    before, began = await cluster.status(node), _now()
    await cluster.pause(node)
    after = await cluster.status(node)
    facts = {"pid": after.pid, "took_ms": _since_ms(began)}
    is_so = after.state is NodeState.PAUSED and after.pid == before.pid
    if answers is not None:
        facts["answers"] = await _answers_within(SILENCE_S, answers, node)
        is_so = is_so and not facts["answers"]
    return NodeEvidence(node, is_so, after, facts)


async def resume(cluster: AbleCluster, node: str, answers: Answers | None) -> NodeEvidence:
    """SIGCONT: so when the kernel says that it runs, and it answers again."""
    began = _now()
    await cluster.resume(node)
    after = await cluster.status(node)
    facts = {"pid": after.pid, "took_ms": _since_ms(began)}
    is_so = after.state is NodeState.RUNNING
    if answers is not None and is_so:
        facts["answers"] = await _comes_to_answer(answers, node)
        is_so = facts["answers"] is not False
        facts["answered_ms"] = _since_ms(began)
    return NodeEvidence(node, is_so, after, facts)


async def answers_again(answers: Answers | None, node: str) -> bool:
    """Whether a node answers before long; taken for granted when nobody can say."""
    return answers is None or await _comes_to_answer(answers, node) is not False


async def _comes_to_answer(answers: Answers, node: str) -> bool | None:
    end = _now() + ANSWER_LIMIT_S
    while (left_s := end - _now()) > 0:
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


def _now() -> float:
    return asyncio.get_running_loop().time()


def _since_ms(began: float) -> float:
    return round((_now() - began) * 1000, 3)
