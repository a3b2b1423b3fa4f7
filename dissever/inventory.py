"""
Everything there is, as values: the systems, workloads, faults, checkers and models, ours and those
of installed packages, with where each comes from. The fields are those of `dissever list --json`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from dissever.checkers import OF_WORKLOADS, RunChecker
from dissever.checkers.linearizability import Model
from dissever.checkers.transactions.models import DECIDED, named, weaker
from dissever.checkers.transactions.models import MODELS as CONSISTENCY_MODELS
from dissever.harness.cluster.backends import Backend
from dissever.harness.options import Option, OptionValue
from dissever.harness.plugins import OURS, Registry
from dissever.harness.references import read_reference
from dissever.harness.system import System
from dissever.harness.values import printable, quoted
from dissever.nemesis import TRIGGERS, Fault
from dissever.registries import CHECKERS, EVERY_KIND, FAULTS, MODELS, SYSTEMS, WORKLOADS
from dissever.workloads import Workload, served_by

__all__ = [
    "AnOption",
    "Broken",
    "Inventory",
    "Thing",
    "ThisConsistencyModel",
    "ThisFault",
    "ThisSystem",
    "ThisWorkload",
    "everything",
    "what_is",
]

T = TypeVar("T")

_KINDS: Final = "system, workload, fault, checker or model"
"""What files and packages can hold."""


class AnOption(msgspec.Struct, frozen=True):
    """An option that a system or a workload declares; numbers are from `least` to `most`."""

    name: str
    description: str
    default: OptionValue = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None


class AParameter(msgspec.Struct, frozen=True):
    """A setting of a fault. `accepts` says in words which values are valid."""

    name: str
    description: str
    accepts: str
    unit: str
    default: Any


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `origin`: `dissever`, a distribution with its version, a file or a module."""

    name: str
    origin: str
    description: str


class ThisSystem(Thing, frozen=True, kw_only=True):
    """A system; `workloads` are those that it has the store for."""

    workloads: tuple[str, ...]
    backends: tuple[str, ...]
    options: tuple[AnOption, ...]


class ThisWorkload(Thing, frozen=True, kw_only=True):
    """A workload; `store` is what it asks of a system."""

    store: str
    options: tuple[AnOption, ...]


class ThisFault(Thing, frozen=True, kw_only=True):
    """
    A fault. `targets`: what may follow the colon, and how many nodes each needs. `backends`: where
    it can strike, as far as that depends on no machine.
    """

    targets: dict[str, int]
    default_target: str
    parameters: tuple[AParameter, ...]
    takes_down: bool
    backends: tuple[str, ...]


class ThisChecker(Thing, frozen=True, kw_only=True):
    """A checker. `of` says what it judges: every run, or what workloads ask it to."""

    of: str


class ThisConsistencyModel(Thing, frozen=True, kw_only=True):
    """
    A consistency model of transactions: its other names, the models that it implies, and the
    anomalies that it forbids in addition to theirs.
    """

    aliases: tuple[str, ...]
    implies: tuple[str, ...]
    forbids: tuple[str, ...]


class Broken(msgspec.Struct, frozen=True):
    """A plug-in that cannot be used. `line` says all of it: `name: package: what went wrong`."""

    kind: str
    name: str
    line: str


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """Each kind in the order of names."""

    systems: tuple[ThisSystem, ...] = ()
    workloads: tuple[ThisWorkload, ...] = ()
    faults: tuple[ThisFault, ...] = ()
    triggers: tuple[Thing, ...] = ()
    checkers: tuple[ThisChecker, ...] = ()
    models: tuple[Thing, ...] = ()
    consistency_models: tuple[ThisConsistencyModel, ...] = ()
    broken: tuple[Broken, ...] = ()


