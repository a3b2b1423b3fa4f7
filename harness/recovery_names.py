"""
The operations at the end of a run that ask whether the system has come back, by name.

They are no faults. `recovery.py` carries them out, plans ask for them in this order, and the
checker `liveness` judges what they saw.
"""

from __future__ import annotations

from typing import Final

RECOVERY: Final = "recovery"
"""The process of these operations."""

PROGRESS: Final = "await-progress"
READY: Final = "await-ready"
RESTART: Final = "restart-all"
COMPARE: Final = "compare-replicas"
RESTART_AGAIN: Final = "restart-to-compare"
COMPARE_AGAIN: Final = "compare-after-restart"

ANOMALIES: Final = {
    PROGRESS: "no-progress",
    READY: "no-recovery",
    RESTART: "no-recovery-after-restart",
    COMPARE: "diverged",
    RESTART_AGAIN: "no-recovery-after-restart",
    COMPARE_AGAIN: "diverged-for-good",
}
"""Operation -> the anomaly when what it waits for does not come, in the order of a run."""

MAJORITY_ONLY: Final = "majority-only"
"""
The process that keeps a minority cut off while `await-progress` looks at the majority. It injects
and heals like a fault, but belongs to the end of a run: no plan asks for it.
"""
