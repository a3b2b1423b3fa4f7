"""What a run waits for once faults have healed; nothing is raised, and what was missing is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.recovery import COMPARE, PROGRESS, READY, Recovery


class Deployment:
    """Ready and equal after some seconds."""

    def __init__(self, ready_s: float = 0.0, equal_s: float = 0.0, dumps: bool = True) -> None:
        self.ready_s, self.equal_s, self.dumps = ready_s, equal_s, dumps

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        await asyncio.sleep(min(self.ready_s, timeout_s))
        if self.ready_s > timeout_s:
            raise TimeoutError("nobody leads")
        return {"leader": "n1"}

    async def await_progress(self, nodes: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        return await self.await_ready(timeout_s)

    async def replicas(self) -> Mapping[str, str] | None:
        is_equal = asyncio.get_running_loop().time() >= self.equal_s
        return {"n1": "a", "n2": "a" if is_equal else "b"} if self.dumps else None


def ask(deployment: Deployment, f: str, value: Any = None) -> Completion:
    recovery = Recovery(deployment)  # type: ignore[arg-type]
    return clock.run(recovery.invoke(Invocation(f, value)), is_virtual=True)


def test_what_comes_is_told_with_how_long_it_took() -> None:
    told = ask(Deployment(ready_s=2), PROGRESS, {"nodes": ["n1"]})

    assert told.value == {
        "nodes": ["n1"],
        "leader": "n1",
        "waited_ms": 2000,
        "evidence": {"held": True},
    }
    assert told.error is None


@pytest.mark.parametrize("f", [PROGRESS, READY])
def test_what_does_not_come_is_told_with_what_is_missing(f: str) -> None:
    told = ask(Deployment(ready_s=99), f, {"nodes": ["n1"]})

    assert told.value["evidence"] == {"held": False}
    assert told.error == "nobody leads"


def test_replicas_may_catch_up() -> None:
    told = ask(Deployment(equal_s=3), COMPARE)

    assert told.value["evidence"] == {"held": True}
    assert told.value["replicas"] == {"n1": "a", "n2": "a"}


def test_replicas_that_differ_for_long_are_told() -> None:
    told = ask(Deployment(equal_s=999), COMPARE)

    assert told.value["evidence"] == {"held": False}
    assert told.error == "replicas differ 15 s after the last write"


def test_a_system_without_a_dump_is_skipped() -> None:
    told = ask(Deployment(dumps=False), COMPARE)

    assert told.value["evidence"] == {"held": None}
    assert told.error is None


def test_another_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected await-progress, await-ready or compare"):
        ask(Deployment(), "await-summer")
