"""
dissever breaks a replicated database on purpose and judges what it answered.

    from dissever import run

    assert run(system="mykv.py", workload="register", faults=["partition", "kill"], seed=7).is_valid

Public are the names here, those of `dissever.generators` and `dissever.faults`, and the command
line: docs/api.md lists them. Everything else is private and may change in any release.

A name is imported when it is first used, so that `import dissever` costs little. The rooms stand
at the top level of the repository and are linked here, so that their one import name is
`dissever.<room>`; see ARCHITECTURE.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dissever.api import check as check
    from dissever.api import model as model
    from dissever.api import run as run
    from dissever.checkers.linearizability.checker import Linearizable as Linearizable
    from dissever.checkers.linearizability.model import REFUSED as REFUSED
    from dissever.checkers.linearizability.model import UNKNOWN as UNKNOWN
    from dissever.checkers.linearizability.model import Misfit as Misfit
    from dissever.checkers.linearizability.model import Model as Model
    from dissever.checkers.run_checker import Remains as Remains
    from dissever.checkers.run_checker import RunChecker as RunChecker
    from dissever.checkers.set import GrowOnlySet as GrowOnlySet
    from dissever.harness.client import Client as Client
    from dissever.harness.client import Completion as Completion
    from dissever.harness.client import Invocation as Invocation
    from dissever.harness.client import NotApplied as NotApplied
    from dissever.harness.cluster.backends import Backend as Backend
    from dissever.harness.forward import Endpoint as Endpoint
    from dissever.harness.history import Event as Event
    from dissever.harness.history import History as History
    from dissever.harness.history import Key as Key
    from dissever.harness.history import Operation as Operation
    from dissever.harness.history import Type as Type
    from dissever.harness.missing import Missing as Missing
    from dissever.harness.options import Option as Option
    from dissever.harness.plan import OnCrash as OnCrash
    from dissever.harness.plan import Options as Options
    from dissever.harness.results import Anomaly as Anomaly
    from dissever.harness.results import Budget as Budget
    from dissever.harness.results import Checker as Checker
    from dissever.harness.results import Result as Result
    from dissever.harness.results import Results as Results
    from dissever.harness.results import Step as Step
    from dissever.harness.results import Verdict as Verdict
    from dissever.harness.runner import CannotRun as CannotRun
    from dissever.harness.system import Builds as Builds
    from dissever.harness.system import Damaged as Damaged
    from dissever.harness.system import Deployment as Deployment
    from dissever.harness.system import Digest as Digest
    from dissever.harness.system import Lacks as Lacks
    from dissever.harness.system import Members as Members
    from dissever.harness.system import Membership as Membership
    from dissever.harness.system import NamesNodes as NamesNodes
    from dissever.harness.system import OffersMethods as OffersMethods
    from dissever.harness.system import Ports as Ports
    from dissever.harness.system import Primaries as Primaries
    from dissever.harness.system import Replicas as Replicas
    from dissever.harness.system import Role as Role
    from dissever.harness.system import Snapshot as Snapshot
    from dissever.harness.system import Snapshots as Snapshots
    from dissever.harness.system import System as System
    from dissever.harness.system import Unseen as Unseen
    from dissever.harness.system import Upgrades as Upgrades
    from dissever.nemesis.fault import Fault as Fault
    from dissever.running import NotValid as NotValid
    from dissever.running import Run as Run
    from dissever.starting import CannotStrike as CannotStrike
    from dissever.starting import DidNotHold as DidNotHold
    from dissever.starting import StartedCluster as StartedCluster
    from dissever.starting import start as start
    from dissever.systems.clients.program import Program as Program
    from dissever.systems.compose import Compose as Compose
    from dissever.systems.processes import Processes as Processes
    from dissever.systems.templates import Node as Node
    from dissever.workloads.register import Registers as Registers
    from dissever.workloads.set import Elements as Elements
    from dissever.workloads.workload import Workload as Workload

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - Grouped by what they are for.
    "__version__",
    # Run a test, and judge a history.
    "run",
    "check",
    "Run",
    "NotValid",
    "CannotRun",
    "Options",
    "OnCrash",
    "start",
    "StartedCluster",
    "DidNotHold",
    "CannotStrike",
    # What was judged.
    "Verdict",
    "Results",
    "Result",
    "Anomaly",
    "Step",
    # A system that is a command, and its clients.
    "Processes",
    "Compose",
    "Node",
    "Endpoint",
    "Program",
    "NotApplied",
    "Option",
    "Missing",
    "Backend",
    # A system that is a class, and what it may offer.
    "System",
    "Deployment",
    "Ports",
    "Primaries",
    "Membership",
    "Members",
    "Role",
    "Upgrades",
    "Builds",
    "Snapshots",
    "Snapshot",
    "Replicas",
    "Digest",
    "Damaged",
    "Unseen",
    "NamesNodes",
    "OffersMethods",
    "Lacks",
    # A workload.
    "Workload",
    "Client",
    "Invocation",
    "Completion",
    "Registers",
    "Elements",
    # A history, and a checker of it.
    "History",
    "Event",
    "Operation",
    "Type",
    "Key",
    "Checker",
    "Budget",
    "RunChecker",
    "Remains",
    "Linearizable",
    "GrowOnlySet",
    # A model of an object.
    "Model",
    "model",
    "REFUSED",
    "UNKNOWN",
    "Misfit",
    # A fault; what it is made of is in `dissever.faults`.
    "Fault",
]

_PLACES = {
    "api": ("check", "model", "run"),
    "checkers.linearizability.checker": ("Linearizable",),
    "checkers.linearizability.model": ("Misfit", "Model", "REFUSED", "UNKNOWN"),
    "checkers.run_checker": ("Remains", "RunChecker"),
    "checkers.set": ("GrowOnlySet",),
    "harness.client": ("Client", "Completion", "Invocation", "NotApplied"),
    "harness.cluster.backends": ("Backend",),
    "harness.forward": ("Endpoint",),
    "harness.history": ("Event", "History", "Key", "Operation", "Type"),
    "harness.missing": ("Missing",),
    "harness.options": ("Option",),
    "harness.plan": ("OnCrash", "Options"),
    "harness.results": ("Anomaly", "Budget", "Checker", "Result", "Results", "Step", "Verdict"),
    "harness.runner": ("CannotRun",),
    "harness.system": (
        "Builds",
        "Damaged",
        "Deployment",
        "Digest",
        "Lacks",
        "Members",
        "Membership",
        "NamesNodes",
        "OffersMethods",
        "Ports",
        "Primaries",
        "Replicas",
        "Role",
        "Snapshot",
        "Snapshots",
        "System",
        "Unseen",
        "Upgrades",
    ),
    "nemesis.fault": ("Fault",),
    "running": ("NotValid", "Run"),
    "starting": ("CannotStrike", "DidNotHold", "StartedCluster", "start"),
    "systems.clients.program": ("Program",),
    "systems.compose": ("Compose",),
    "systems.processes": ("Processes",),
    "systems.templates": ("Node",),
    "workloads.register": ("Registers",),
    "workloads.set": ("Elements",),
    "workloads.workload": ("Workload",),
}
"""Where the names are, by the module in this package."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    for module, names in _PLACES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
