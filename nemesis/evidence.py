"""What was seen from outside of one operation of a fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FaultEvidence:
    """
    What was seen of one operation of a fault.

    `is_so`: whether it did what it is for; None when it struck nobody. `facts` are the evidence,
    and `notes` what else the history says. `error`: why it is not so, where there is more to say.
    """

    targets: tuple[str, ...]
    is_so: bool | None
    facts: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
