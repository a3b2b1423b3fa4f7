"""
References to what somebody else wrote: `mykv.py`, `dir/mykv.py:MyKv`, or `package.module:Name`.

A file is executed once in a process. Its folder is importable for it, so that it can have helpers
beside it. What it prints while it is loaded goes to standard error, so that the output of a command
stays the command's. Whatever goes wrong is a ValueError of one line: a plug-in spoils nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from dissever.harness.values import listed, plain, printable, quoted, shorten

__all__ = [
    "Reference",
    "file_of",
    "is_loading",
    "label",
    "load_module",
    "load_object",
    "names_in",
    "object_in",
    "read_reference",
    "sha256",
]

FILE_BYTES_MAX: Final = 4 << 20
"""Of a plug-in's source; a larger file is none."""

MESSAGE_CHARS_MAX: Final = 300

_FILE: Final = re.compile(r"(?P<place>.+\.py)(?::(?P<name>[^/]*))?", re.DOTALL)
_MODULE: Final = re.compile(r"(?P<place>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^/]+)")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")

_loaded: dict[Path, ModuleType | ValueError | None] = {}
"""Like `sys.modules`, for files: what came of each. None while it is being executed."""

_folders: set[Path] = set()
"""The folders that are importable for plug-ins."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where something is: `place` is a path or the name of a module; no `name`: what is there."""

    place: str
    name: str
    is_file: bool

    def __str__(self) -> str:
        return f"{self.place}:{self.name}" if self.name else self.place


def read_reference(text: str) -> Reference | None:
    """What a text refers to; None when it can only be a name."""
    if found := _FILE.fullmatch(text):
        return Reference(found["place"], found["name"] or "", is_file=True)
    if found := _MODULE.fullmatch(text):
        return Reference(found["place"], found["name"], is_file=False)
    return None


def label(text: str) -> str:
    """A reference as the name of a folder: `mykv` of `dir/mykv.py`, `MyKv` of `mykv.py:MyKv`."""
    reference = read_reference(text)
    last = text if reference is None else reference.name or Path(reference.place).stem
    if reference is None and "/" in text:
        last = Path(text).stem
    return _UNSAFE.sub("-", last).strip(".-") or "unnamed"


def file_of(text: str, directory: Path | None = None) -> Path | None:
    """
    The file that a reference leads to; None when it leads to none, or is only a name.

    Args:
        directory: What a relative path is relative to; None: the current directory.
    """
    reference = read_reference(text)
    if reference is None:
        path = _path(text, directory)
        return path if path.suffix and _is_file(path) else None
    if reference.is_file:
        path = _path(reference.place, directory)
        return path if _is_file(path) else None
    try:
        with _importable(directory or Path.cwd(), stays=False):
            spec = importlib.util.find_spec(reference.place)
    except (Exception, SystemExit):  # A package that it is in is loaded for this.
        return None
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def is_loading() -> bool:
    """Whether a plug-in's file is being executed now."""
    return None in _loaded.values()


def load_object(
    text: str,
    what: str,
    fits: Callable[[Any], bool],
    *,
    directory: Path | None = None,
    ours: tuple[object, ...] = (),
) -> Any:
    """
    What a reference leads to: the object of that name, or the only one there that fits.

    Instances come before classes and functions, of which only those count that were defined there.
    A list or tuple of instances counts as each of them. Names with a leading underscore are
    private.

    Args:
        what: What is looked for, in words: `system`, `client`.
        fits: Whether an object looks like one.
        directory: What a relative path is relative to; None: the current directory.
        ours: What does not count, because the plug-in only imported it.

    Raises:
        ValueError: In one line, when there is none, more than one, or the plug-in is broken.
    """
    reference = read_reference(text)
    if reference is None:
        raise ValueError(f"expected a path such as my.py or package:Name, got {quoted(text)}")
    module = load_module(reference, directory)
    return object_in(module, reference, what, fits, ours)


