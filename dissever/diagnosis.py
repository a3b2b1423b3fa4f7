"""What can run on this machine, what cannot, and the remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dissever import __version__
from dissever.harness.cluster import Clocks, backends, surroundings
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.plugins import OURS
from dissever.harness.system import Lacks, System
from dissever.nemesis import FAULTS, Backend, Fault
from dissever.nemesis.toxiproxy import server as toxiproxy
from dissever.systems import SYSTEMS, load
from dissever.systems.raft.libraries import VARIANTS
from dissever.systems.raft.programs import program


def _ignore(_: str) -> None:
    """Nobody waits for it."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried, and what would help if it is not there."""

    what: str
    available: bool
    detail: str = ""
    remedy: str = ""


class FaultCheck(msgspec.Struct, frozen=True):
    """Whether a fault can be injected on a backend."""

    fault: str
    backend: str
    available: bool
    reason: str = ""
    remedy: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """Everything that was tried; the fields are those of `doctor --json`."""

    version: str
    user: str
    machine: tuple[Check, ...]
    systems: tuple[Check, ...]
    simulators: tuple[Check, ...]
    faults: tuple[FaultCheck, ...]

    @property
    def is_well(self) -> bool:
        """Whether a system of one's own can run: nodes have a place, and there is the search."""
        available = {check.what for check in self.machine if check.available}
        return SEARCH in available and bool({NAMESPACES, CONTAINERS} & available)


def diagnose(*, may_build: bool = False, begins: Callable[[str], None] = _ignore) -> Diagnosis:
    """
    Look at the machine. It tries things out, and takes a second or so.

    Args:
        may_build: Fetch what simulators are made of, and build those that are missing.
        begins: Hears the name of each simulator before it is built.
    """
    simulators = tuple(_simulator(name, begins, may_build=may_build) for name in VARIANTS)
    tried = {backend: backends.probe(backend) for backend in Backend}
    return Diagnosis(
        version=__version__,
        user="root" if os.geteuid() == 0 else f"uid {os.geteuid()}",
        machine=(
            _found("python", platform.python_version(), sys.version_info >= (3, 11)),
            Check("kernel", True, surroundings.described()),
            _native(),
            _check(NAMESPACES, tried[Backend.NAMESPACES], "tried: a keeper, two nodes, a cut"),
            *_engine(tried[Backend.CONTAINERS]),
            _compose(tried[Backend.COMPOSE]),
            _control_groups(),
            *(_tool(name, remedy) for name, remedy in _TOOLS.items()),
            _toxiproxy(),
        ),
        systems=tuple(_system(name) for name in SYSTEMS),
        simulators=simulators,
        faults=tuple(_faults(tried)),
    )


SEARCH: Final = "native search"
NAMESPACES: Final = "network namespaces"
CONTAINERS: Final = "containers"

_TOOLS = {
    "ip": "apt-get install iproute2",
    "nft": "apt-get install nftables",
    "chromium": "only the report's own tests need it: apt-get install chromium",
}


def _engine(missing: Missing | None) -> list[Check]:
    """The Docker engine and our images. No run needs them but one with `--backend containers`."""
    if missing is not None:
        return [Check(CONTAINERS, False, missing.reason, missing.remedy)]
    from dissever.harness.cluster import engine  # Needs the Docker SDK.

    found = engine.images("dissever/*")
    names = (
        f"{tag} ({marks.get('dissever.library', marks['id'])})" for tag, marks in found.items()
    )
    return [
        Check(CONTAINERS, True, f"tried: {engine.version()}"),
        Check("images", True, ", ".join(sorted(names))),
    ]


def _compose(missing: Missing | None) -> Check:
    """Only a system that is a Compose project needs it."""
    return _check("compose", missing, "tried: an engine, and a tool that reads Compose files")


def _control_groups() -> Check:
    """Only the faults that limit nodes need them; whether they work is in the table of faults."""
    found = surroundings.control_groups()
    if found:
        return Check("control groups", True, found)
    remedy = "only limit-cpu and limit-memory need them: mount them at /sys/fs/cgroup"
    return Check("control groups", False, "none at /sys/fs/cgroup", remedy)


def _faults(tried: Mapping[Backend, Missing | None]) -> list[FaultCheck]:
    """Every fault on every backend."""
    return [
        _fault(name, backend, absent or _lack(name, record, backend))
        for name, record in FAULTS.items()
        for backend, absent in tried.items()
    ]


def _lack(name: str, record: Fault, backend: Backend) -> Missing | None:
    try:
        return record.missing(backend)
    except Exception as error:  # A fault of somebody else's; the others are looked at.
        if name in FAULTS.own:
            raise
        origin = FAULTS.origin(name)
        return Missing(f"{type(error).__name__}: {error}", f"mend {origin}")


def _fault(name: str, backend: Backend, missing: Missing | None) -> FaultCheck:
    if missing is None:
        return FaultCheck(name, backend.value, True)
    return FaultCheck(name, backend.value, False, missing.reason, missing.remedy)


def _system(name: str) -> Check:
    try:
        system = load(name)
        missing = system.probe()
        versions = "" if missing else ", ".join(map(" ".join, system.versions().items()))
        unreached = _unreached(system)
    except ValueError as error:
        return Check(name, False, str(error), "install dissever with all its dependencies")
    except Exception as error:  # A system of somebody else's; the others are looked at.
        origin = SYSTEMS.origin(name)
        if origin == OURS:
            raise
        return Check(name, False, f"{type(error).__name__}: {error}", f"mend {origin}")
    if missing is not None:
        return Check(name, False, missing.reason, missing.remedy)
    return Check(name, True, (versions or system.description) + unreached)


def _unreached(system: System) -> str:
    """That no fault of clocks reaches a system, where that is so."""
    if not isinstance(system, Lacks):
        return ""
    try:
        why = system.lacks(Options(system=system.name, workload="")).get(Clocks)
    except ValueError:  # It cannot be said without its options.
        return ""
    return f"; faults of clocks do not reach it: {why}" if why else ""


def _simulator(name: str, begins: Callable[[str], None], *, may_build: bool) -> Check:
    """Only raft, and dqlite in virtual time, need one."""
    found = program(name, may_build=False)
    if isinstance(found, Missing) and may_build:
        begins(name)
        found = program(name)
    if isinstance(found, Missing):
        return Check(name, False, found.reason, found.remedy)
    return Check(name, True, f"{VARIANTS[name].library}: {found}")


def _native() -> Check:
    spec = importlib.util.find_spec("dissever.native._search")
    if spec is None:
        return Check(SEARCH, False, "not built", "pip install dissever: its wheel has it")
    return Check(SEARCH, True, "built")


def _tool(name: str, remedy: str) -> Check:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return Check(name, path is not None, path or "not found", "" if path else remedy)


def _toxiproxy() -> Check:
    missing = None if isinstance(found := toxiproxy.find(), Path) else found
    return _check("toxiproxy-server", missing, str(found))


def _check(what: str, missing: Missing | None, detail: str) -> Check:
    if missing is None:
        return Check(what, True, detail)
    return Check(what, False, missing.reason, missing.remedy)


def _found(what: str, detail: str, available: bool) -> Check:
    return Check(what, available, detail, "" if available else "a newer one is needed")
