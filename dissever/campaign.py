"""
What a campaign over many seeds has come to, kept in a file of one line for each seed.

`explored.jsonl` in the directory of the campaign begins with what was explored: the options, and
the versions of the system and of what users plug in. A line says what made the runs after it: the
code of dissever, Python, the simulator. Then comes a line for each seed, in the order in which they
ended, with the digests of what its run left. So a campaign that was interrupted goes on where it
was, one of another test is not mixed with it, and it is known when the code changed. Of each kind
of failure the smallest run is kept, whole, in `seed-<n>/`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from dissever.attempts import Attempt, Size
from dissever.harness import store
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.values import shorten

__all__ = [
    "RECORD",
    "Contents",
    "Found",
    "Header",
    "MadeBy",
    "Record",
    "Tried",
    "difference",
    "read_record",
]

RECORD: Final = "explored.jsonl"

KEPT_MAX: Final = 100
"""Of how many kinds of failure a run is kept. Others are counted."""

WHY_CHARACTERS_MAX: Final = 500

_MAKERS: Final = ("dissever", "python", "simulator")
"""Versions of what makes runs. They may change while a campaign lasts, which is said."""

_IMMATERIAL: Final = (*_MAKERS, "kernel")
"""Versions that do not make it another test."""

_CODE: Final = (".py", ".c", ".h")


class Header(msgspec.Struct, frozen=True):
    """What was explored."""

    options: dict[str, Any]
    versions: dict[str, str]
    format: int = 1


class _Maker(msgspec.Struct, frozen=True):
    """A line that says what makes the runs of the lines after it."""

    made_by: dict[str, str]


class MadeBy(msgspec.Struct, frozen=True):
    """What made the runs of so many seeds, by name: `dissever`, `python`, `simulator`."""

    versions: dict[str, str]
    seeds: int = 0


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of one seed; `why` is empty for a valid run.

    `history` and `simulation` are the SHA-256 of the files of its run; that of a file that it does
    not have is empty.
    """

    seed: int
    verdict: Verdict
    signatures: tuple[str, ...]
    size: Size
    seconds: float
    history: str = ""
    simulation: str = ""
    reached: tuple[str, ...] = ()
    why: str = ""

    @classmethod
    def of(cls, tried: Attempt) -> Tried:
        """An attempt, without what is not kept."""
        why = "" if tried.verdict is Verdict.VALID else shorten(tried.why, WHY_CHARACTERS_MAX)
        return cls(
            seed=tried.seed,
            verdict=tried.verdict,
            signatures=tried.signatures,
            size=tried.size,
            seconds=tried.seconds,
            history=tried.history_sha256,
            simulation=tried.simulation_sha256,
            reached=tried.reached,
            why=why,
        )


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """
    A kind of failure: in how many runs, the least seed of them, and the smallest and fastest one.

    `seed`, `size` and `why` are of that one. `directory` is its run directory; None when no more
    were kept.
    """

    signature: str
    verdict: Verdict
    runs: int
    first: int
    seed: int
    size: Size
    why: str
    directory: str | None


@dataclass(slots=True)
class Contents:
    """What `explored.jsonl` holds. `makers`: one after the other; what follows is of the last."""

    header: Header
    tried: dict[int, Tried] = field(default_factory=dict)
    makers: list[MadeBy] = field(default_factory=list)

    def add(self, line: Tried) -> None:
        """A seed that was tried."""
        self.tried[line.seed] = line
        if self.makers:
            last = self.makers[-1]
            self.makers[-1] = MadeBy(last.versions, last.seeds + 1)


