"""How long a run takes to start, and what it waits for until it does."""

from __future__ import annotations

from collections.abc import Callable

from dissever.harness.plan import Start, Waited
from dissever.harness.waiting import Hear, Wait

__all__ = ["Stopwatch"]


class Stopwatch:
    """
    Runs from its making until `stop`, and hears what is waited for.

    Of waits inside others only the innermost counts, so their sum is at most the whole.
    """

    def __init__(self, now_ns: Callable[[], int], hear: Hear) -> None:
        self._now_ns = now_ns
        self._hear = hear
        self._began_ns = self._since_ns = now_ns()
        self._wait: Wait | None = None
        self._waited_ns: dict[str, int] = {}
        self.start: Start | None = None

    def hear(self, wait: Wait | None) -> None:
        """Something else is waited for now; whoever watches the run hears it too."""
        if self.start is None:
            self._turn(wait)
        self._hear(wait)

    def stop(self) -> None:
        """The first operation comes now; what is waited for later is not of the start."""
        self._turn(None)
        waits = tuple(Waited(what, took_ns) for what, took_ns in self._waited_ns.items())
        self.start = Start(self._now_ns() - self._began_ns, waits)

    def _turn(self, wait: Wait | None) -> None:
        now_ns = self._now_ns()
        if self._wait is not None:
            before_ns = self._waited_ns.get(self._wait.what, 0)
            self._waited_ns[self._wait.what] = before_ns + now_ns - self._since_ns
        self._wait, self._since_ns = wait, now_ns
