"""
The nemeses of a run, and the hosts and plan entries that they need.

Each reads what is asked of a fault, has its injector do it, and writes the completion.

All faults have one shape in the history: an injection says `spec` and `targets`, the settings, and
`evidence` with `held`; a healing says `targets` and `evidence` with `healed`. `held` is None when
nobody was struck: then there is neither a fault nor evidence of one.

Every fault is looked at once more just before it heals. The healing says under `still_held` whether
it was in force, under `in_force` what was seen of it, and under `idle` that nothing met it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from dissever.harness.client import Completion, Invocation, Nemesis
from dissever.harness.cluster import Hosts
from dissever.harness.cluster.backends import Backend
from dissever.harness.episodes import Action, Role
from dissever.harness.missing import Missing
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault
from dissever.nemesis.faults import healing_order, parse
from dissever.nemesis.needs import Offer, missing, not_made, not_offered
from dissever.nemesis.partitions.majority_only import MAJORITY_ONLY_FAULT
from dissever.nemesis.plans.triggers import Triggered
from dissever.nemesis.requests import read_request

__all__ = ["actions", "hosts", "make_nemeses"]

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 15.0
"""A fault must be seen in this time before it heals: what takes longer must not hold healing up."""


def make_nemeses(faults: Iterable[str], environment: Environment) -> dict[str, Nemesis]:
    """
    A nemesis for each fault that is asked for, in the order in which they must heal, and last the
    one that heals a majority first; nothing when no fault is asked for.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = healing_order(faults)
    made: dict[str, Nemesis] = {fault.name: Dispatcher(fault, environment) for fault in asked}
    if environment.watched is not None:
        watched = environment.watched
        made = {name: Triggered(nemesis, watched) for name, nemesis in made.items()}
    last = Dispatcher(MAJORITY_ONLY_FAULT, environment)
    return {**made, MAJORITY_ONLY_FAULT.name: last} if made else {}


def hosts(faults: Iterable[str], disk_mb: int) -> Hosts:
    """
    What real hosts must be made with so that all of the faults can strike.

    Raises:
        ValueError: For a name that there is not.
    """
    nothing = Hosts(changes_network=False)  # With faults, there is the majority that heals first.
    needed = reduce(or_, (spec.fault.hosts for spec in parse(faults)), nothing)
    if needed.disk_mb is None:
        return needed
    return msgspec.structs.replace(needed, disk_mb=disk_mb)


def actions(faults: Iterable[str]) -> dict[str, dict[str, Action]]:
    """
    What each operation of their nemeses is for, as `Plan.actions` keeps it.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = healing_order(faults)
    every = (*asked, MAJORITY_ONLY_FAULT) if asked else ()
    return {fault.name: dict(fault.actions) for fault in every}


class Dispatcher:
    """Implements `Nemesis` for one fault, as its record says."""

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._fault = fault.on(Backend(site.cluster.backend))
        self._site = site
        self._made: Any = None
        self._count = 0
        if self._fault.prepares:  # The instance alone implements `Prepares`.
            self.prepare = self._prepare

    def probe(self) -> Missing | None:
        """The cluster, the budget, the system and the hosts must be as the fault needs them."""
        fault, cluster = self._fault, self._site.cluster
        nodes, backend = cluster.nodes, Backend(cluster.backend)
        for ability in (need for need in fault.needs if isinstance(need, type)):
            if lack := missing(ability, backend, fault.needs):
                return lack
            if backend is Backend.SIMULATED and not isinstance(cluster, ability):
                lacking = f"the simulated hosts of this system have no {ability.__name__}"
                return Missing(lacking, "choose another fault")
        least = min(fault.targets.values(), default=0)
        if len(nodes) < least:
            reason = f"{fault.name} needs at least {least} nodes, got {len(nodes)}"
            return Missing(reason, f"run with at least {least} nodes")
        offers = [Offer.ROOM] if fault.takes_down else []
        for offer in (*offers, *(need for need in fault.needs if isinstance(need, Offer))):
            if lack := not_offered(offer, self._site.offered, len(nodes)):
                return lack
        return not_made(fault.hosts, cluster)

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        One operation of the fault.

        Raises:
            ValueError: For an operation that the fault has not, or a value that makes no sense.
            OSError: When the cluster refuses.
        """
        action = self._fault.actions.get(invocation.f)
        if action is None:
            raise ValueError(f"expected {' or '.join(self._fault.steps)}, got {invocation.f!r}")
        if action.role is Role.INJECT:
            return await self._inject(invocation)
        if action.role is Role.HEAL:
            before = await self._look_again()
            seen = await self._injector.heal()
            seen = replace(seen, facts={**before, **seen.facts})
            return _completion(invocation, {}, "healed", seen)
        return _completion(invocation, {}, "held", await self._injector.go_on())

    async def heal(self) -> None:
        """Undo whatever is in force, and look at nothing."""
        if self._made is not None:
            await self._made.release()

    async def _look_again(self) -> dict[str, Any]:
        """What is seen of the fault before it heals; whatever fails, it must heal all the same."""
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                seen = await self._injector.look_again()
        except (OSError, TimeoutError) as error:
            why = str(error) or f"that took more than {CHECK_LIMIT_S:g} s"
            return {"still_held": None, "lapsed": f"it is not known whether it was in force: {why}"}
        if seen is None or seen.is_so is None:
            return {} if seen is None else {"in_force": dict(seen.facts)}
        above = {name: seen.facts[name] for name in ("as_asked", "said") if name in seen.facts}
        facts = {name: fact for name, fact in seen.facts.items() if name not in (*above, "idle")}
        found: dict[str, Any] = {"still_held": seen.is_so, "in_force": facts, **above}
        if not seen.is_so:
            log.warning("%s: %s", self._fault.name, seen.error or "no longer in force")
            found["lapsed"] = seen.error or "it was no longer in force"
        elif seen.facts.get("idle"):
            found["idle"] = True
        return found

    async def _prepare(self) -> bool:
        is_disturbed: bool = await self._injector.prepare()
        return is_disturbed

    @property
    def _injector(self) -> Any:
        """Made when it is first needed: by then `probe` has seen that it can be."""
        if self._made is None:
            self._made = self._fault.make(self._fault, self._site)
        return self._made

    async def _inject(self, invocation: Invocation) -> Completion:
        self._count += 1
        request = read_request(
            self._fault,
            invocation.value,
            nodes=self._site.cluster.nodes,
            seed=self._site.seed,
            number=self._count,
        )
        seen = await self._injector.inject(request)
        first = {"spec": request.spec, "targets": [], **request.settings}
        return _completion(invocation, first, "held", seen)


def _completion(
    invocation: Invocation, first: dict[str, Any], verdict: str, seen: FaultEvidence
) -> Completion:
    log.info("%s: %s, %s: %s", invocation.f, seen.targets, verdict, seen.is_so)
    evidence = {verdict: seen.is_so, **seen.facts}
    value = {
        **first,
        "targets": list(seen.targets),
        **seen.notes,
        "evidence": evidence,
    }
    if seen.is_so:
        return invocation.info(None, value)
    missed = "did not take hold" if verdict == "held" else "did not heal"
    return invocation.info(seen.error or f"{invocation.f} {missed}", value)
