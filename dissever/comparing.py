"""
Two campaigns of one test, on two machines or in two orders: whether each seed gave the same bytes.

A run in virtual time depends on its options and its seed alone. So the digests of its history, and
of what the simulation recorded, are equal wherever it is made; one that is not is a mistake of the
harness or of the simulator, and it says nothing about the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dissever.campaign import RECORD, Contents, Tried, difference, read_record
from dissever.harness import store
from dissever.harness.results import Verdict

__all__ = ["Compared", "Differs", "Other", "compare", "other", "require_same_test"]


class Differs(msgspec.Struct, frozen=True, kw_only=True):
    """A seed whose runs differ, and the file that does: what comes first in a run says most."""

    seed: int
    file: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a campaign compares with another one of the same test.

    `same` counts the seeds with the same bytes, `differ` are the others that both have tried.
    `only_here`, `only_there` count those that one has tried alone. `versions` says in words what
    the runs of the two were made by, where that differs.
    """

    path: str
    same: int
    differ: tuple[Differs, ...]
    only_here: int
    only_there: int
    versions: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Unknown if a seed differs, or none was compared: then nothing is known to be exact."""
        return Verdict.UNKNOWN if self.differ or not self.same else Verdict.VALID


@dataclass(frozen=True, slots=True)
class Other:
    """Another campaign, and where it was found."""

    path: Path
    contents: Contents


def other(path: Path) -> Other:
    """
    The campaign of a directory, or of its `explored.jsonl`.

    Raises:
        ValueError: When it is no campaign.
        OSError: When it cannot be read.
    """
    record = path / RECORD if path.is_dir() else path
    if not record.exists():
        raise ValueError(f"expected the directory of a campaign, got {path}, which has no {RECORD}")
    return Other(path, read_record(record.read_bytes(), record))


def require_same_test(here: Contents, others: Other) -> None:
    """
    Do nothing if two campaigns are of one test.

    Raises:
        ValueError: When they are not, with the first thing in which they differ.
    """
    if (what := difference(others.contents.header, here.header)) is not None:
        raise ValueError(f"{others.path} is of another test: {what}")


def compare(here: Contents, others: Other) -> Compared:
    """How two campaigns of one test compare."""
    there = others.contents
    common = sorted(here.tried.keys() & there.tried.keys())
    files = {seed: _first_difference(here.tried[seed], there.tried[seed]) for seed in common}
    return Compared(
        path=str(others.path),
        same=sum(file is None for file in files.values()),
        differ=tuple(Differs(seed=seed, file=file) for seed, file in files.items() if file),
        only_here=len(here.tried) - len(common),
        only_there=len(there.tried) - len(common),
        versions=tuple(_versions(here, there)),
    )


def _first_difference(here: Tried, there: Tried) -> str | None:
    """The file in which two runs of a seed differ, or None."""
    if here.history != there.history:
        return store.HISTORY
    return None if here.simulation == there.simulation else store.SIMULATION


def _versions(here: Contents, there: Contents) -> Iterator[str]:
    """What made the runs of each, where that differs."""
    names = {
        name: None for each in (there, here) for maker in each.makers for name in maker.versions
    }
    for name in names:
        old, new = _made_by(there, name), _made_by(here, name)
        if old != new:
            yield f"{name} was {old} there, and is {new} here"


def _made_by(contents: Contents, name: str) -> str:
    """Every version of something that made runs of a campaign."""
    every = (each.versions.get(name, "none") for each in contents.makers if each.seeds)
    return ", then ".join(dict.fromkeys(every)) or "none"
