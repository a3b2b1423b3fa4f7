"""
Everything that can be plugged in, by kind: what `dissever list` shows.

Checkers and models are pure, so their rooms load nothing. Their registries are made here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType
from typing import Any, Final

from msgspec import structs

from dissever.checkers import EVERY_RUN, OF_WORKLOADS, Remains, RunChecker
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.models import ALIASES, adjusted
from dissever.checkers.linearizability.models import MODELS as OUR_MODELS
from dissever.checkers.linearizability.plain_model import guarded, is_plain_model, model_of
from dissever.harness.episodes import Actions
from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.plugins import Kind, Registry
from dissever.harness.results import Budget, Checker, Result
from dissever.nemesis import FAULTS, without_target
from dissever.systems import SYSTEMS
from dissever.workloads import WORKLOADS

__all__ = [
    "CHECKERS",
    "EVERY_KIND",
    "FAULTS",
    "MODELS",
    "SYSTEMS",
    "WORKLOADS",
    "installed_checkers",
    "model_at",
    "versions_of",
]


RESERVED: Final = frozenset({*OF_WORKLOADS, "run", "file"})
"""Names of results that a checker of others cannot have."""


@dataclass(frozen=True, slots=True)
class _Plugged:
    """A checker of others, made when it is called. Its result is named by its reference."""

    name: str
    make: Callable[[], Checker]

    def __call__(self, history: History, budget: Budget) -> Result:
        result: object = self.make()(history, budget)
        if not isinstance(result, Result):
            raise TypeError(f"expected a Result of the checker, got a {type(result).__name__}")
        return structs.replace(result, checker=self.name)


def _is_checker(value: Any) -> bool:
    """A record; or a function, an object or a class of objects, from a history and a budget."""
    if isinstance(value, RunChecker):
        return True
    is_class = isinstance(value, type)
    call = vars(value).get("__call__") if is_class else value
    if not callable(call) or (not is_class and isinstance(value, BuiltinFunctionType)):
        return False
    names = tuple(inspect.signature(call).parameters)
    return names[1 if is_class else 0 :] == ("history", "budget")


def _checker(found: Any, reference: str) -> RunChecker:
    """
    A record; or a function, or a class that is made without arguments, from a history and a budget
    to a result.
    """
    if reference in RESERVED:
        raise ValueError("the name is ours; give the checker another")
    if isinstance(found, RunChecker):
        make = found.make

        def plugged(actions: Actions, remains: Remains) -> Checker:
            return _Plugged(reference, lambda: make(actions, remains))

        return RunChecker(reference, found.description, plugged)
    checker = found() if isinstance(found, type) else found
    if not callable(checker):
        raise ValueError(f"expected a checker, got a {type(found).__name__}")
    try:
        inspect.signature(checker).bind(History(), Budget())
    except TypeError as error:
        raise ValueError(
            f"expected a checker that takes a history and a budget: {error}"
        ) from error
    text = (inspect.getdoc(found) or "").partition("\n")[0].rstrip(".")
    return RunChecker(reference, text, lambda *_: _Plugged(reference, lambda: checker))


def _is_model(value: Any) -> bool:
    return isinstance(value, Model) or is_plain_model(value)


def _model(found: Any, reference: str) -> Model:
    model = found if isinstance(found, Model) else model_of(found, reference)
    return guarded(model, reference)


CHECKERS: Final = Registry(Kind("checker", "dissever.checkers", _is_checker, _checker), EVERY_RUN)
"""The checkers of every run. One of others is called by its reference."""

MODELS: Final = Registry(
    Kind("model", "dissever.models", _is_model, _model),
    {**OUR_MODELS, **{alias: OUR_MODELS[name] for alias, name in ALIASES.items()}},
)
"""The models, and the other names of ours."""

EVERY_KIND: Final[Mapping[str, Registry[Any]]] = {
    "systems": SYSTEMS,
    "workloads": WORKLOADS,
    "faults": FAULTS,
    "checkers": CHECKERS,
    "models": MODELS,
}
"""By what several of them are called."""


def installed_checkers() -> tuple[str, ...]:
    """The checkers that installed packages add to every run; broken ones are left out."""
    return tuple(name for name in CHECKERS if name not in CHECKERS.own)


def versions_of(options: Options) -> dict[str, str]:
    """Reference -> the version of what it leads to, for everything of a run that is not ours."""
    every = (
        (SYSTEMS, (options.system,)),
        (WORKLOADS, (options.workload,)),
        (FAULTS, tuple(map(without_target, options.faults))),
        (CHECKERS, options.checkers),
    )
    found = {
        reference: registry.version(reference)
        for registry, references in every
        for reference in references
    }
    return {reference: version for reference, version in found.items() if version is not None}


def model_at(
    reference: str | Model | type, *, initial: Any = None, nil_is_unknown: bool = False
) -> Model:
    """
    A model by its reference, or a plain model's class.

    Args:
        initial, nil_is_unknown: As `adjusted`.

    Raises:
        ValueError: When the reference leads to none; Misfit, as `adjusted`.
    """
    if isinstance(reference, str):
        model = MODELS.find(reference)
    elif isinstance(reference, Model):
        model = reference
    else:
        model = _model(reference, reference.__name__)
    return adjusted(model, initial=initial, nil_is_unknown=nil_is_unknown)
