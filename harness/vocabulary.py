"""
What operations of a nemesis are for: declared by a plan, or read from their names elsewhere.

The operations of `recovery` at the end of a run are no faults: they ask whether the system has come
back. `recovery.py` carries them out, and the checker `liveness` judges what they saw.

In a history without declared actions the names say it. A name is a verb, alone or joined to what it
strikes: `kill`, `start-partition`, `partition-stop`. Verbs come in families that inject and heal
the same kind of fault. A verb of several families is read by what else the nemesis does to the same
thing: `start` heals where `kill` occurs, and injects where `stop` does. Names that are not listed
start and end nothing.

Source: `:f` in Jepsen's `nemesis.clj`, `nemesis/combined.clj`, `nemesis/time.clj`, and its tests.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

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

RECOVERY: Final = "recovery"
"""The process of these operations."""

PROGRESS: Final = "await-progress"
READY: Final = "await-ready"
RESTART: Final = "restart-all"
COMPARE: Final = "compare-replicas"
RESTART_AGAIN: Final = "restart-to-compare"
COMPARE_AGAIN: Final = "compare-after-restart"

ANOMALIES: Final = {
    PROGRESS: "no-progress",
    READY: "no-recovery",
    RESTART: "no-recovery-after-restart",
    COMPARE: "diverged",
    RESTART_AGAIN: "no-recovery-after-restart",
    COMPARE_AGAIN: "diverged-for-good",
}
"""Operation -> the anomaly when what it waits for does not come, in the order of a run."""

WAITED_FOR: Final = {
    PROGRESS: "a write that a majority acknowledges",
    READY: "every node to serve",
    RESTART: "every node to serve, after all were restarted",
    COMPARE: "all replicas to hold the same",
    RESTART_AGAIN: "every node to serve, after all were restarted",
    COMPARE_AGAIN: "all replicas to hold the same, after all nodes were restarted",
}
"""Operation -> what it waits for, in words that complete "it waited for …"."""

NONSENSE: Final = "nonsense"
"""The code of an error: what a client answered is no answer, so the client has a mistake."""

MAJORITY_ONLY: Final = "majority-only"
"""
The process that keeps a minority cut off while `await-progress` looks at the majority. It injects
and heals like a fault, but belongs to the end of a run: no plan asks for it.
"""

END_OF_RUN: Final = frozenset({RECOVERY, MAJORITY_ONLY})
"""The processes whose operations are no faults: with their first one the end of a run begins."""

JEPSEN: Final = "nemesis"
"""The process of all faults in Jepsen's histories: only names of operations distinguish them."""

Family: TypeAlias = Mapping[str, Action]
"""Verb -> what it does to the faults of its family."""


def _family(
    injects: str,
    heals: str,
    *,
    continues: str = "",
    effect: Effect | None = None,
    healed: Effect | None = None,
) -> Family:
    return {
        **dict.fromkeys(injects.split(), Action(Role.INJECT, effect)),
        **dict.fromkeys(continues.split(), Action(Role.CONTINUE)),
        **dict.fromkeys(heals.split(), Action(Role.HEAL, healed)),
    }


FAMILIES: Final = (
    {
        **_family("kill crash", "start restart", effect=Effect.KILLED, healed=Effect.STARTED),
        **_family("terminate stop", "", effect=Effect.STOPPED),
    },
    _family("pause freeze", "resume unpause thaw", effect=Effect.PAUSED, healed=Effect.RESUMED),
    _family("bump skew scramble", "reset", continues="strobe"),
    _family(
        "isolate partition cut disconnect block break slow flaky",
        "heal repair restore reconnect unblock fast recover",
    ),
    _family(
        "start begin inject enable",
        "stop end heal disable reset repair recover",
        continues="resume",
    ),
)
"""Where a verb occurs in several, the first that fits counts."""

SWITCHES: Final = len(FAMILIES) - 1
"""The family whose verbs do not say what the fault is: it has the name of the thing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What one operation is for; `action` is None when it starts and ends nothing.

    `faults` are those it acts on. A verb alone, such as `heal`, may heal several.
    """

    faults: tuple[str, ...]
    action: Action | None = None

    @property
    def role(self) -> Role | None:
        """The role of the action."""
        return self.action.role if self.action else None


def read_names(process: str, names: Sequence[str]) -> dict[str, Reading]:
    """
    What each operation of one nemesis is for.

    Args:
        names: Every `f` of the process, in the order of first use.
    """
    parts = {name: _split(name) for name in names}
    verbs: dict[str, set[str]] = {}
    for verb, thing in parts.values():
        verbs.setdefault(thing, set()).add(verb)
    families = {name: _choose(verb, verbs[thing]) for name, (verb, thing) in parts.items()}
    faults = _faults(process, parts, families)
    readings: dict[str, Reading] = {}
    for name, (verb, thing) in parts.items():
        kind = families[name]
        action = None if kind is None else FAMILIES[kind][verb]
        own = [fault for of, fault in faults.items() if of == (kind, thing)]
        if action and action.role is Role.HEAL and not (own or thing):
            own = [fault for (of, _), fault in faults.items() if verb in FAMILIES[of]]
        unknown = name if process == JEPSEN else process
        readings[name] = Reading(tuple(own) or (unknown,), action)
    return readings


def _faults(
    process: str, parts: Mapping[str, tuple[str, str]], families: Mapping[str, int | None]
) -> dict[tuple[int, str], str]:
    """Family and thing -> the name of the fault, for all that something injects."""
    faults: dict[tuple[int, str], str] = {}
    for name, (verb, thing) in parts.items():
        kind = families[name]
        if kind is not None and FAMILIES[kind][verb].role is Role.INJECT:
            faults.setdefault((kind, thing), (thing or process) if kind == SWITCHES else name)
    if len(faults) == 1 and process != JEPSEN:  # A nemesis of one fault has its name.
        return dict.fromkeys(faults, process)
    return faults


def _split(name: str) -> tuple[str, str]:
    """The verb of a name, which is its first or its last word, and the thing."""
    first, last = re.split("[-_./]", name, maxsplit=1), re.split("[-_./](?=[^-_./]*$)", name)
    for families in (FAMILIES[SWITCHES:], FAMILIES):  # `partition-start` has two verbs.
        for verb, *thing in (first, last[::-1]):
            if any(verb in family for family in families):
                return verb, "".join(thing)
    return name, ""


def _choose(verb: str, others: Collection[str]) -> int | None:
    """The family in which the thing is injected, or else the first one in which the verb heals."""
    having = [number for number, family in enumerate(FAMILIES) if verb in family]
    injected = [number for number in having if _injects(FAMILIES[number], others)]
    healed = [number for number in having if FAMILIES[number][verb].role is Role.HEAL]
    return next(iter((*injected, *healed, *having)), None)


def _injects(family: Family, verbs: Collection[str]) -> bool:
    """Whether one of the verbs injects in this family; `stop` alone does not say that it does."""
    return any(
        verb in family and family[verb].role is Role.INJECT and verb != "stop" for verb in verbs
    )