class Record:
    """The file, and the runs that are kept beside it. Use it with `with`."""

    def __init__(self, directory: Path, options: Options, versions: Mapping[str, str]) -> None:
        """
        Go on with the campaign of a directory, or begin one.

        Raises:
            ValueError: When the directory holds a campaign of something else.
            OSError: When it cannot be read or written, or another process goes on with it.
        """
        self.directory = directory
        self.contents = Contents(_header(options, versions))
        self.verdicts: Counter[Verdict] = Counter()
        self.reached: Counter[str] = Counter()
        self._runs: dict[str, Counter[Verdict]] = {}
        """Signature -> how many runs of each verdict have it."""

        self._first: dict[str, int] = {}
        self._best: dict[str, Tried] = {}
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / RECORD
        self._file = path.open("ab")
        try:
            self._lock()
            self._read(path)
            self._begin({name: versions[name] for name in _MAKERS if name in versions})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def tried(self) -> Mapping[int, Tried]:
        """Each seed that has been tried."""
        return self.contents.tried

    @property
    def found(self) -> tuple[Found, ...]:
        """Every kind of failure: invalid before unknown, then the most frequent first."""
        every = (
            Found(
                signature=signature,
                verdict=max(runs),
                runs=runs.total(),
                first=self._first[signature],
                seed=best.seed,
                size=best.size,
                why=best.why,
                directory=str(place) if (place := self.place(best.seed)).is_dir() else None,
            )
            for signature, runs in self._runs.items()
            for best in (self._best[signature],)
        )
        by_count = sorted(every, key=lambda each: (-each.runs, each.signature))
        return tuple(sorted(by_count, key=lambda each: each.verdict, reverse=True))

    def place(self, seed: int) -> Path:
        """Where the run of a seed is kept, if it is."""
        return self.directory / f"seed-{seed}"

    def add(self, tried: Attempt) -> None:
        """
        Write a line for a seed, and keep its run directory if none is smaller; else remove it.

        Raises:
            OSError: When the disk refuses it.
        """
        line = Tried.of(tried)
        is_best = self._count(line)
        if tried.directory is not None:
            made = Path(tried.directory)
            if is_best and len(self._kept()) < KEPT_MAX:
                place = self.place(line.seed)
                shutil.rmtree(place, ignore_errors=True)  # A killed campaign may have left a part.
                shutil.move(made, place)
            else:
                shutil.rmtree(made, ignore_errors=True)
        self._write(line)
        if is_best:
            self._clear()

    def _count(self, line: Tried) -> bool:
        """Take in a line; whether it is the smallest of a kind of failure."""
        self.contents.add(line)
        self.verdicts[line.verdict] += 1
        self.reached.update(line.reached)
        is_best = False
        for signature in line.signatures:
            self._runs.setdefault(signature, Counter())[line.verdict] += 1
            self._first[signature] = min(line.seed, self._first.get(signature, line.seed))
            best = self._best.get(signature)
            if best is None or (line.size, line.seed) < (best.size, best.seed):
                self._best[signature] = line
                is_best = True
        return is_best

    def _kept(self) -> list[Path]:
        return [path for path in self.directory.glob("seed-*") if path.is_dir()]

    def _clear(self) -> None:
        """Remove the runs that are no longer the smallest of any kind."""
        wanted = {self.place(best.seed) for best in self._best.values()}
        for path in self._kept():
            if path not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _lock(self) -> None:
        """Be the only one that writes."""
        store.lock(
            self._file.fileno(),
            f"{self.directory}: another dissever explore writes to it now; wait until that has"
            " ended, or name another --keep",
        )

    def _read(self, path: Path) -> None:
        """Take in what is there; begin where nothing is, or a first line that was cut."""
        content = path.read_bytes()
        header = self.contents.header
        if b"\n" not in content and msgspec.json.encode(header).startswith(content):
            self._file.truncate(0)
            self._write(header)
            return
        before = read_record(content, path)
        if (what := difference(before.header, header)) is not None:
            raise ValueError(f"{path} is of another campaign: {what}; name another --keep")
        for line in before.tried.values():
            self._count(line)
        self.contents = before
        if not content.endswith(b"\n"):
            path.write_bytes(content[: content.rindex(b"\n") + 1])

    def _begin(self, versions: Mapping[str, str]) -> None:
        """Say what makes the runs from now on, unless the last ones were made by the same."""
        makers = self.contents.makers
        now = {**versions, "dissever": f"{versions['dissever']} ({_code()})"}
        if not makers or makers[-1].versions != now:
            makers.append(MadeBy(now))
            self._write(_Maker(now))

    def _write(self, line: Header | _Maker | Tried) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()


def read_record(content: bytes, path: Path) -> Contents:
    """
    What the content of `explored.jsonl` says. A last line that was cut is left out.

    Args:
        path: Where it is from, for messages.

    Raises:
        ValueError: When it is no record of a campaign.
    """
    first, *lines = content.split(b"\n")[:-1] or [b""]
    try:
        contents = Contents(msgspec.json.decode(first, type=Header))
        for line in lines:
            if line.startswith(b'{"made_by":'):
                maker = msgspec.json.decode(line, type=_Maker)
                contents.makers.append(MadeBy(maker.made_by))
            else:
                contents.add(msgspec.json.decode(line, type=Tried))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected the record of a campaign: {error}") from error
    return contents


def difference(before: Header, now: Header) -> str | None:
    """The first thing in which two tests differ, in words, or None."""
    pairs = (("", before.options, now.options), ("version of ", before.versions, now.versions))
    for what, old, new in pairs:
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                return f"{what}{name} was {old.get(name)!r} there, and is {new.get(name)!r} here"
    return None


def _header(options: Options, versions: Mapping[str, str]) -> Header:
    """What must be the same for two runs to belong to one campaign; as it reads back from JSON."""
    said = msgspec.to_builtins(msgspec.structs.replace(options, seed=0, script_path=""))
    material = {name: each for name, each in versions.items() if name not in _IMMATERIAL}
    return msgspec.json.decode(msgspec.json.encode(Header(said, material)), type=Header)


@cache
def _code() -> str:
    """The digest of our own code, which often changes while its version does not: 12 digits."""
    root = str(resources.files("dissever"))
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if name.endswith(_CODE) and not (name.startswith("_") and name.endswith(".c")):
                path = Path(folder, name)
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
