"""The section of the page about nodes: strips, a table, merged logs, what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dissever.harness.episodes import Episodes
from dissever.reports.details import UnaskedEnd
from dissever.reports.insight import Insight
from dissever.reports.log_times import ERROR, WARNING
from dissever.reports.node_logs import (
    LogLine,
    LogsView,
    NodeLogText,
    log_columns,
    logs_view,
    thinned,
)
from dissever.reports.node_roles import seen_by_asking, seen_by_simulation
from dissever.reports.node_strips import NodeStrips, node_strips
from dissever.reports.packing import packed_json
from dissever.reports.timeline_view import downs

LOGS_CHARACTERS_MAX: Final = 1_200_000
"""Of the embedded logs, compressed."""

FIT_ATTEMPTS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class NodesView:
    """
    What the section shows. `data` are the merged lines as the script reads them.

    `telling` are a few lines with their logs, for a page without a script.
    """

    strips: NodeStrips
    logs: LogsView
    data: str
    telling: tuple[tuple[LogLine, NodeLogText], ...]

    @property
    def shown(self) -> int:
        """How many lines are in the page."""
        return len(self.logs.merged)

    @property
    def left_out(self) -> int:
        """How many are only in the files."""
        return self.logs.lines - self.shown

    @property
    def grave(self) -> int:
        """How many of the lines in the page are errors or warnings."""
        return sum(1 for line in self.logs.merged if line.level in (ERROR, WARNING))

    @property
    def has_own_times(self) -> bool:
        """Whether any line names a time."""
        return any(not line.is_guess for line in self.logs.merged)


def nodes_view(
    insight: Insight,
    nodes: Sequence[str],
    found: Episodes,
    ends: Sequence[UnaskedEnd],
    *,
    end_ns: int,
) -> NodesView:
    """Everything that the section shows of the nodes of a run."""
    logs = logs_view(insight.logs, end_ns=end_ns, moments_ns=insight.moments_ns)
    whole = len(logs.merged)
    data = packed_json(log_columns(logs))
    share = 1.0
    for _ in range(FIT_ATTEMPTS_MAX):
        if len(data) <= LOGS_CHARACTERS_MAX or not whole:
            break
        share *= 0.9 * LOGS_CHARACTERS_MAX / len(data)
        logs = thinned(logs, share * whole / max(1, len(logs.merged)))
        data = packed_json(log_columns(logs))
    simulation = insight.simulation
    if simulation is not None:
        nodes = tuple(dict.fromkeys((*nodes, *simulation.nodes)))
        seen = seen_by_simulation(simulation, nodes, end_ns=end_ns)
    else:
        seen = seen_by_asking(insight.states, nodes, end_ns=end_ns)
    strips = node_strips(
        nodes,
        seen,
        found.changes,
        downs(found, ends, end_ns=end_ns),
        logs,
        end_ns=end_ns,
        has_ends=all(end.node for end in ends),
    )
    telling = tuple((line, logs.read.texts[line.log]) for line in logs.telling)
    return NodesView(strips, logs, data, telling)
