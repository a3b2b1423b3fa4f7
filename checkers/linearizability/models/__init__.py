"""
What a correct object would do: models, one file per family, and the registry of all.

A file ends with its family, which says what engines know of such objects, and its MODELS. A model
of your own is a `Model` with a step function: `model`.
"""

from collections.abc import Mapping
from typing import Final

from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.models import (
    containers,
    counters,
    locks,
    logs,
    registers,
    sets,
)

_FILES: Final = (registers, locks, counters, sets, containers, logs)

MODELS: Final[Mapping[str, Model]] = {model.name: model for file in _FILES for model in file.MODELS}
"""By the name that a command line takes; `description` is one line on each."""

ALIASES: Final[Mapping[str, str]] = {"kv": "text"}
"""Other names that a command line takes."""

NAMES: Final = (*MODELS, *ALIASES)


def model_named(name: str) -> Model:
    """
    Raises:
        KeyError: When no model has that name.
    """
    return MODELS[ALIASES.get(name, name)]


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
    "model_named",
]
