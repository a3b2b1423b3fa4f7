"""The drivers that clients import: whether one is installed, and its version."""

from __future__ import annotations

from importlib import import_module, metadata
from importlib.util import find_spec

from dissever.harness.missing import Missing

__all__ = ["probe", "versions"]


def probe(system: str, module: str) -> Missing | None:
    """Why the clients of a system cannot import their driver, or None; no module, no driver."""
    if not module or _is_there(module):
        return None
    reason = f"the driver of {system}, {module}, is not installed"
    extras = metadata.metadata("dissever").get_all("Provides-Extra", [])
    return Missing(reason, f"pip install '{f'dissever[{system}]' if system in extras else module}'")


def versions(module: str) -> dict[str, str]:
    """`driver MODULE` -> its version; nothing without a module."""
    return {f"driver {module}": _version_of(module)} if module else {}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # A package that it is in.
        return False


def _version_of(module: str) -> str:
    """What a module says of itself, or the distribution that brings it; many say nothing."""
    if said := getattr(import_module(module), "__version__", None):
        return str(said)
    top = module.partition(".")[0]
    found = metadata.packages_distributions().get(top, ())
    return ", ".join(f"{each} {metadata.version(each)}" for each in found) or "not known"
