"""
How a run is interrupted, when, and under which faults: drawn from a seed. Pure.

The ways come in turn, so that each is as often as the others; all else is chance.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dissever.nemesis import parse

FAULTS_MAX = 4
EPISODE_S = 2.5
"""The shortest episode of a plan: in this time a fault can strike and heal."""

STARTS = 0.25
"""The share of runs that are interrupted while they start; if they are fast, shortly after."""

START_S = {"namespaces": 2.0, "containers": 5.0}
END_S = {"namespaces": 2.0, "containers": 4.0}
"""Starting; healing, comparing and judging: how long they take, about."""


@dataclass(frozen=True)
class Way:
    """How a run is interrupted."""

    name: str
    number: signal.Signals
    is_group: bool = False
    times: int = 1
    again_s: float = 0.0
    """So long after the one before, while the harness is still there."""


WAYS: dict[str, tuple[Way, ...]] = {
    # What is raised where only a log hears of it ends no harness.
    "exception": (Way("exception", signal.SIGUSR1, times=9, again_s=10.0),),
    "ctrl-c": (
        Way("ctrl-c", signal.SIGINT, is_group=True),
        Way("ctrl-c twice", signal.SIGINT, is_group=True, times=2, again_s=0.3),
    ),
    "sigterm": (
        Way("sigterm", signal.SIGTERM),
        Way("sigterm to all", signal.SIGTERM, is_group=True),
    ),
    "sigkill": (
        Way("sigkill", signal.SIGKILL),
        Way("sigkill to all", signal.SIGKILL, is_group=True),
    ),
}


@dataclass(frozen=True)
class Trial:
    """What the seed settles of a run. `at_s` counts from its start, or from its first operation."""

    number: int
    way: Way
    is_at_start: bool
    at_s: float
    faults: tuple[str, ...]
    time_limit_s: float
    seed: int


def draw(
    number: int, faults: Sequence[str], *, seed: int, backend: str, within_s: float | None = None
) -> Trial:
    """
    What the seed settles of a run.

    Args:
        faults: Some of them are on.
        within_s: So long after the first operation at the latest; None: also while the run ends.
    """
    rng = Random(f"{seed}/{number}")
    way = rng.choice(tuple(WAYS.values())[number % len(WAYS)])
    chosen = _some(faults, rng)
    time_limit_s = 2 + EPISODE_S * len(chosen)
    is_at_start = rng.random() < STARTS
    late_s = within_s or time_limit_s + END_S[backend]
    most_s = START_S[backend] if is_at_start else late_s
    at_s = round(rng.uniform(0, most_s), 2)
    return Trial(number, way, is_at_start, at_s, chosen, time_limit_s, rng.getrandbits(31))


def _some(faults: Sequence[str], rng: Random) -> tuple[str, ...]:
    """A few that one plan may have together."""
    while True:
        chosen = tuple(rng.sample(faults, rng.randint(1, min(FAULTS_MAX, len(faults)))))
        with contextlib.suppress(ValueError):
            parse(chosen)
            return chosen
