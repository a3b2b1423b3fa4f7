"""Faults that wait for an event: they strike once it was seen, and say so when it was not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.missing import Missing
from dissever.harness.system import Snapshot
from dissever.nemesis import Triggered
from dissever.nemesis.plans.triggers import HOLD_LEAST_S

OWN, TAKEN, INSTALLED = Snapshot("a", False), Snapshot("b", False), Snapshot("c", True)


class Watched:
    """Shows what it is told to from some second on."""

    def __init__(self, *later: tuple[float, tuple[str, ...], Mapping[str, Any]]) -> None:
        self.states = ((0.0, ("n1",), {"n1": frozenset({OWN})}), *later)

    def _now(self) -> tuple[float, tuple[str, ...], Mapping[str, Any]]:
        now = asyncio.get_running_loop().time()
        return [state for state in self.states if state[0] <= now][-1]

    async def primaries(self) -> tuple[str, ...]:
        return self._now()[1]

    async def snapshots(self) -> Mapping[str, Any]:
        return self._now()[2]


class Spy:
    """A nemesis that notes what it is asked, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, Any]] = []

    def probe(self) -> Missing | None:
        return Missing("spy", "")

    async def invoke(self, invocation: Invocation) -> Completion:
        now = round(asyncio.get_running_loop().time(), 1)
        self.asked.append((now, invocation.f, invocation.value))
        await asyncio.sleep(0.5)
        return invocation.info(value={"evidence": {"held": True}})

    async def heal(self) -> None:
        self.asked.append((0.0, "heal", None))


def play(watched: Watched, *steps: tuple[str, Any]) -> tuple[Spy, list[Completion]]:
    spy = Spy()
    nemesis = Triggered(spy, watched)

    async def main() -> list[Completion]:
        return [await nemesis.invoke(Invocation(f, value, process="kill")) for f, value in steps]

    return spy, clock.run(main(), is_virtual=True)


def after(event: str) -> dict[str, Any]:
    return {"after": {"event": event, "within_s": 10}}


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("leader-changed", (("n1", "n2"), {})),
        ("leaderless", ((), {})),
        ("snapshot-taken", (("n1",), {"n1": frozenset({OWN, TAKEN})})),
        ("snapshot-installed", (("n1",), {"n1": frozenset({OWN}), "n2": frozenset({INSTALLED})})),
    ],
)
def test_it_comes_once_the_event_was_seen(event: str, state: Any) -> None:
    spy, (done,) = play(Watched((3.0, *state)), ("kill", {"spec": "one", **after(event)}))

    assert spy.asked == [(3.0, "kill", {"spec": "one"})]
    assert done.value["awaited"]["seen"] is True
    assert 2900 <= done.value["awaited"]["waited_ms"] <= 3100
    assert done.error is None


@pytest.mark.parametrize("event", ["leader-changed", "leaderless", "snapshot-installed"])
def test_what_looks_alike_is_no_event(event: str) -> None:
    looks_alike = (1.0, ("n1",), {"n1": frozenset({OWN, TAKEN})})
    spy, (done,) = play(Watched(looks_alike), ("kill", {"spec": "one", **after(event)}))

    assert [at for at, _, _ in spy.asked] == [10.0]
    assert done.value["awaited"]["seen"] is False
    assert f"{event} was not seen within 10" in done.error


def test_an_event_counts_from_the_last_injection_of_the_process() -> None:
    spy, _ = play(
        Watched((0.2, ("n2",), {})), ("kill", {"spec": "one"}), ("start", after("leader-changed"))
    )

    assert [f for _, f, _ in spy.asked] == ["kill", "start"]
    assert spy.asked[1][0] < 1.0


def test_a_healing_comes_so_long_after_what_came_before() -> None:
    spy, _ = play(Watched(), ("kill", {"spec": "one"}), ("start", {"hold_s": 2.0}))

    assert spy.asked == [(0.0, "kill", {"spec": "one"}), (2.5, "start", None)]


def test_all_else_is_passed_on() -> None:
    spy = Spy()
    nemesis = Triggered(spy, Watched())

    assert nemesis.probe() == Missing("spy", "")
    clock.run(nemesis.heal(), is_virtual=True)
    assert spy.asked == [(0.0, "heal", None)]


def test_an_event_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a trigger .*got 'dawn'"):
        play(Watched(), ("kill", after("dawn")))


def test_a_fault_is_in_force_for_a_while_though_its_healing_is_due_at_once() -> None:
    spy, _ = play(Watched(), ("kill", {"spec": "one"}), ("start", None), ("start", None))

    assert [at_s for at_s, *_ in spy.asked] == [0.0, 0.5 + HOLD_LEAST_S, 1.0 + HOLD_LEAST_S]
