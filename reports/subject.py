"""What a report is about: a run, or a history file that was checked."""

from __future__ import annotations

from typing import Any

import msgspec

from dissever.harness.episodes import Actions
from dissever.harness.plan import Plan, Skipped


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """
    What stands around the verdict.

    `workload` says what was done, or as what a file was judged; `command` repeats that. `started`
    is a time in ISO 8601, empty for what was recorded elsewhere, and `seed` is None there.
    `concurrency` counts clients, 0 when nobody counted. `options` may be of any kind. `actions`
    say what each operation of a nemesis is for.
    """

    system: str
    workload: str
    command: str
    started: str = ""
    seed: int | None = None
    faults: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    concurrency: int = 0
    options: dict[str, Any] = {}
    versions: dict[str, str] = {}
    capabilities: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    actions: Actions = {}

    def repeat(self, program: str = "dissever") -> str:
        """The command, as somebody types it who starts dissever by `program`; may be empty."""
        return f"{program}{self.command.removeprefix('dissever')}" if self.command else ""

    @classmethod
    def of(cls, plan: Plan) -> Subject:
        """The subject of a run."""
        options = plan.options
        return cls(
            system=options.system,
            workload=options.workload,
            command=plan.command,
            started=plan.started,
            seed=options.seed,
            faults=options.faults,
            nodes=options.nodes,
            concurrency=options.concurrency,
            options={
                name: value
                for name, value in msgspec.to_builtins(options).items()
                if value not in (None, "", (), [], {})
            },
            versions=plan.versions,
            capabilities=plan.capabilities,
            skipped=plan.skipped,
            actions=plan.actions,
        )