def names_in(
    text: str, fits: Callable[[Any], bool], *, ours: tuple[object, ...] = ()
) -> tuple[str, ...]:
    """
    References to everything in a file that may be meant by its path; itself where that is one.

    Raises:
        ValueError: In one line, when the file is broken.
    """
    reference = read_reference(text)
    if reference is None or not reference.is_file or reference.name:
        return (text,)
    found = _candidates(load_module(reference), fits, ours)
    return (text,) if len(found) == 1 else tuple(f"{reference.place}:{name}" for name in found)


def object_in(
    module: ModuleType,
    reference: Reference,
    what: str,
    fits: Callable[[Any], bool],
    ours: tuple[object, ...] = (),
) -> Any:
    """As `load_object`, out of a module that is loaded."""
    found = _candidates(module, fits, ours)
    if reference.name:
        return _named(module, reference, what, found)
    if not found:
        raise ValueError(f"{reference.place}: expected {_a(what)}, found none")
    if len(found) > 1:
        names = listed(found)
        first = next(iter(found))
        raise ValueError(
            f"{reference.place}: expected one {what}, found {names};"
            f" say which, such as {reference.place}:{first}"
        )
    (value,) = found.values()
    return value


def load_module(reference: Reference, directory: Path | None = None) -> ModuleType:
    """
    Execute what a reference's place names, if that was not done before.

    Raises:
        ValueError: In one line, when it cannot be loaded.
    """
    if reference.is_file:
        return _load_file(reference.place, _path(reference.place, directory))
    with _importable(directory or Path.cwd()):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return importlib.import_module(reference.place)
        except (Exception, SystemExit) as error:  # It is not our code: whatever it does is its own.
            if isinstance(error, ModuleNotFoundError) and _is_within(reference.place, error.name):
                raise ValueError(
                    f"{reference}: expected an importable module, found no {error.name}"
                ) from error
            raise ValueError(f"{reference.place}: {_what_went_wrong(error)}") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_file(shown: str, path: Path) -> ModuleType:
    _check_file(shown, path)
    if path not in _loaded:
        _loaded[path] = None
        try:
            _loaded[path] = _execute(shown, path)
        except ValueError as error:
            _loaded[path] = error
        except BaseException:
            del _loaded[path]
            raise
    found = _loaded[path]
    if found is None:
        raise ValueError(f"{shown}: it asks for itself while it is being loaded")
    if isinstance(found, ValueError):
        raise found
    return found


def _check_file(shown: str, path: Path) -> None:
    """Raises ValueError when it is no file that can be a plug-in."""
    try:
        if path.is_dir():
            raise ValueError(f"expected a Python file, got the directory {plain(shown)}")
        if not path.is_file():
            raise ValueError(f"expected a Python file, found none at {plain(shown)}")
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(f"{plain(shown)}: cannot be read: {error.strerror}") from error
    if size > FILE_BYTES_MAX:
        limit = f"expected a Python file of at most {FILE_BYTES_MAX:,} bytes"
        raise ValueError(f"{plain(shown)}: {limit}, got {size:,}")


def _execute(shown: str, path: Path) -> ModuleType:
    _check_neighbours(shown, path)
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    name = f"dissever_plugin_{digest[:12]}_{_UNSAFE.sub('_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses and pickle look there.
    _folders.add(path.parent)
    with _importable(path.parent, first=True):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # It is not our code: whatever it does is its own.
            del sys.modules[name]
            raise ValueError(f"{plain(shown)}: {_what_went_wrong(error, path)}") from error
    return module


def _check_neighbours(shown: str, path: Path) -> None:
    """Raises ValueError when it would get the helper of another plug-in in the place of its own."""
    for name in _imported(path):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if not origin:
            continue
        file = Path(origin)
        folder = file.parent.parent if file.stem == "__init__" else file.parent
        own = (path.parent / f"{name}.py", path.parent / name / "__init__.py")
        if folder in _folders - {path.parent} and any(map(_is_file, own)):
            raise ValueError(
                f"{plain(shown)}: the module {name} beside it has the name of {origin},"
                " which another plug-in loaded; rename one of them"
            )


