"""
Registries: systems, workloads, faults, checkers and models, ours and everybody's.

Everywhere a name of one of them is accepted, a reference is accepted, too:

    dqlite                  a name of ours, or of an entry point of an installed package
    mykv.py                 a file; what is meant is the only one in it
    dir/mykv.py:MyKv        a file, and a name in it
    package.module:Name     a name in a module that can be imported

A name of ours always means ours. A name that two packages have means neither of them. A plug-in
that is broken is one line, and everything else works without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from dissever.harness.options import unknown
from dissever.harness.references import (
    Reference,
    file_of,
    load_module,
    load_object,
    names_in,
    object_in,
    read_reference,
    sha256,
)
from dissever.harness.values import printable, reason

__all__ = ["OURS", "Kind", "Registry"]

OURS: Final = "dissever"
"""The origin of what this package has."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """
    One kind of thing that can be plugged in.

    `what` is what messages call it: `system`. `group` is the group of its entry points. `fits`: an
    object looks like one, so that the only one in a file can be found. `made` gives the thing
    itself, from what was found and the reference to it. It raises ValueError for what is none, and
    says what is missing.
    """

    what: str
    group: str
    fits: Callable[[Any], bool]
    made: Callable[[Any, str], T]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry point. `package` names the distribution that brings it, with its version."""

    name: str
    value: str
    package: str


