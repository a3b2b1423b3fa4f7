"""
Kill, stop, start, pause and resume one node, each measured: what the kernel said before and after.

What a change returns is not believed: the status is asked for anew. A change's time is that of
the event loop's clock, so it is virtual where the cluster is.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, NodeState, NodeStatus

__all__ = [
    "Answers",
    "Seen",
    "answers_again",
    "as_json",
    "healed",
    "kill",
    "pause",
    "resume",
    "start",
    "stop",
    "struck",
]

log = logging.getLogger(__name__)

Answers: TypeAlias = Callable[[str], Awaitable[bool | None]]
"""Whether a node's process answers a request now; None when nobody can say, cut off as all are."""

SILENCE_S = 0.5
"""A paused node that says nothing for so long is silent."""

ANSWER_LIMIT_S = 5.0
"""A resumed node has so long to answer again."""

ANSWER_GAP_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """One node after a change. `is_so`: whether the change did what it is for."""

    node: str
    is_so: bool
    status: NodeStatus
    facts: Mapping[str, Any]


def as_json(seen: Iterable[Seen]) -> dict[str, Any]:
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


def struck(
    invocation: Invocation, spec: str, notes: Mapping[str, str], seen: Sequence[Seen]
) -> Completion:
    """
    The completion of an injection.

    `held` is None when nobody was struck: then there is neither a fault nor evidence of one.
    """
    held = all(each.is_so for each in seen) if seen else None
    targets = [each.node for each in seen]
    log.info("%s: %s struck %s, held: %s", invocation.f, spec, targets, held)
    evidence = {"held": held, "nodes": as_json(seen)}
    value = {"spec": spec, "targets": targets, **notes, "evidence": evidence}
    error = None if held else notes.get("skipped", f"{invocation.f} did not take hold")
    return invocation.info(error, value)


def healed(invocation: Invocation, seen: Sequence[Seen]) -> Completion:
    """The completion of a healing; where nothing was to be healed, all is healed."""
    is_healed = all(each.is_so for each in seen)
    targets = [each.node for each in seen]
    log.info("%s: %s, healed: %s", invocation.f, targets, is_healed)
    value = {"targets": targets, "evidence": {"healed": is_healed, "nodes": as_json(seen)}}
    return invocation.info(None if is_healed else f"{invocation.f} did not heal", value)


async def kill(cluster: Cluster, node: str) -> Seen:
    """SIGKILL: so when a process was there, and is gone by that very signal."""
    before, began = await cluster.status(node), _now()
    await cluster.kill(node)
    after = await cluster.status(node)
    is_gone = after.state is NodeState.GONE and after.pid is None
    is_so = is_gone and before.pid is not None and after.exit_status == -signal.SIGKILL
    return Seen(node, is_so, after, {"pid": before.pid, "took_ms": _since_ms(began)})


async def stop(cluster: Cluster, node: str, grace_s: float) -> Seen:
    """SIGTERM: so when a process was there, and ended before the grace time was over."""
    before, began = await cluster.status(node), _now()
    await cluster.stop(node, grace_s)
    after = await cluster.status(node)
    is_gone = after.state is NodeState.GONE and after.pid is None
    is_so = is_gone and before.pid is not None and after.exit_status != -signal.SIGKILL
    return Seen(node, is_so, after, {"pid": before.pid, "took_ms": _since_ms(began)})


async def start(cluster: Cluster, node: str, killed: NodeStatus | None) -> Seen:
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
    return Seen(node, is_so, after, facts)


async def pause(cluster: Cluster, node: str, answers: Answers | None) -> Seen:
    """SIGSTOP: so when the kernel says that it stands still, and it does not answer."""
    before, began = await cluster.status(node), _now()
    await cluster.pause(node)
    after = await cluster.status(node)
    facts = {"pid": after.pid, "took_ms": _since_ms(began)}
    is_so = after.state is NodeState.PAUSED and after.pid == before.pid
    if answers is not None:
        facts["answers"] = await _answers_within(SILENCE_S, answers, node)
        is_so = is_so and not facts["answers"]
    return Seen(node, is_so, after, facts)


async def resume(cluster: Cluster, node: str, answers: Answers | None) -> Seen:
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
    return Seen(node, is_so, after, facts)


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