def everything() -> Inventory:
    """What is here and in installed packages; loads all of it."""
    broken: list[Broken] = []

    def each(registry: Registry[T], shown: Callable[[str, T], Any]) -> tuple[Any, ...]:
        found = []
        for name in sorted(registry.names):
            try:
                found.append(shown(name, registry.find(name)))
            except ValueError as error:
                if name in registry.own:
                    broken.append(Broken(registry.kind.what, name, str(error)))
            except Exception as error:  # Of somebody else's code; the others are shown.
                if name in registry.own:
                    raise
                line = f"{name}: {registry.origin(name)}: {type(error).__name__}: {error}"
                broken.append(Broken(registry.kind.what, name, printable(line)))
        lines = registry.broken()
        broken.extend(Broken(registry.kind.what, name, lines[name]) for name in sorted(lines))
        return tuple(found)

    of_workloads = (
        ThisChecker(name=name, origin=OURS, description=text, of="workloads")
        for name, text in OF_WORKLOADS.items()
    )
    triggers = (
        Thing(name=name, origin=OURS, description=trigger.description)
        for name, trigger in sorted(TRIGGERS.items())
    )
    checkers = (*of_workloads, *each(CHECKERS, _checker))
    return Inventory(
        systems=each(SYSTEMS, _system),
        workloads=each(WORKLOADS, _workload),
        faults=each(FAULTS, _fault),
        triggers=tuple(triggers),
        checkers=tuple(sorted(checkers, key=lambda one: one.name)),
        models=each(MODELS, _model),
        consistency_models=tuple(map(_consistency_model, DECIDED)),
        broken=tuple(broken),
    )


def what_is(reference: str) -> Inventory:
    """
    What a reference leads to, of every kind; of a file, all that is in it.

    Raises:
        ValueError: When it leads to nothing: in one line.
    """
    found: dict[str, tuple[Any, ...]] = {}
    errors: list[str] = []
    for kind, registry in EVERY_KIND.items():
        try:
            members = registry.members(reference) or (reference,)
            found[kind] = tuple(_SHOWN[kind](each, registry.find(each)) for each in members)
        except ValueError as error:
            errors.append(str(error))
    with contextlib.suppress(ValueError):
        found["consistency_models"] = (_consistency_model(named(reference)),)
    if found:
        return Inventory(**found)
    if read_reference(reference) is not None and len(set(errors)) == 1:
        raise ValueError(errors[0])  # The file or the module is broken, or is not there.
    if read_reference(reference) is not None:
        raise ValueError(f"{reference}: expected a {_KINDS}, found none")
    names = (*(name for each in EVERY_KIND.values() for name in each.names), *CONSISTENCY_MODELS)
    nearest = difflib.get_close_matches(reference, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    what = f"a name or a reference of a {_KINDS}, or a consistency model"
    raise ValueError(f"expected {what}, got {quoted(reference)}{hint}")


def _system(name: str, system: System) -> ThisSystem:
    return ThisSystem(
        name=name,
        origin=SYSTEMS.origin(name),
        description=system.description,
        workloads=served_by(system),
        backends=tuple(backend.value for backend in system.backends),
        options=_options(system.options),
    )


def _workload(name: str, workload: Workload) -> ThisWorkload:
    return ThisWorkload(
        name=name,
        origin=WORKLOADS.origin(name),
        description=workload.description,
        store=workload.store,
        options=_options(workload.options),
    )


def _fault(name: str, fault: Fault) -> ThisFault:
    virtual = [
        each for each in fault.on(Backend.SIMULATED).parameters if each not in fault.parameters
    ]
    return ThisFault(
        name=name,
        origin=FAULTS.origin(name),
        description=fault.description,
        targets=dict(fault.targets),
        default_target=fault.default_target,
        parameters=tuple(
            AParameter(one.name, one.description, one.accepts, one.unit, one.default)
            for one in fault.parameters
        )
        + tuple(
            AParameter(
                one.name,
                f"on simulated hosts: {one.description}",
                one.accepts,
                one.unit,
                one.default,
            )
            for one in virtual
        ),
        takes_down=fault.takes_down,
        backends=tuple(each.value for each in Backend if fault.unfit(each) is None),
    )


def _checker(name: str, checker: RunChecker) -> ThisChecker:
    return ThisChecker(
        name=name,
        origin=CHECKERS.origin(name),
        description=checker.description,
        of="every run",
    )


def _model(name: str, model: Model) -> Thing:
    return Thing(name=name, origin=MODELS.origin(name), description=model.description)


def _consistency_model(name: str) -> ThisConsistencyModel:
    model = CONSISTENCY_MODELS[name]
    return ThisConsistencyModel(
        name=name,
        origin=OURS,
        description=model.description,
        aliases=model.aliases,
        implies=tuple(each for each in CONSISTENCY_MODELS if each in weaker(name) - {name}),
        forbids=model.forbids,
    )


def _options(declared: Mapping[str, Option]) -> tuple[AnOption, ...]:
    return tuple(
        AnOption(name, each.description, each.default, each.choices, each.least, each.most)
        for name, each in sorted(declared.items())
    )


_SHOWN: Mapping[str, Callable[[str, Any], Any]] = {
    "systems": _system,
    "workloads": _workload,
    "faults": _fault,
    "checkers": _checker,
    "models": _model,
}
