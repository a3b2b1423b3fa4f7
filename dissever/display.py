"""
What a person sees while a run goes on: a live panel on a terminal, lines on a pipe.

On a pipe a line says what changed: what the run does, the faults in force, the nodes that are up.
Without a change there is a line every HEARTBEAT_S, so that a server does not take the run for dead.
The clock moves with the machine's on real nodes, also while nothing is recorded.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dissever.harness.episodes import Effect, Episode, episodes_of, report_of
from dissever.harness.history import Event, History, Type
from dissever.harness.pace import Pace
from dissever.harness.plan import Plan
from dissever.harness.values import listed
from dissever.harness.waiting import Wait
from dissever.harness.watch import Down, Silence

__all__ = ["HEARTBEAT_S", "Display"]

REFRESHES_PER_S: Final = 4

LOOK_EVERY_S: Final = 1.0
"""How often a pipe may get a line, and over what time rates are measured."""

HEARTBEAT_S: Final = 10.0
"""The longest time without a line on a pipe."""

RUNNING: Final = "running"
"""The phase in which operations are invoked."""

HEALING: Final = "healing the faults"
FINISHING: Final = "finishing"

COLOURS: Final = {Type.OK: "green", Type.FAIL: "yellow", Type.INFO: "magenta"}


@dataclass(frozen=True, slots=True)
class _State:
    """What a pipe gets a line for when it changes."""

    doing: str = ""
    faults: tuple[str, ...] = ()
    down: tuple[tuple[str, str], ...] = ()
    is_dead: bool = False


class Display:
    """
    Implements the runner's `Observer`, `SeesNodes` and `SeesWaits`.

    Use it with `with`; it prints to stderr.
    """

    def __init__(
        self,
        plan: Plan,
        console: Console,
        *,
        is_quiet: bool,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now_s`: the clock of the machine."""
        self._plan = plan
        self._console = console
        self._is_quiet = is_quiet
        self._now_s = now_s
        self._phase = "preparing"
        self._wait: Wait | None = None
        self._since_s = now_s()
        """When what the run does now began."""
        self._origin_s: float | None = None
        self._counts: Counter[Type] = Counter()
        self._before: Counter[Type] = Counter()
        self._rates: dict[Type, float] = {}
        self._looked_s = now_s()
        self._now_ns = 0
        self._faults: list[Event] = []
        self._in_force: tuple[str, ...] = ()
        self._struck: Mapping[str, Effect] = {}
        self._ended: Mapping[str, Down] = {}
        self._silence = Silence()
        self._pace = Pace(plan.options)
        self._printed = _State()
        self._printed_s = now_s()
        self._is_over = threading.Event()
        self._live: Live | None = None
        self._ticker: threading.Thread | None = None

    # Observer, SeesWaits, SeesNodes.

    def phase(self, name: str) -> None:
        self._phase, self._wait, self._since_s = name, None, self._now_s()
        if self._live is None and not self._is_quiet:
            self._console.print(f"{name} …", style="bold", highlight=False)
            self._printed, self._printed_s = replace(self._printed, doing=name), self._now_s()

    def waits(self, wait: Wait | None) -> None:
        self._wait, self._since_s = wait, self._now_s()

    def event(self, event: Event) -> None:
        self._now_ns = event.time
        if self._origin_s is None:
            self._origin_s = self._now_s() - event.time / 1e9
        self._silence.hear(event)
        self._pace.hear(event)
        if isinstance(event.process, int):
            if event.type is not Type.INVOKE:
                self._counts[event.type] += 1
        else:
            self._fault(event)

    def down(self, nodes: Mapping[str, Down]) -> None:
        self._ended = nodes

    def _fault(self, event: Event) -> None:
        """Take in an event of a nemesis; there are few, so all are paired again."""
        self._faults.append(event)
        found = episodes_of(History(tuple(self._faults)), self._plan.actions)
        self._in_force = tuple(
            _words(injection, each)
            for each in found.episodes
            if each.is_strike and each.healing is None and (injection := report_of(each.injection))
        )
        self._struck = found.down

    # Drawing.

    def __enter__(self) -> Self:
        if self._is_quiet:
            return self
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._panel,
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
            )
            self._live.start()
        else:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._live is not None:
            self._live.stop()
        if self._ticker is not None:
            self._ticker.join()
        if self._pace.lack and not self._is_quiet:
            self._console.print(f"note: {self._pace.lack}", highlight=False, soft_wrap=True)

    def _tick(self) -> None:
        while not self._is_over.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        """Print a line if one is due."""
        self._measure()
        state = self._state()
        if state == self._printed and self._now_s() - self._printed_s < HEARTBEAT_S:
            return
        self._printed, self._printed_s = state, self._now_s()
        self._console.print(self._line(), highlight=False, soft_wrap=True)

    def _state(self) -> _State:
        # In the end many faults heal one after the other: that is one change.
        faults = self._in_force if self._doing == RUNNING else ()
        return _State(self._doing, faults, tuple(self._down.items()), self._silence.is_dead)

    @property
    def _doing(self) -> str:
        """What the run does, in words."""
        if self._wait is not None:
            return self._wait.what
        if self._phase != RUNNING or self._elapsed_s <= self._plan.options.time_limit_s:
            return self._phase
        return HEALING if self._in_force else FINISHING

    @property
    def _down(self) -> dict[str, str]:
        """Node -> why it is not up. The faults know what they did, the cluster what came of it."""
        return {
            node: str(why)
            for node in self._plan.options.nodes
            if (why := self._struck.get(node) or self._ended.get(node)) is not None
        }

    @property
    def _elapsed_s(self) -> float:
        """Since the run began, on its own clock."""
        recorded_s = self._now_ns / 1e9
        if self._origin_s is None or self._plan.options.backend.is_virtual:
            return recorded_s
        return max(recorded_s, self._now_s() - self._origin_s)

    def _measure(self) -> None:
        now_s = self._now_s()
        passed_s = now_s - self._looked_s
        if passed_s >= LOOK_EVERY_S * 0.9:
            counts = Counter(self._counts)
            self._rates = {
                type_: (counts[type_] - self._before[type_]) / passed_s for type_ in COLOURS
            }
            self._before, self._looked_s = counts, now_s

    @property
    def _clock(self) -> str:
        """What the run does, and how long of how long."""
        limit_s = self._plan.options.time_limit_s
        if self._doing == RUNNING:
            return f"{self._elapsed_s:5.1f} s of {limit_s:g}"
        passed_s = self._now_s() - self._since_s
        if self._wait is None and self._phase == RUNNING:
            passed_s = self._elapsed_s - limit_s
        wait_s = None if self._wait is None else self._wait.limit_s
        if self._plan.options.backend.is_virtual and self._phase == RUNNING:
            return self._doing  # Its limit is of another clock.
        of = "" if wait_s is None else f" of {wait_s:g}"
        return f"{self._doing}, {passed_s:.0f}{of} s"

    def _line(self) -> Text:
        line = Text(self._clock)
        if self._phase != RUNNING:
            return line
        doing = self._doing
        if doing in (RUNNING, FINISHING):
            for type_, colour in COLOURS.items():
                rate = self._rates.get(type_, 0.0)
                number = f"  {type_.value} {self._counts[type_]:,} ({rate:,.0f}/s)"
                line.append(number, style=colour)
        self._append_state(line)
        if doing == RUNNING and self._pace.lack:
            line.append(f"  {self._pace.lack}", style="yellow")
        return line

    def _append_state(self, line: Text) -> None:
        """Who is up, what is wrong, and the faults in force."""
        nodes, down = self._plan.options.nodes, self._down
        line.append(f"  up {len(nodes) - len(down)}/{len(nodes)}")
        crashed = [node for node, why in down.items() if why == Down.CRASHED]
        others = [f"{node} {why}" for node, why in down.items() if why != Down.CRASHED]
        if others:
            line.append(f" ({listed(others)})")
        if crashed:
            line.append(f"  crashed {listed(crashed)}", style="bold red")
        if self._silence.is_dead:
            silent_s = self._elapsed_s - self._silence.since_ns / 1e9
            line.append(f"  nothing has succeeded for {silent_s:.0f} s", style="bold red")
        if self._in_force:
            line.append(f"  {listed(self._in_force, '; ')}", style="bold red")

    def _panel(self) -> Group:
        self._measure()
        if self._phase != RUNNING:
            return Group(Text(self._clock, style="bold"))
        if self._doing != RUNNING:
            return Group(self._line(), self._nodes())
        share = min(1.0, self._elapsed_s / self._plan.options.time_limit_s)
        width = max(10, min(60, self._console.width - 30))
        bar = "━" * round(width * share)
        head = Text(f"{self._phase}  ", style="bold")
        head.append(bar, style="cyan").append("─" * (width - len(bar)), style="dim")
        return Group(head, self._line(), self._nodes())

    def _nodes(self) -> Text:
        line, down = Text("nodes  "), self._down
        for node in self._plan.options.nodes:
            state = down.get(node)
            line.append(f"{node} ", style="red" if state else "green")
            if state:
                line.append(f"({state}) ", style="red")
        return line


def _words(injection: Event, episode: Episode) -> str:
    """A fault in force, whom it was aimed at, and whom it struck."""
    value = injection.value if isinstance(injection.value, dict) else {}
    spec = str(value.get("spec") or "")
    targets = "" if spec == "all" else listed(episode.targets)
    return " ".join(part for part in (episode.fault, spec, targets) if part)
