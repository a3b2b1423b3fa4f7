"""
What the records say of faults, as the tables in Markdown of docs/faults.md.

Tables stand between `<!-- faults NAME,NAME,… -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dissever.harness.cluster.backends import Backend
from dissever.nemesis.fault import Fault
from dissever.nemesis.faults import FAULTS
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.parameters import Parameter
from dissever.nemesis.targets import LINK_TARGETS, NODE_TARGETS

__all__ = ["filled_in", "table"]

_TABLE = re.compile(r"(<!-- faults (?P<names>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEADS = (
    "fault",
    "what it can do",
    "targets",
    "evidence",
    "healed when",
    "needs",
    "on simulated hosts",
)
_SETTING_HEADS = ("setting", "of", "what it is", "valid", "drawn by the seed", "otherwise")
_UNNAMED = (Offer.ROOM, Offer.PEER_PORTS, Offer.CLIENT_PORTS, Offer.LEADERS)
"""What hardly any system lacks."""


def table(faults: Sequence[Fault]) -> str:
    """A row for each fault, and a second table with a row for each setting, if there is any."""
    users: dict[Parameter, list[str]] = {}
    for fault in faults:
        for parameter in fault.parameters:
            users.setdefault(parameter, []).append(f"`{fault.name}`")
        for parameter in fault.on(Backend.SIMULATED).parameters:
            if parameter not in fault.parameters:
                users.setdefault(parameter, []).append(f"`{fault.name}` on simulated hosts")
    settings = [
        _setting(parameter, "all" if len(names) == len(faults) > 1 else ", ".join(names))
        for parameter, names in users.items()
    ]
    rows = _rows(_HEADS, [_fault(fault) for fault in faults])
    return rows + ("\n" + _rows(_SETTING_HEADS, settings) if settings else "")


def filled_in(text: str) -> str:
    """
    A document with its tables as the records are now.

    Raises:
        KeyError: For a name that there is not.
    """

    def fill(found: re.Match[str]) -> str:
        rows = table([FAULTS[name] for name in found["names"].split(",")])
        return f"{found[1]}\n{rows}\n{found[3]}"

    return _TABLE.sub(fill, text)


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns that would be empty are left out."""
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    lines = [[heads[i] for i in kept], ["---"] * len(kept), *([r[i] for i in kept] for r in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _fault(fault: Fault) -> tuple[str, ...]:
    needs = [n.value for n in fault.needs if isinstance(n, Need | Offer) and n not in _UNNAMED]
    return (
        f"`{fault.name}`",
        fault.description,
        _targets(fault),
        fault.held,
        fault.healed,
        ", ".join(needs),
        _simulated(fault),
    )


def _simulated(fault: Fault) -> str:
    """What shows it on simulated hosts; empty where it cannot strike there."""
    if fault.unfit(Backend.SIMULATED) is not None:
        return ""
    if fault.simulated is not None:
        return fault.simulated.held
    is_alone = all(fault.unfit(backend) for backend in Backend if not backend.is_virtual)
    return "there alone" if is_alone else "the same"


def _targets(fault: Fault) -> str:
    if fault.targets == NODE_TARGETS:
        return "nodes"
    if fault.targets == LINK_TARGETS:
        return "links"
    return ", ".join(f"`{target}`" for target in fault.targets)


def _setting(parameter: Parameter, users: str) -> tuple[str, ...]:
    unit = f" {parameter.unit}" if parameter.unit else ""
    return (
        f"`{parameter.name}`",
        users,
        parameter.description,
        parameter.accepts + unit,
        parameter.drawn.text if parameter.drawn else "",
        "" if parameter.default is None else str(parameter.default),
    )
