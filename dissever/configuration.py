"""
What a project says once for all of its runs: `[tool.dissever]` in its pyproject.toml.

    [tool.dissever]
    system = "mykv.py"
    faults = ["partition", "kill"]

    [tool.dissever.profiles.nightly]
    time-limit = 600

Keys are the long names of the options of `dissever test`; `options` holds those of the system and
of the workload. A profile is laid over what stands above it. A value is kept as the word that it
would be on the command line, so that there is one check and one message for both. Paths are
relative to the file, and become relative to the current directory when it is read.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from dissever.harness.options import unknown
from dissever.harness.values import quoted

__all__ = [
    "ENVIRONMENT",
    "NOTHING",
    "Configuration",
    "Keys",
    "find",
    "here",
    "is_in_force",
    "near",
    "read",
    "word",
]

FILE: Final = "pyproject.toml"
ENVIRONMENT: Final = "DISSEVER"
"""`DISSEVER_TIME_LIMIT=60` stands for `--time-limit 60`."""

_OWN: Final = "options"
_PROFILES: Final = "profiles"
_REFERENCES: Final = (".py", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Keys:
    """
    The keys that there are. `paths` hold a file or folder, `references` may: `mykv.py:MyKv`.

    `exclusive`: of each group at most one has a value, and a profile's replaces another one above.
    """

    names: tuple[str, ...]
    paths: Collection[str] = ()
    references: Collection[str] = ()
    exclusive: Collection[Collection[str]] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    What a file says, as words of a command line.

    `settings` and `own`, the options of the system and the workload, map a name to its word, or to
    whether a flag is set. `places` says of each, an own one as `options.<name>`, in which table of
    which file it stands. `path` is None where there is no file.
    """

    path: Path | None = None
    settings: Mapping[str, str | bool] = field(default_factory=dict)
    own: Mapping[str, str | bool] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)


NOTHING: Final = Configuration()


def find(start: Path | None = None) -> Path | None:
    """
    The nearest pyproject.toml with a table `tool.dissever`, from a directory upwards, or None.

    A file that cannot be read is left out, unless it says `tool.dissever`: `read` tells why.

    Args:
        start: None: the current directory.
    """
    try:
        here = (start or Path()).resolve()
    except FileNotFoundError:  # The current directory is gone.
        return None
    for directory in (here, *here.parents):
        path = directory / FILE
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if "dissever" in text and _says(text):
            return path
    return None


@lru_cache(maxsize=16)
def _says(text: str) -> bool:
    try:
        return "dissever" in tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError:
        return "tool.dissever" in text


def is_in_force() -> bool:
    """Whether a command that is started here would take settings from a file or the environment."""
    given = any(name.startswith(f"{ENVIRONMENT}_") for name in os.environ)
    return given or find() is not None


def read(path: Path, keys: Keys, profile: str | None = None) -> Configuration:
    """
    What a file says, with a profile laid over it.

    Raises:
        ValueError: One line with the file and the key: for a key or a profile that there is not
            (with the nearest name), and for a value of a type that no option has.
        OSError: When the file cannot be read.
    """
    name = near(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: expected TOML: {error}") from error
    table = document["tool"]["dissever"]
    place = f"{name} [tool.dissever"
    base = _Layer.of(table, f"{place}]", path.parent, keys)
    profiles = table.get(_PROFILES, {})
    if not isinstance(profiles, dict):
        raise ValueError(f"{place}.{_PROFILES}]: expected tables, got {quoted(profiles)}")
    layers = {
        each: _Layer.of(said, f"{place}.{_PROFILES}.{each}]", path.parent, keys)
        for each, said in profiles.items()
    }
    if profile is None:
        return _merged(path, (base,), keys)
    if profile not in layers:
        what = unknown("profile", profile, tuple(layers) or ("none",))
        raise ValueError(f"{place}.{_PROFILES}]: {what}")
    return _merged(path, (base, layers[profile]), keys)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One table of a file."""

    place: str
    settings: Mapping[str, str | bool]
    own: Mapping[str, str | bool]

    @classmethod
    def of(cls, table: Any, place: str, directory: Path, keys: Keys) -> _Layer:
        """Raises ValueError, one line."""
        if not isinstance(table, dict):
            raise ValueError(f"{place}: expected a table, got {quoted(table)}")
        settings: dict[str, str | bool] = {}
        for given, value in table.items():
            if given in (_OWN, _PROFILES):
                continue
            key = given.replace("_", "-")
            if key not in keys.names:
                raise ValueError(f"{place}: {unknown('key', given, (*keys.names, _OWN))}")
            if key in settings:
                raise ValueError(f"{place}: expected {key} once, got {given} as well")
            settings[key] = _placed(key, _word(value, f"{place} {given}"), directory, keys)
        own = table.get(_OWN, {})
        if not isinstance(own, dict):
            raise ValueError(f"{place} {_OWN}: expected a table, got {quoted(own)}")
        words = {
            key.replace("_", "-"): _near_reference(_word(value, f"{place} {_OWN}.{key}"), directory)
            for key, value in own.items()
        }
        return cls(place, settings, words)


def _merged(path: Path, layers: Collection[_Layer], keys: Keys) -> Configuration:
    settings: dict[str, str | bool] = {}
    own: dict[str, str | bool] = {}
    places: dict[str, str] = {}
    for layer in layers:
        for group in keys.exclusive:
            if any(name in layer.settings for name in group):
                for name in group:
                    settings.pop(name, None)
        settings |= layer.settings
        own |= layer.own
        places |= dict.fromkeys(layer.settings, layer.place)
        places |= dict.fromkeys((f"{_OWN}.{name}" for name in layer.own), layer.place)
    return Configuration(path, settings, own, places)


def word(value: Any) -> str | bool:
    """
    A value as the word that stands for it on a command line; the elements of a list with commas
    between them. A bool stays one.

    Raises:
        ValueError: For a value that no option has.
    """
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return f"{value!r}"
    if isinstance(value, os.PathLike):
        return str(Path(value))
    if isinstance(value, Collection) and not isinstance(value, Mapping):
        return ",".join(_element(each, value) for each in value)
    raise ValueError(f"expected text, a number, true, false or a list, got {quoted(value)}")


def _element(value: Any, of: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | os.PathLike):
        raise ValueError(f"expected a list of texts or whole numbers, got {quoted(of)}")
    return str(value)


def _word(value: Any, where: str) -> str | bool:
    try:
        return word(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _placed(key: str, value: str | bool, directory: Path, keys: Keys) -> str | bool:
    """A path of the file, as it is from the current directory."""
    if isinstance(value, bool):
        return value
    if key in keys.paths:
        return near(directory / value)
    if key in keys.references:
        return ",".join(str(_near_reference(each, directory)) for each in value.split(","))
    return value


def _near_reference(value: str | bool, directory: Path) -> str | bool:
    """`mykv.py:MyKv`, as it is from the current directory; a name that is no path stays."""
    if isinstance(value, bool) or not _is_path(value):
        return value
    return near(directory / value)


def _is_path(reference: str) -> bool:
    file, _, _ = reference.partition(":")
    return file.endswith(_REFERENCES) or reference.startswith(("./", "../"))


def here() -> str:
    """The current directory; empty where it is gone."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def near(path: Path) -> str:
    """Relative to the current directory, by way of its parents if need be."""
    return os.path.relpath(path)
