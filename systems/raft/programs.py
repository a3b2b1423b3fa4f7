"""
Simulators that are looked for once while this program runs: finding one asks the compiler.

One that is missing is looked for again, since it may be built later.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dissever.harness import store
from dissever.harness.missing import Missing
from dissever.systems.raft.libraries import VARIANTS, simulator

__all__ = ["described", "program"]


def program(variant: str, *, may_build: bool = True) -> Path | Missing:
    """As `libraries.simulator`."""
    try:
        return _found(variant, may_build=may_build)
    except _NotFoundError as error:
        return error.missing
    except OSError as error:
        why = f"the simulator {variant} cannot be kept: {error}"
        return Missing(why, "set XDG_CACHE_HOME to a folder that you can write")


def described(variant: str) -> dict[str, str]:
    """The library, and the digest of the simulator with that library inside it; for the plan."""
    found = program(variant, may_build=False)
    if isinstance(found, Missing):
        return {}
    return {"library": VARIANTS[variant].library, "simulator": f"sha256:{_digest(found)}"}


class _NotFoundError(Exception):
    """There is none yet."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.reason)
        self.missing = missing


@cache
def _found(variant: str, *, may_build: bool) -> Path:
    found = simulator(variant, may_build=may_build)
    if isinstance(found, Missing):
        raise _NotFoundError(found)
    return found


@cache
def _digest(program: Path) -> str:
    return store.digest(program)
