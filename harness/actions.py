"""What an operation of a nemesis is for, and what becomes of the nodes that it names."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec


class Role(StrEnum):
    """What an operation of a nemesis is for."""

    INJECT = "inject"
    CONTINUE = "continue"
    """A later step of a fault that is in force, such as to wake a leader that was paused."""

    HEAL = "heal"
    RECOVER = "recover"
    """It breaks nothing: it asks whether the system has come back."""


class Effect(StrEnum):
    """What becomes of the process of each node that an operation names as its target."""

    KILLED = "killed"
    STOPPED = "stopped"
    PAUSED = "paused"
    STARTED = "started"
    RESUMED = "resumed"


class Action(msgspec.Struct, frozen=True):
    """One operation of a nemesis: its role, and its effect on nodes, None where it has none."""

    role: Role
    effect: Effect | None = None


Actions: TypeAlias = Mapping[str, Mapping[str, Action]]
"""Process of a nemesis -> its operations by `f`, in the order in which they come."""
