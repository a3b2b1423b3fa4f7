"""What can run on this machine, what cannot, and the remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dissever import __version__
from dissever.harness.client import Missing
from dissever.harness.cluster import backends
from dissever.nemesis import FAULTS, Backend
from dissever.nemesis.toxiproxy import server as toxiproxy
from dissever.systems import SYSTEMS, load


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    available: bool
    detail: str = ""
    remedy: str = ""


class FaultFinding(msgspec.Struct, frozen=True):
    """Whether a fault can be injected on a backend."""

    fault: str
    backend: str
    available: bool
    reason: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """Everything that was found; the fields are those of `doctor --json`."""

    version: str
    user: str
    findings: tuple[Finding, ...]
    systems: tuple[Finding, ...]
    faults: tuple[FaultFinding, ...]

    @property
    def is_well(self) -> bool:
        """Whether every system can run."""
        return all(finding.available for finding in self.systems)


def diagnose() -> Diagnosis:
    """Look at the machine. It tries things out, and takes a second or so."""
    tried = {backend: backends.probe(backend) for backend in Backend}
    return Diagnosis(
        version=__version__,
        user="root" if os.geteuid() == 0 else f"uid {os.geteuid()}",
        findings=(
            _found("python", platform.python_version(), sys.version_info >= (3, 11)),
            _found("kernel", platform.release(), sys.platform == "linux"),
            _native(),
            _finding(
                "network namespaces", tried[Backend.NAMESPACES], "tried: a keeper, two nodes, a cut"
            ),
            *_engine(tried[Backend.CONTAINERS]),
            *(_tool(name, remedy) for name, remedy in _TOOLS.items()),
            _toxiproxy(),
        ),
        systems=tuple(_system(name) for name in SYSTEMS),
        faults=tuple(_faults(tried)),
    )


_TOOLS = {
    "ip": "apt-get install iproute2",
    "nft": "apt-get install nftables",
    "chromium": "only the report's own tests need it: apt-get install chromium",
}


def _engine(missing: Missing | None) -> list[Finding]:
    """The Docker engine and our images. No run needs them but one with `--backend containers`."""
    if missing is not None:
        return [Finding("containers", False, missing.reason, missing.remedy)]
    found = backends.images("dissever/*")
    names = (
        f"{tag} ({marks.get('dissever.library', marks['id'])})" for tag, marks in found.items()
    )
    return [
        Finding("containers", True, f"tried: {backends.engine_version()}"),
        Finding("images", True, ", ".join(sorted(names))),
    ]


def _faults(tried: Mapping[Backend, Missing | None]) -> list[FaultFinding]:
    """Every fault on every backend."""
    return [
        _fault(name, backend, absent or record.missing(backend))
        for name, record in FAULTS.items()
        for backend, absent in tried.items()
    ]


def _fault(name: str, backend: Backend, missing: Missing | None) -> FaultFinding:
    reason = "" if missing is None else missing.reason
    return FaultFinding(name, backend.value, missing is None, reason)


def _system(name: str) -> Finding:
    try:
        system = load(name)
        missing = system.probe()
    except ImportError as error:
        return Finding(name, False, str(error), "install dissever with all its dependencies")
    if missing is not None:
        return Finding(name, False, missing.reason, missing.remedy)
    versions = ", ".join(f"{key} {value}" for key, value in system.versions().items())
    return Finding(name, True, versions or system.description)


def _native() -> Finding:
    spec = importlib.util.find_spec("dissever.native._search")
    if spec is None:
        return Finding("native search", False, "not built", "pip install -e . with a C compiler")
    return Finding("native search", True, str(spec.origin))


def _tool(name: str, remedy: str) -> Finding:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return Finding(name, path is not None, path or "not found", "" if path else remedy)


def _toxiproxy() -> Finding:
    missing = None if isinstance(found := toxiproxy.find(), Path) else found
    return _finding("toxiproxy-server", missing, str(found))


def _finding(what: str, missing: Missing | None, detail: str) -> Finding:
    if missing is None:
        return Finding(what, True, detail)
    return Finding(what, False, missing.reason, missing.remedy)


def _found(what: str, detail: str, available: bool) -> Finding:
    return Finding(what, available, detail, "" if available else "a newer one is needed")


def rows(diagnosis: Diagnosis) -> list[tuple[str, Any]]:
    """The tables that `doctor` prints: a title and its findings."""
    return [("machine", diagnosis.findings), ("systems", diagnosis.systems)]
