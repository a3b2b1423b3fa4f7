"""What a person sees while a run goes on: a live panel on a terminal, a line a second on a pipe."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dissever.harness.episodes import Effect, Episode, episodes_of, report_of
from dissever.harness.history import Event, History, Type
from dissever.harness.plan import Plan
from dissever.harness.watch import Silence

REFRESHES_PER_S = 4
LINE_EVERY_S = 1.0

COLOURS = {Type.OK: "green", Type.FAIL: "yellow", Type.INFO: "magenta"}


class Display:
    """Implements the runner's `Observer`. Use it with `with`; it prints to stderr."""

    def __init__(self, plan: Plan, console: Console, *, is_quiet: bool) -> None:
        self._plan = plan
        self._console = console
        self._is_quiet = is_quiet
        self._phase = "preparing"
        self._counts: Counter[Type] = Counter()
        self._before: Counter[Type] = Counter()
        self._rates: dict[Type, float] = {}
        self._looked = time.monotonic()
        self._now_ns = 0
        self._faults: list[Event] = []
        self._in_force: list[str] = []
        self._down: dict[str, Effect] = {}
        self._crashed: frozenset[str] = frozenset()
        self._silence = Silence()
        self._is_over = threading.Event()
        self._live: Live | None = None
        self._ticker: threading.Thread | None = None

    # Observer.

    def phase(self, name: str) -> None:
        self._phase = name
        if self._live is None and not self._is_quiet:
            self._console.print(f"{name} …", style="bold", highlight=False)

    def event(self, event: Event) -> None:
        self._now_ns = event.time
        self._silence.hear(event)
        if isinstance(event.process, int):
            if event.type is not Type.INVOKE:
                self._counts[event.type] += 1
        else:
            self._fault(event)

    def crashed(self, nodes: frozenset[str]) -> None:
        self._crashed = nodes

    def _fault(self, event: Event) -> None:
        """Take in an event of a nemesis; there are few, so all are paired again."""
        self._faults.append(event)
        found = episodes_of(History(tuple(self._faults)), self._plan.actions)
        self._in_force = [
            _words(injection, each)
            for each in found.episodes
            if each.healing is None and (injection := report_of(each.injection))
        ]
        self._down = found.down

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

    def _tick(self) -> None:
        while not self._is_over.wait(LINE_EVERY_S):
            if self._phase == "running":
                self._console.print(self._line(), highlight=False, soft_wrap=True)

    def _measure(self) -> None:
        now = time.monotonic()
        passed = now - self._looked
        if passed >= LINE_EVERY_S * 0.9:
            counts = Counter(self._counts)
            self._rates = {
                type_: (counts[type_] - self._before[type_]) / passed for type_ in COLOURS
            }
            self._before, self._looked = counts, now

    def _line(self) -> Text:
        self._measure()
        elapsed = self._now_ns / 1e9
        line = Text(f"{elapsed:5.1f} s of {self._plan.options.time_limit_s:g}  ")
        for type_, colour in COLOURS.items():
            rate = self._rates.get(type_, 0.0)
            line.append(f"{type_.value} {self._counts[type_]:,} ({rate:,.0f}/s)  ", style=colour)
        nodes = self._plan.options.nodes
        up = [node for node in nodes if node not in self._down and node not in self._crashed]
        line.append(f"up {len(up)}/{len(nodes)}")
        if crashed := sorted(self._crashed.difference(self._down)):
            line.append(f"  crashed {', '.join(crashed)}", style="bold red")
        if self._silence.is_dead:
            silent_s = (self._now_ns - self._silence.since_ns) / 1e9
            line.append(f"  nothing has succeeded for {silent_s:.0f} s", style="bold red")
        if self._in_force:
            line.append("  " + "; ".join(self._in_force), style="bold red")
        return line

    def _panel(self) -> Group:
        share = min(1.0, self._now_ns / 1e9 / self._plan.options.time_limit_s)
        width = max(10, min(60, self._console.width - 30))
        bar = "━" * round(width * share)
        head = Text(f"{self._phase}  ", style="bold")
        head.append(bar, style="cyan").append("─" * (width - len(bar)), style="dim")
        return Group(head, self._line(), self._nodes())

    def _nodes(self) -> Text:
        line = Text("nodes  ")
        for node in self._plan.options.nodes:
            state = self._down.get(node) or ("crashed" if node in self._crashed else None)
            line.append(f"{node} ", style="red" if state else "green")
            if state:
                line.append(f"({state}) ", style="red")
        return line


def _words(injection: Event, episode: Episode) -> str:
    """A fault in force, whom it was aimed at, and whom it struck."""
    value = injection.value if isinstance(injection.value, dict) else {}
    parts = (episode.fault, str(value.get("spec") or ""), *episode.targets)
    return " ".join(part for part in parts if part)