class Registry(Mapping[str, T]):
    """
    Name -> thing: ours first, then those of entry points that can be loaded, in order of names.

    It is looked up by any reference, and iterates over names. Nothing of others is loaded before
    somebody asks for it.

    Args:
        own: Ours by name; a text says where one is, as `module:Name`, so that importing waits.
        suffixes: The end of a file's name, such as `.yaml`, and where the function is that makes a
            thing from the reference to such a file, as `module:name`.
    """

    def __init__(
        self,
        kind: Kind[T],
        own: Mapping[str, T | str],
        suffixes: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.own = own
        self._suffixes = suffixes or {}

    def find(self, reference: str, directory: Path | None = None) -> T:
        """
        What a reference leads to.

        Args:
            directory: What a relative path is relative to; None: the current directory.

        Raises:
            ValueError: In one line, when it leads to nothing, or to a plug-in that is broken.
        """
        if reference in self.own:
            return self._ours(reference)
        if (entries := self._entries().get(reference)) is not None:
            return self._entered(reference, entries)
        for suffix, maker in self._suffixes.items():
            if reference.endswith(suffix):
                made: T = _at(maker)(reference)
                return made
        if read_reference(reference) is not None and not self._is_misspelt(reference, directory):
            kind, ours = self.kind, self._instances
            found = load_object(reference, kind.what, kind.fits, directory=directory, ours=ours)
            return self._made(found, reference)
        raise ValueError(self._unknown(reference, directory))

    def members(self, reference: str) -> tuple[str, ...]:
        """
        References to everything that a file has of this kind; any other reference as it is.

        Raises:
            ValueError: In one line, when the file is broken.
        """
        return names_in(reference, self.kind.fits, ours=self._instances)

    def origin(self, reference: str) -> str:
        """
        Where it comes from: `dissever`, the distribution with its version, or its file or module.

        Raises:
            ValueError: When it is only a name, and there is none such.
        """
        if reference in self.own:
            return OURS
        if (entries := self._entries().get(reference)) is not None:
            return _packages(entries)
        if (place := read_reference(reference)) is not None:
            return place.place
        if reference.endswith(tuple(self._suffixes)):
            return reference
        raise ValueError(self._unknown(reference, None))

    def version(self, reference: str, directory: Path | None = None) -> str | None:
        """
        The version of what a reference leads to: `sha256:…` of its file, or the distribution with
        its version; None for ours, and for what there is not.
        """
        if reference in self.own:
            return None
        if (entries := self._entries().get(reference)) is not None:
            return _packages(entries)
        path = file_of(reference, directory)
        return None if path is None else f"sha256:{sha256(path)}"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, without loading what it means."""
        return (*self.own, *(name for name in self._entries() if name not in self.own))

    def broken(self) -> dict[str, str]:
        """Why an entry point cannot be used, in one line: `name: package: what went wrong`."""
        found = {}
        for name, entries in self._entries().items():
            if name in self.own:
                packages, value = _packages(entries), entries[0].value
                found[name] = f"{name}: {packages}: the name is ours; refer to it as {value}"
                continue
            try:
                self.find(name)
            except ValueError as error:
                found[name] = str(error)
        return found

    def __getitem__(self, reference: str) -> T:
        try:
            return self.find(reference)
        except ValueError as error:
            raise KeyError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        broken = self.broken() if len(self.names) > len(self.own) else {}
        return (name for name in self.names if name in self.own or name not in broken)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def _instances(self) -> tuple[object, ...]:
        """Ours that are loaded, which a plug-in may have imported."""
        return tuple(each for each in self.own.values() if not isinstance(each, str))

    def _ours(self, name: str) -> T:
        """Raises ValueError when it needs a module that is not there."""
        own = self.own[name]
        if not isinstance(own, str):
            return own
        try:
            return self._made(_at(own), name)
        except ImportError as error:
            raise ValueError(f"{name}: cannot be loaded: {error}") from error

    def _made(self, found: Any, reference: str) -> T:
        try:
            return self.kind.made(found, reference)
        except ValueError as error:
            raise ValueError(f"{reference}: {error}") from error
        except (Exception, SystemExit) as error:  # Its constructor is not our code.
            what = f"{type(error).__name__}: {printable(reason(error))}"
            raise ValueError(f"{reference}: it cannot be made: {what}") from error

    def _entries(self) -> Mapping[str, tuple[Entry, ...]]:
        return _entries().get(self.kind.group, {})

    def _entered(self, name: str, entries: Sequence[Entry]) -> T:
        """What the entry points of a name lead to, if there is one."""
        try:
            if len(entries) > 1:
                values = " or ".join(dict.fromkeys(entry.value for entry in entries))
                raise ValueError(f"{len(entries)} packages have that name; say {values}")
            place, _, attribute = entries[0].value.partition("[")[0].partition(":")
            reference = Reference(place.strip(), attribute.strip(), is_file=False)
            module = load_module(reference)
            found = object_in(module, reference, self.kind.what, self.kind.fits)
            return self._made(found, name)
        except ValueError as error:
            text = str(error).removeprefix(f"{name}: ")
            raise ValueError(f"{name}: {_packages(entries)}: {text}") from error

    def _is_misspelt(self, text: str, directory: Path | None) -> bool:
        """Whether `name:more` looks like a module and there is no such module."""
        reference = read_reference(text)
        if reference is None or reference.is_file or "." in reference.place:
            return False
        return file_of(text, directory) is None

    def _unknown(self, reference: str, directory: Path | None) -> str:
        hint = ""
        if not reference.endswith(".py") and file_of(f"{reference}.py", directory) is not None:
            hint = f"; there is a file {reference}.py: say {reference}.py"
        return unknown(self.kind.what, reference, self.names) + hint


def _at(place: str) -> Any:
    """What is at `module:Name` of ours."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


@cache
def _entries() -> Mapping[str, Mapping[str, tuple[Entry, ...]]]:
    """
    Group -> name -> the entry points of that name, of all installed distributions.

    Of several copies of one distribution the first on the path counts, as for imports.
    """
    found: dict[str, dict[str, tuple[Entry, ...]]] = {}
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            name = str(distribution.metadata["Name"])
            if name.lower() in seen:
                continue
            seen.add(name.lower())
            points = tuple(distribution.entry_points)
        except Exception:  # Broken metadata concern only that distribution.
            continue
        for point in points:
            if point.group.startswith("dissever."):
                entry = Entry(point.name, point.value, f"{name} {distribution.version}")
                group = found.setdefault(point.group, {})
                group[point.name] = (*group.get(point.name, ()), entry)
    return {
        group: {name: _sorted(names[name]) for name in sorted(names)}
        for group, names in found.items()
    }


def _packages(entries: Iterable[Entry]) -> str:
    return " and ".join(entry.package for entry in entries)


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.package))
