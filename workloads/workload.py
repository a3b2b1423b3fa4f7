"""What a workload is: operations, who applies them, and which checkers judge what came back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dissever.harness.client import Client
from dissever.harness.history import Key
from dissever.harness.plan import Options
from dissever.harness.results import Checker


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One workload. It never knows which system it drives.

    `operations` gives what clients do for as long as the run lasts, at any pace; `final` what they
    do once everything is healed, given the keys that were used. `client` makes a client of a
    system's store. `checkers` are by name, the first is the workload's own.
    """

    description: str
    operations: Callable[[Options], Any]
    final: Callable[[Options, tuple[Key, ...]], Any]
    client: Callable[[Any], Client]
    checkers: Callable[[Options], Mapping[str, Checker]]
