"""What faults with settings of their own have in common: whom an injection strikes, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from dissever.harness.client import Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.system import Members, Primaries
from dissever.nemesis.nodes.down import Down, aim, sight
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["Insight", "Sight", "Sights"]


@dataclass(frozen=True, slots=True)
class Insight:
    """
    Who can say whom a target means; None for a system that has no such thing.

    `seed`: of the run; for invocations that bring none of their own.
    """

    primaries: Primaries | None
    members: Members | None
    seed: int


@dataclass(frozen=True, slots=True)
class Sight:
    """
    Whom to strike, and how.

    `notes` says, for the history, where the request was not followed to the letter. `settings` are
    those of the fault itself, such as for how long.
    """

    spec: str
    targets: tuple[str, ...]
    notes: Mapping[str, str]
    settings: Mapping[str, Any]


class Sights:
    """Reads the injections of one fault."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        fault: str,
        insight: Insight,
        settings: Mapping[str, Any],
        down: Down | None = None,
    ) -> None:
        """
        Make what reads them.

        Args:
            settings: The fault's own, each with what counts when an injection does not say.
            down: For a fault that takes nodes down: whom it strikes is entered.
        """
        self._cluster = cluster
        self._fault = fault
        self._insight = insight
        self._settings = settings
        self._down = down
        self._count = 0

    async def take(self, invocation: Invocation, struck: Collection[str] = ()) -> Sight:
        """
        Choose whom to strike among the nodes that run and are not struck already.

        Raises:
            ValueError: When the value has a key that means nothing, or names what there is not.
        """
        self._count += 1
        stream = f"{self._insight.seed}/{self._fault}/{self._count}"
        value = invocation.value or {}
        own = {name: value.get(name, other) for name, other in self._settings.items()}
        rest = {name: each for name, each in value.items() if name not in self._settings}
        request = read_request(rest, spec=TargetSpec.ONE, stream=stream)
        if self._down is not None:
            aimed = await aim(
                request,
                fault=self._fault,
                cluster=self._cluster,
                primaries=self._insight.primaries,
                members=self._insight.members,
                down=self._down,
            )
            return Sight(request.spec, aimed.targets, aimed.notes, own)
        choice = await sight(
            request,
            cluster=self._cluster,
            primaries=self._insight.primaries,
            members=self._insight.members,
            excluded=lambda: struck,
        )
        notes = {}
        if choice.fallback:
            notes["fallback"] = choice.fallback
        if not choice.targets:
            notes["skipped"] = "no node that is meant is running, or all are struck already"
        return Sight(request.spec, choice.targets, notes, own)
