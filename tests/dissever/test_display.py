"""What the live panel says of nodes and faults."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dissever.display import HEARTBEAT_S, Display
from dissever.harness.episodes import Action, Effect, Role
from dissever.harness.history import Event, Type
from dissever.harness.plan import Options, Plan
from dissever.harness.waiting import Wait
from dissever.harness.watch import Down

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
    display.phase("running")
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
        (1, "up 2/3 (n1 paused)  deposed-leader leader n1", "n1 (paused)", "killed"),
        (2, "up 3/3  deposed-leader leader n1", "n1 n2 n3", "paused"),
        (3, "up 3/3", "n1 n2 n3", "deposed"),
        (4, "up 2/3 (n2 killed)  kill one n2", "n2 (killed)", "deposed"),
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
    display.phase("running")
    act(display)
    with display:
        pass
    return output.getvalue()


def test_a_node_that_crashed_is_shown_as_down() -> None:
    shown = _shown(lambda display: display.down({"n2": Down.CRASHED}))

    assert "up 2/3  crashed n2" in shown
    assert "n2 (crashed)" in shown


def test_a_node_that_came_back_is_not() -> None:
    def act(display: Display) -> None:
        display.down({"n2": Down.CRASHED})
        display.down({})

    assert "up 3/3" in _shown(act)
    assert "crashed" not in _shown(act)


def test_a_cluster_that_is_dead_is_said_to_be() -> None:
    def act(display: Display, *, at_s: int) -> None:
        display.event(Event(0, 1_000_000_000, 1, Type.OK, "read"))
        display.event(Event(1, at_s * 1_000_000_000, 1, Type.INFO, "read"))

    assert "nothing has succeeded for 69 s" in _shown(lambda display: act(display, at_s=70))
    assert "nothing has succeeded" not in _shown(lambda display: act(display, at_s=60))


def test_a_node_that_was_killed_and_did_not_start_again_is_down() -> None:
    options = Options(system="simulated", workload="register", nodes=("n1", "n2", "n3"))
    plan = Plan(options=options, command="", started="", actions=ACTIONS)
    output = io.StringIO()
    display = Display(plan, Console(file=output, width=160), is_quiet=False)
    display.phase("running")
    display.event(Event(0, 0, 1, Type.INVOKE, "read"))
    kill = {"targets": ["n2"]}
    for index, (f, value) in enumerate((("kill", kill), ("start", kill)), 1):
        display.event(Event(2 * index, index, "kill", Type.INVOKE, f))
        display.event(Event(2 * index + 1, index, "kill", Type.INFO, f, value))
    display.down({"n2": Down.ENDED})
    display.look()

    assert "up 2/3" in output.getvalue()


class Pipe:
    """What a run prints on a pipe; the machine's clock is `now_s`."""

    def __init__(self, time_limit_s: float = 180.0) -> None:
        options = Options(
            system="dqlite",
            workload="register",
            nodes=("n1", "n2", "n3"),
            rate=0.1,
            time_limit_s=time_limit_s,
        )
        plan = Plan(options=options, command="", started="", actions=ACTIONS)
        self.now_s = 100.0
        self._output = io.StringIO()
        self.display = Display(
            plan,
            Console(file=self._output, width=160),
            is_quiet=False,
            now_s=lambda: self.now_s,
        )

    def go_on(self, seconds: int) -> list[str]:
        """The lines that are printed meanwhile, as the ticker looks once a second."""
        begin = len(self._output.getvalue())
        for _ in range(seconds):
            self.now_s += 1
            self.display.look()
        return self._output.getvalue()[begin:].splitlines()

    def run(self) -> None:
        self.display.phase("running")
        self.display.event(Event(0, 0, 1, Type.INVOKE, "read"))


def test_a_pipe_gets_a_line_for_a_change_and_no_other_but_a_heartbeat() -> None:
    pipe = Pipe()
    pipe.run()

    assert len(pipe.go_on(int(HEARTBEAT_S) - 1)) == 0
    assert len(pipe.go_on(1)) == 1
    pipe.display.down({"n2": Down.CRASHED})
    assert ["crashed n2" in line for line in pipe.go_on(9)] == [True]


def test_the_clock_moves_while_nothing_is_recorded() -> None:
    pipe = Pipe()
    pipe.run()

    assert [line[:14] for line in pipe.go_on(30)] == [
        " 10.0 s of 180",
        " 20.0 s of 180",
        " 30.0 s of 180",
    ]


def test_a_wait_is_said_with_its_own_clock_and_limit() -> None:
    pipe = Pipe(time_limit_s=5)
    pipe.display.phase("starting the nodes")
    pipe.display.waits(Wait("waiting for a leader", 30))

    assert pipe.go_on(12) == [
        "waiting for a leader, 1 of 30 s",
        "waiting for a leader, 11 of 30 s",
    ]


def test_after_the_time_limit_the_run_says_what_it_does() -> None:
    pipe = Pipe(time_limit_s=5)
    pipe.run()
    pipe.go_on(5)
    pipe.display.waits(Wait("comparing the replicas of n1, n2, n3", 40))

    (line,) = pipe.go_on(3)

    assert line.startswith("comparing the replicas of n1, n2, n3, 1 of 40 s  up 3/3")
    assert "of 5" not in line


def test_a_wait_that_ends_gives_way_to_what_goes_on() -> None:
    pipe = Pipe(time_limit_s=5)
    pipe.run()
    pipe.display.waits(Wait("healing", 40))
    pipe.go_on(7)
    pipe.display.waits(None)

    assert [line[:14] for line in pipe.go_on(1)] == ["finishing, 3 s"]


def test_faults_that_heal_one_after_the_other_in_the_end_are_one_line() -> None:
    pipe = Pipe(time_limit_s=5)
    pipe.run()
    at_n1 = {"targets": ["n1"]}
    for fault in ("a", "b"):
        pipe.display.event(Event(0, 0, fault, Type.INVOKE, f"start-{fault}"))
        pipe.display.event(Event(0, 0, fault, Type.INFO, f"start-{fault}", at_n1))
    pipe.go_on(6)
    pipe.display.event(Event(1, 6_000_000_000, "b", Type.INVOKE, "stop-b"))
    pipe.display.event(Event(1, 6_000_000_000, "b", Type.INFO, "stop-b", at_n1))

    assert pipe.go_on(3) == []


def test_a_rate_that_is_not_reached_is_said_with_what_would_help() -> None:
    options = Options(system="simulated", workload="register", concurrency=1, rate=100)
    plan = Plan(options=options, command="", started="", actions={})
    output = io.StringIO()
    with Display(plan, Console(file=output, width=200), is_quiet=False) as display:
        for number in range(100):
            display.event(Event(0, number * 50_000_000, 1, Type.INVOKE, "read"))
            display.event(Event(0, number * 50_000_000 + 49_000_000, 1, Type.OK, "read"))

    assert output.getvalue() == (
        "note: rate 20/s of 100 asked: clients are busy; use --concurrency 10\n"
    )


def test_four_faults_in_force_are_three_and_one_more() -> None:
    pipe = Pipe()
    pipe.run()
    for index, fault in enumerate(("a", "b", "c", "d"), 1):
        pipe.display.event(Event(index, index, fault, Type.INVOKE, f"start-{fault}"))
        report = {"targets": ["n1", "n2", "n3", "n4"]}
        pipe.display.event(Event(index, index, fault, Type.INFO, f"start-{fault}", report))

    (line,) = pipe.go_on(1)

    assert line.endswith(
        "; ".join(f"{fault} n1, n2, n3 and 1 more" for fault in "abc") + "; and 1 more"
    )
