"""The command line as a function: arguments in, exit status and what was printed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissever import cli
from dissever.harness import store
from dissever.harness.episodes import Action, Effect, Role
from dissever.harness.history import Event
from dissever.harness.plan import Options, Outcome, Plan
from dissever.harness.results import Anomaly, Result, Verdict, merge


@dataclass(frozen=True)
class Ran:
    """What a command did. `text` is what it printed, its lines joined as a reader reads them."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return " ".join(f"{self.stdout} {self.stderr}".split())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where this test's runs are kept."""
    return tmp_path / "runs"


@pytest.fixture
def dissever(capsys: pytest.CaptureFixture[str], runs: Path) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*arguments: str) -> Ran:
        where = ("--runs", str(runs)) if arguments[0] == "test" else ()
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments, *where])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    return run


STARTED = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def keep_run() -> Callable[..., Path]:
    """Write a run directory as a run leaves it, or a part of one."""

    def keep(
        root: Path,
        seed: int,
        verdict: Verdict | None = Verdict.VALID,
        *,
        age: timedelta = timedelta(),
        anomalies: tuple[Anomaly, ...] = (),
        events: tuple[Event, ...] = (),
        has_outcome: bool = True,
        data_bytes: int = 0,
        name: str = "",
        **options: Any,
    ) -> Path:
        asked = Options(
            **{"system": "dqlite", "workload": "register", "faults": ("kill",), **options},
            seed=seed,
        )
        started = STARTED - age
        stem = name or f"{store.timestamp(started)}-{seed}"
        run = store.directory_of(root, asked) / stem
        run.mkdir(parents=True)
        actions = {
            "kill": {
                "kill": Action(Role.INJECT, Effect.KILLED),
                "start": Action(Role.HEAL, Effect.STARTED),
            }
        }
        plan = Plan(
            options=asked,
            command=f"dissever test --seed {seed}",
            started=started.isoformat(),
            versions={"dissever": "0.1.0"},
            actions=actions,
        )
        store.write_plan(run, plan)
        (run / store.HISTORY).write_bytes(msgspec.json.Encoder().encode_lines(events))
        for node in asked.nodes:
            directory = store.node_directory(run, node)
            (directory / "data").mkdir(parents=True)
            (directory / "stderr-1.log").write_text(f"{node} says hello\n")
            if data_bytes:
                (directory / "data" / "segment").write_bytes(b"x" * data_bytes)
        if has_outcome:
            store.write_outcome(run, Outcome(events=len(events), files=store.manifest(run)))
        if verdict is not None:
            result = Result(
                checker="linearizable",
                verdict=verdict,
                why=f"it is {verdict.word}",
                anomalies=anomalies,
            )
            stats = Result(
                checker="stats", verdict=Verdict.VALID, why="", details={"count": len(events) // 2}
            )
            store.write_results(run, merge([result, stats]))
            (run / store.REPORT).write_text("<!doctype html><title>report</title>the report")
        return run

    return keep