def _imported(path: Path) -> Iterator[str]:
    """The names of the packages that a file imports; nothing of a file that Python cannot read."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return  # It is said when the file is executed.
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@contextlib.contextmanager
def _importable(folder: Path, *, first: bool = False, stays: bool = True) -> Iterator[None]:
    """
    The folder is on the path; `first`: before all others, as for a script. If it `stays`, it is the
    last of them later: it hides nothing, and what is imported late is found as well.
    """
    entry = str(folder)
    was_there = entry in sys.path
    is_added = first or not was_there
    if is_added:
        sys.path.insert(0 if first else len(sys.path), entry)
    try:
        yield
    finally:
        if is_added and entry in sys.path:
            sys.path.remove(entry)
            if stays and not was_there:
                sys.path.append(entry)


def _path(text: str, directory: Path | None) -> Path:
    path = (directory or Path.cwd()) / Path(text).expanduser()
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # A link that leads to itself: there is no file.
        return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_within(place: str, missing: str | None) -> bool:
    """Whether the module that is missing is the place itself, or a package that it is in."""
    return missing is not None and (place == missing or place.startswith(f"{missing}."))


def _candidates(
    module: ModuleType, fits: Callable[[Any], bool], ours: tuple[object, ...]
) -> dict[str, Any]:
    """Name -> object, for those that may be meant when none is named."""
    instances: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        for each in value if isinstance(value, list | tuple) else (value,):
            if any(each is other for other in ours) or not _does_fit(fits, each):
                continue
            if not isinstance(each, type | FunctionType):
                _keep(instances, name, each)
            elif _is_own(each, module):
                _keep(classes, name, each)
    return instances or classes


def _does_fit(fits: Callable[[Any], bool], value: Any) -> bool:
    try:
        return bool(fits(value))
    except Exception:  # A property of somebody else's object may raise anything.
        return False


def _keep(found: dict[str, Any], name: str, value: Any) -> None:
    """Under one name only, even where it stands under several; in a list under its own."""
    if any(value is other for other in found.values()):
        return
    own = getattr(value, "name", None)
    found[str(own) if name in found and own else name] = value


def _is_own(value: type | FunctionType, module: ModuleType) -> bool:
    return value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__name__}.")


def _named(module: ModuleType, reference: Reference, what: str, found: dict[str, Any]) -> Any:
    """An attribute; or of the candidates the one that calls itself so."""
    value: Any = module
    try:
        for part in reference.name.split("."):
            value = getattr(value, part)
    except AttributeError:
        for each in found.values():
            if getattr(each, "name", None) == reference.name:
                return each
        has = f"; it has {listed(found)}" if found else ""
        raise ValueError(
            f"{reference.place}: expected {_a(what)} named {plain(reference.name)}, found none{has}"
        ) from None
    return value


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _what_went_wrong(error: BaseException, path: Path | None = None) -> str:
    """In one line, with the line of the file, or of another that it is about."""
    kind = type(error).__name__
    message = shorten(printable(" ".join(str(error).split())), MESSAGE_CHARS_MAX)
    if isinstance(error, SyntaxError):
        file, line, message = error.filename, error.lineno, printable(str(error.msg))
    else:
        file, line = _place_of(error, path)
    is_other = file is not None and (path is None or file != str(path))
    where = (f"{plain(file)}: " if is_other else "") + (f"line {line}: " if line else "")
    if isinstance(error, SystemExit):
        return f"{where}it ends the program (SystemExit: {message}) while it is being loaded"
    return f"{where}{kind}: {message}" if message else f"{where}{kind}"


def _place_of(error: BaseException, path: Path | None) -> tuple[str | None, int | None]:
    """The last line of the file that was at work, or without a file, of any that was."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path is not None and frame.filename == str(path)]
    if path is None:
        own = [f for f in frames if not f.filename.startswith("<") and f.filename != __file__]
        own = [frame for frame in own if "importlib" not in Path(frame.filename).parts]
    return (own[-1].filename, own[-1].lineno) if own else (None, None)
