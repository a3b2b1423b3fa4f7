"""Faults that wait for an event: they strike once it was seen, and say so when it was not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.missing import Missing
from dissever.harness.system import Snapshot
from dissever.nemesis import Triggered
from dissever.nemesis.plans.triggers import HOLD_LEAST_S, wish

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


def wait_for(event: str, **more: Any) -> dict[str, Any]:
    return {"after": {"event": event, "within_s": 10, **more}}


def test_the_second_time_counts_from_when_the_waiting_began() -> None:
    changes = ((1.0, ("n2",), {}), (2.0, (), {}), (3.0, ("n3",), {}))
    spy, (done,) = play(Watched(*changes), ("kill", wait_for("leader-changed", number=2)))

    assert [at for at, *_ in spy.asked] == [3.0]
    assert done.value["awaited"]["seen"] is True


def test_a_state_that_lasts_has_come_once() -> None:
    spy, (done,) = play(Watched((1.0, (), {})), ("kill", wait_for("leaderless", number=2)))

    assert [at for at, *_ in spy.asked] == [10.0]
    assert done.value["awaited"]["seen"] is False


def test_it_comes_with_its_delay_once_the_event_was_seen() -> None:
    wish = wait_for("leader-changed", delay_s=1.5)
    spy, _ = play(Watched((1.0, ("n2",), {})), ("kill", wish))

    assert [at for at, *_ in spy.asked] == [2.5]


def test_operations_that_did_not_come_are_reported_with_the_time_they_had() -> None:
    late = {"after": {"event": "operations", "within_s": 0, "waited_ms": 700}}
    _, (done,) = play(Watched(), ("kill", {"spec": "one", **late}))

    assert done.error == "operations was not seen within 700 ms"


class Logging(Watched):
    """A cluster of one node, which logs lines at certain times."""

    nodes = ("n1",)

    def __init__(self, folder: Path, *lines: tuple[float, str]) -> None:
        super().__init__()
        self.cluster = self
        self._folder = folder
        self._lines = lines

    def directory(self, node: str) -> Path:
        now = asyncio.get_running_loop().time()
        text = "".join(line for at_s, line in self._lines if at_s <= now)
        (self._folder / "stdout.log").write_text(text)
        return self._folder


def test_it_comes_once_a_node_logs_a_line(tmp_path: Path) -> None:
    lines = (
        (0.0, "became leader\n"),
        (1.0, "became foll"),
        (1.5, "ower\n"),
        (3, "became leader\n"),
    )
    wishes = {"became leader": 3.0, "became follower": 1.5, "became mad": 10.0}
    for text, at_s in wishes.items():
        spy, _ = play(Logging(tmp_path, *lines), ("kill", wait_for("log-line", text=text)))

        assert [at for at, *_ in spy.asked] == [at_s]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("dawn", "expected a trigger out of .*got 'dawn'"),
        ({"event": "dawn"}, "expected event as one of .*got 'dawn'"),
        ({"number": 1}, "expected an event out of leader-changed"),
        ({"event": "leaderless", "number": 0}, "expected number from 1 to 1,000,000, got 0"),
        ({"event": "leaderless", "delay": -1}, "expected delay from 0 to 86400 seconds, got -1"),
        ({"event": "leaderless", "key": 1}, "expected key with operations, got it with leaderless"),
        ({"event": "log-line"}, "expected the text of a log line, got none"),
        ({"event": "operations", "colour": 1}, "expected a field out of event, number, delay"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(said: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        wish(said, 10)


def test_a_wish_is_a_name_or_says_more() -> None:
    assert wish("leaderless", 3) == {"event": "leaderless", "within_s": 3}
    assert wish({"event": "operations", "key": 3, "number": 17, "delay": 0.5}, 3) == {
        "event": "operations",
        "key": 3,
        "number": 17,
        "delay_s": 0.5,
        "within_s": 3,
    }
