"""What the live panel says of nodes and faults."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dissever.display import Display
from dissever.harness.episodes import Action, Effect, Role
from dissever.harness.history import Event, Type
from dissever.harness.plan import Options, Plan

ACTIONS = {
    "deposed-leader": {
        "start-deposed-leader": Action(Role.INJECT, Effect.PAUSED),
        "resume-deposed-leader": Action(Role.CONTINUE, Effect.RESUMED),
        "stop-deposed-leader": Action(Role.HEAL),
    }
}
AT_N1 = {"spec": "leader", "targets": ["n1"]}
FAULTS = (
    ("deposed-leader", "start-deposed-leader", AT_N1),
    ("deposed-leader", "resume-deposed-leader", AT_N1),
    ("deposed-leader", "stop-deposed-leader", AT_N1),
    ("kill", "kill", {"spec": "one", "targets": ["n2"]}),
    ("kill", "start", {"targets": ["n2"]}),
)


def panel_after(count: int, last: Type = Type.INFO) -> str:
    """The panel after so many operations of FAULTS; `last` is the last event's type."""
    options = Options(system="simulated", workload="register", nodes=("n1", "n2", "n3"))
    plan = Plan(options=options, command="", started="", actions=ACTIONS)
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=160, color_system=None)
    display = Display(plan, console, is_quiet=False)
    events: list[tuple[Any, ...]] = []
    for process, f, value in FAULTS[:count]:
        events += [(process, Type.INVOKE, f), (process, Type.INFO, f, value)]
    for index, event in enumerate(events if last is Type.INFO else events[:-1]):
        display.event(Event(index, index, *event))
    with display:
        pass
    return output.getvalue()


@pytest.mark.parametrize(
    ("count", "up", "shown", "hidden"),
    [
        (0, "up 3/3", "n1 n2 n3", "deposed"),
        (1, "up 2/3  deposed-leader leader n1", "n1 (paused)", "killed"),
        (2, "up 3/3  deposed-leader leader n1", "n1 n2 n3", "paused"),
        (3, "up 3/3", "n1 n2 n3", "deposed"),
        (4, "up 2/3  kill one n2", "n2 (killed)", "deposed"),
        (5, "up 3/3", "n1 n2 n3", "kill"),
    ],
)
def test_panel_shows_what_is_in_force_and_who_is_down(
    count: int, up: str, shown: str, hidden: str
) -> None:
    panel = panel_after(count)

    assert up in panel
    assert shown in panel
    assert hidden not in panel


def test_fault_is_in_force_once_its_injection_completed() -> None:
    assert "kill" not in panel_after(4, last=Type.INVOKE)


def test_fault_is_in_force_until_its_healing_completed() -> None:
    assert "kill one n2" in panel_after(5, last=Type.INVOKE)


def _shown(act: Any) -> str:
    options = Options(system="simulated", workload="register", nodes=("n1", "n2", "n3"))
    plan = Plan(options=options, command="", started="", actions=ACTIONS)
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=160, color_system=None)
    display = Display(plan, console, is_quiet=False)
    act(display)
    with display:
        pass
    return output.getvalue()


def test_a_node_that_crashed_is_shown_as_down() -> None:
    shown = _shown(lambda display: display.crashed(frozenset({"n2"})))

    assert "up 2/3  crashed n2" in shown
    assert "n2 (crashed)" in shown


def test_a_node_that_came_back_is_not() -> None:
    def act(display: Display) -> None:
        display.crashed(frozenset({"n2"}))
        display.crashed(frozenset())

    assert "up 3/3" in _shown(act)
    assert "crashed" not in _shown(act)


def test_a_cluster_that_is_dead_is_said_to_be() -> None:
    def act(display: Display, *, at_s: int) -> None:
        display.event(Event(0, 1_000_000_000, 1, Type.OK, "read"))
        display.event(Event(1, at_s * 1_000_000_000, 1, Type.INFO, "read"))

    assert "nothing has succeeded for 69 s" in _shown(lambda display: act(display, at_s=70))
    assert "nothing has succeeded" not in _shown(lambda display: act(display, at_s=60))
