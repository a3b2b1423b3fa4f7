"""What a workload is: operations, the client that applies them, the checkers that judge them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.harness.client import Client
from dissever.harness.generator.keys import key_of
from dissever.harness.history import Event, Key
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.results import Checker
from dissever.workloads.method_client import MethodClient

FINAL_TRIES: Final = 5
"""How often a read at the end is tried until it is answered."""


def chosen(options: Options, declared: Mapping[str, Option], name: str) -> Any:
    """The value of a workload's option; its default in runs that were planned without it."""
    value = options.workload_options.get(name)
    return declared[name].default if value is None else value


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One workload. It never knows which system it drives.

    `operations` gives what clients do for as long as the run lasts, at any pace; `final` what they
    do once everything is healed, given the keys that were used: by default nothing. `checkers` are
    by name; the first is the workload's own. `options` are its own, by name.

    `store` names what it asks of a system, and any system that has such a store can serve it.
    `methods` are those that it calls: any system whose clients have them can serve it, too, and any
    whose clients have the one method `whole`, if it has a name.
    `client` makes a client of the store: by default one that calls the method of each operation's
    name (`method_client.py`).
    """

    description: str
    operations: Callable[[Options], Any]
    checkers: Callable[[Options], Mapping[str, Checker]]
    store: str = ""
    methods: tuple[str, ...] = ()
    whole: str = ""
    final: Callable[[Options, tuple[Key, ...]], Any] = lambda *_: ()
    keys: Callable[[Event], Iterable[Key]] = key_of
    client: Callable[[Any], Client] = MethodClient
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.store and not self.methods:
            raise ValueError("expected the store of a workload, or the methods it calls, got none")
