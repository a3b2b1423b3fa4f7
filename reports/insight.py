"""
What is known of a run beyond its history and its results, as its page shows it.

Three files of a run directory hold it, each if there is one: what a simulation saw, how the
probability of failure grew (`doom.json`), and the story of a run that was shrunk (`story.json`).
They explain a verdict and never change it. What is broken in them is said on the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from dissever.harness.plan import Start
from dissever.harness.values import printable, shorten
from dissever.reports.node_logs import LogsRead
from dissever.reports.node_states import NodeStates
from dissever.reports.simulation import Simulation, read_simulation

SENTENCES_MAX: Final = 40
MOMENTS_MAX: Final = 400
SENTENCE_CHARACTERS_MAX: Final = 600

_T = TypeVar("_T")


class Chance(msgspec.Struct, frozen=True):
    """
    How many continuations from a moment failed: k of n.

    `low` and `high` are the ends of the interval for the probability, shares from 0 to 1.
    """

    time: int
    k: int
    n: int
    low: float
    high: float


class Named(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """The fault that doomed the run; `index` is the event of its injection, if it has one."""

    fault: str
    text: str = ""
    index: int | None = None
    start: int = 0
    end: int = 0


class Doom(msgspec.Struct, frozen=True):
    """The probability of failure over time, by reruns that were reseeded at moments of the run."""

    moments: tuple[Chance, ...]
    named: Named | None = None
    confidence: float = 0.95
    runs: int = 0
    signature: str = ""
    notes: tuple[str, ...] = ()


class Size(msgspec.Struct, frozen=True):
    """How large a run is; None is not known."""

    faults: int | None = None
    nodes: int | None = None
    clients: int | None = None
    keys: int | None = None
    operations: int | None = None
    seconds: float | None = None


class Story(msgspec.Struct, frozen=True, rename={"origin": "from"}):
    """
    What happened in a run that was shrunk, in order.

    `wrong` is the sentence that tells the wrong step, from 0; None if none does.
    """

    text: tuple[str, ...]
    wrong: int | None = None
    before: Size = Size()
    after: Size = Size()
    origin: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Insight:
    """
    Everything that is known beyond the history; `notes` say what could not be read.

    `states` are what the nodes were, `logs` what they wrote, and `moments_ns` the times around
    which logs tell most. `start` is how the run began; None where nobody measured it.
    """

    simulation: Simulation | None = None
    doom: Doom | None = None
    story: Story | None = None
    notes: tuple[str, ...] = ()
    states: NodeStates = field(default_factory=NodeStates)
    logs: LogsRead = field(default_factory=LogsRead)
    moments_ns: tuple[int, ...] = ()
    start: Start | None = None

    @property
    def explains(self) -> bool:
        """Whether a simulation, reruns or a shrunk run say something."""
        return bool(self.simulation or self.doom or self.story or self.notes)


def read_insight(
    simulation: Iterable[bytes] | None, doom: bytes | None, story: bytes | None
) -> Insight:
    """The insight that the lines and texts of three files give; None is a file that is missing."""
    notes: list[str] = []
    told = _read("story.json", story, Story, notes)
    return Insight(
        None if simulation is None else read_simulation(simulation),
        _sound(_read("doom.json", doom, Doom, notes), notes),
        None if told is None else _shortened(told),
        tuple(notes),
    )


def _read(name: str, text: bytes | None, kind: type[_T], notes: list[str]) -> _T | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        notes.append(f"{name} could not be read: {shorten(printable(str(error)), 200)}.")
        return None


def _sound(doom: Doom | None, notes: list[str]) -> Doom | None:
    """The curve by time, without moments that no reruns can give."""
    if doom is None:
        return None
    sound = [
        each
        for each in doom.moments
        if each.time >= 0
        and 0 <= each.k <= each.n > 0
        and 0 <= each.low <= each.k / each.n + 1e-9
        and each.k / each.n - 1e-9 <= each.high <= 1
    ]
    if len(sound) < len(doom.moments):
        many = len(doom.moments) - len(sound)
        notes.append(f"doom.json has {many:,} moments whose numbers contradict each other.")
    sound.sort(key=lambda each: each.time)
    if len(sound) > MOMENTS_MAX:
        notes.append(f"doom.json has more than {MOMENTS_MAX} moments; the later ones are left out.")
    named = doom.named
    if named is not None:
        named = msgspec.structs.replace(
            named,
            fault=_sentence(named.fault),
            text=_sentence(named.text),
            end=max(named.start, named.end),
        )
    told = tuple(_sentence(note) for note in doom.notes[:SENTENCES_MAX])
    return msgspec.structs.replace(
        doom, moments=tuple(sound[:MOMENTS_MAX]), named=named, notes=told
    )


def _shortened(story: Story) -> Story:
    text = tuple(_sentence(each) for each in story.text[:SENTENCES_MAX])
    wrong = story.wrong if story.wrong is not None and 0 <= story.wrong < len(text) else None
    return msgspec.structs.replace(
        story,
        text=text,
        wrong=wrong,
        origin=_sentence(story.origin),
        command=_sentence(story.command),
    )


def _sentence(text: str) -> str:
    return shorten(printable(text), SENTENCE_CHARACTERS_MAX)
