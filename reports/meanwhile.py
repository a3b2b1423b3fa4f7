"""Which faults were in force while the guilty operations of an anomaly ran."""

from __future__ import annotations

from collections.abc import Mapping

from dissever.harness.history import Operation
from dissever.harness.results import Anomaly
from dissever.reports.bands import Band, Faults, targets
from dissever.reports.labels import time_text


def meanwhile(
    anomaly: Anomaly, by_index: Mapping[int, Operation], faults: Faults
) -> tuple[str, ...]:
    """
    One phrase for each fault that overlaps the time from the first guilty event to the last.

    Args:
        by_index: Event index -> its operation.
    """
    guilty = [by_index[index] for index in anomaly.indices if index in by_index]
    if not guilty:
        return ()
    start_ns = min(operation.invocation.time for operation in guilty)
    end_ns = max((operation.completion or operation.invocation).time for operation in guilty)
    return tuple(
        _phrase(band)
        for band in faults.bands
        if band.start_ns <= end_ns and band.end_ns >= start_ns
    )


def _phrase(band: Band) -> str:
    struck = ", ".join(targets(band.injection))
    where = f" ({struck})" if struck else ""
    return f"{band.fault}{where} from {time_text(band.start_ns)} to {time_text(band.end_ns)}"
