"""What a workload is: operations, the client that applies them, the checkers that judge them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dissever.harness.client import Client
from dissever.harness.history import Key
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.results import Checker


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One workload. It never knows which system it drives.

    `store` names what it asks of a system, and any system that has such a store can serve it.
    `client` makes a client of that store. `operations` gives what clients do for as long as the run
    lasts, at any pace; `final` what they do once everything is healed, given the keys that were
    used. `checkers` are by name; the first is the workload's own. `options` are its own, by name.
    """

    description: str
    store: str
    operations: Callable[[Options], Any]
    final: Callable[[Options, tuple[Key, ...]], Any]
    client: Callable[[Any], Client]
    checkers: Mapping[str, Checker]
    options: Mapping[str, Option] = field(default_factory=dict)
