"""What a report is about: a run, or a history file that was checked."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Final

import msgspec

from dissever.harness.episodes import Actions
from dissever.harness.plan import Plan, Skipped

_FILE: Final = re.compile(r".*\.(ya?ml|py|json|toml|sh)", re.DOTALL)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """
    What stands around the verdict.

    `workload` says what was done, or as what a file was judged; `command` repeats that when it is
    typed in `directory`, which is empty when it works from everywhere. `started` is a time in ISO
    8601, empty for what was recorded elsewhere, and `seed` is None there. `concurrency` counts
    clients, 0 when nobody counted. `options` may be of any kind. `actions` say what each operation
    of a nemesis is for.
    """

    system: str
    workload: str
    command: str
    directory: str = ""
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
        """
        The line that somebody types who starts dissever by `program`; may be empty.

        It goes to `directory` first, so it works wherever it is typed. `program` must be found
        from there.
        """
        if not self.command:
            return ""
        line = f"{program}{self.command.removeprefix('dissever')}"
        return f"cd {shlex.quote(self.directory)} && {line}" if self.directory else line

    def seen_from(self, directory: str) -> Subject:
        """As somebody needs it who stands in a directory already: nothing goes there first."""
        if directory != self.directory:
            return self
        return msgspec.structs.replace(self, directory="")

    @classmethod
    def of(cls, plan: Plan) -> Subject:
        """The subject of a run."""
        options = plan.options
        return cls(
            system=options.system,
            workload=options.workload,
            command=plan.command,
            directory=plan.directory if _depends_on_directory(plan) else "",
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


def _depends_on_directory(plan: Plan) -> bool:
    """Whether the command names a file, or a module of its user, that is looked for from there."""
    options = plan.options
    if any(":" in name for name in (options.system, options.workload, *options.checkers)):
        return True
    words = shlex.split(plan.command)
    plans = (path for option, path in pairwise(words) if option == "--plan")
    return any(_is_relative(word) for word in words) or any(
        not PurePath(path).is_absolute() for path in plans
    )


def _is_relative(word: str) -> bool:
    """Whether a word of a command is the path of a file, from wherever the command is typed."""
    if "://" in word or PurePath(word).is_absolute():
        return False
    place = word.partition(":")[0]
    return "/" in place or _FILE.fullmatch(place) is not None
