"""
What a correct object would do: models, one file per family, and the registry of all.

A file ends with its family, which says what engines know of such objects, and its MODELS. A model
of your own is a `Model` with a step function: `model`.
"""

from collections.abc import Mapping
from importlib import import_module
from itertools import chain
from typing import Any, Final

from dissever.checkers.linearizability.model import Model

FILES: Final = ("registers", "locks", "counters", "sets", "containers", "logs")
"""A new file of models is a name more here."""

_EVERY: Final = chain.from_iterable(import_module(f"{__name__}.{file}").MODELS for file in FILES)

MODELS: Final[Mapping[str, Model]] = {model.name: model for model in _EVERY}
"""By the name that a command line takes; `description` is one line on each."""

ALIASES: Final[Mapping[str, str]] = {"kv": "text"}
"""Other names that a command line takes."""

NAMES: Final = (*MODELS, *ALIASES)


def model_named(name: str, *, initial: Any = None, nil_is_unknown: bool = False) -> Model:
    """
    One of these models, as `adjusted`.

    Raises:
        KeyError: When no model has that name.
        Misfit: As `adjusted`.
    """
    model = MODELS[ALIASES.get(name, name)]
    return adjusted(model, initial=initial, nil_is_unknown=nil_is_unknown)


def adjusted(model: Model, *, initial: Any = None, nil_is_unknown: bool = False) -> Model:
    """
    Args:
        initial: What each object holds at first, as histories write values: a list for a set or a
            queue, {register: value} for several registers. None: what the model begins with.
        nil_is_unknown: Whether a read that answers nil says nothing, as in Knossos.

    Raises:
        Misfit: When such an object cannot begin with that, or nil is a value of its own there.
    """
    if initial is not None:
        model = model.starting(initial)
    return model.reading_nil_as_unknown() if nil_is_unknown else model


REGISTER: Final = MODELS["register"]
CAS_REGISTER: Final = MODELS["cas-register"]
MUTEX: Final = MODELS["mutex"]
SET: Final = MODELS["set"]
TEXT: Final = MODELS["text"]

__all__ = [
    "ALIASES",
    "CAS_REGISTER",
    "MODELS",
    "MUTEX",
    "NAMES",
    "REGISTER",
    "SET",
    "TEXT",
    "adjusted",
    "model_named",
]
