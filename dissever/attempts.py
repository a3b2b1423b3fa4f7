"""
One run that is judged without a page: what searches make by the thousand.

    tried = attempt(Options(system="simulated", workload="register", seed=7))
    if tried.shows(signature): ...

It is carried out and judged as `run` does, in a directory that is removed afterwards, in memory
where the system is simulated. Same options and seed, same history, in any order and any process, on
a simulated system. An attempt that could not be made raises. One that ended early says why, and
says nothing about the system unless it is invalid, as when a node crashed and ended the simulation.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from dissever import planning
from dissever.harness import store
from dissever.harness.episodes import episodes_of
from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results, Verdict
from dissever.harness.runner import Observer
from dissever.harness.system import System
from dissever.judging import Judged, publish
from dissever.reached import reached
from dissever.running import UNOBSERVED, carry_out, possible, with_plan_file
from dissever.signature import Signature
from dissever.systems import load

__all__ = ["Attempt", "Size", "attempt", "scratch"]

MEMORY: Final = Path("/dev/shm")
"""A file system in memory, where there is one."""

SCRATCH: Final = "dissever-attempt-"


class Size(msgspec.Struct, frozen=True, order=True):
    """
    How much happened until the first anomaly was complete, or in all where there is none: strikes
    of faults, events, ns of the run. They are compared in this order.
    """

    strikes: int
    events: int
    time_ns: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run that was tried.

    `signatures` are its kinds of failure, that of the verdict first; empty when it is valid. `why`
    is what the checkers say. `interruption` says why it ended early, and is empty otherwise.
    `history_sha256` is the digest of its history, equal for equal histories, and
    `simulation_sha256` that of what a simulation recorded, empty where none did. `seconds` is how
    long it took on the real clock. `reached` names what happened in it at least once, if somebody
    asked.
    `directory` is its run directory; None when it was not kept.
    """

    seed: int
    verdict: Verdict
    signatures: tuple[str, ...]
    why: str
    interruption: str
    history_sha256: str
    size: Size
    seconds: float
    simulation_sha256: str = ""
    reached: tuple[str, ...] = ()
    directory: str | None = None

    @property
    def signature(self) -> str:
        """That of the verdict; empty when the run is valid."""
        return self.signatures[0] if self.signatures else ""

    @property
    def is_invalid(self) -> bool:
        """Whether something was found that no correct system can have answered."""
        return self.verdict is Verdict.INVALID

    def shows(self, signature: str) -> bool:
        """
        Whether this kind of failure is among its own; roles that either does not know do not count,
        and without a shape it stands for all shapes.
        """
        wanted = Signature.parsed(signature)
        return any(wanted.covers(Signature.parsed(own)) for own in self.signatures)


def attempt(
    options: Options,
    system: System | None = None,
    *,
    keep: Path | None = None,
    page: bool = False,
    looks: bool = False,
    observer: Observer = UNOBSERVED,
) -> Attempt:
    """
    Run once, and judge.

    Args:
        system: None: the one that the options name.
        keep: The directory to make the run in, which must not exist; None: a temporary one.
        page: Whether to write results and page into the directory that is kept.
        looks: Whether to look for what happened at least once, which takes a little time.
        observer: Hears each event, and may end the run.

    Raises:
        ValueError: When the options make no sense.
        CannotRun: When this machine or the system does not let it happen.
        OSError: When the directory cannot be made.
        KeyboardInterrupt: When Ctrl-C ended it before its first operation.
    """
    system = system or load(options.system)
    options = possible(options, system)
    with _place(options, keep) as directory, store.being_made(directory):
        began = time.monotonic()
        started = datetime.now(UTC)
        if keep is not None:
            options = with_plan_file(options, directory)
        plan = planning.make_plan(options, system, started)
        interruption, judged = carry_out(plan, system, directory, observer)
        seconds = time.monotonic() - began
        if keep is not None and page:
            publish(directory, judged)
        return Attempt(
            seed=options.seed,
            verdict=judged.results.verdict,
            signatures=_signatures(judged.results),
            why=judged.results.why,
            interruption=interruption,
            history_sha256=judged.results.history_sha256,
            simulation_sha256=_digest(directory / store.SIMULATION),
            size=_size(judged),
            seconds=round(seconds, 3),
            reached=reached(judged.history, plan, directory) if looks else (),
            directory=None if keep is None else str(keep),
        )


@contextmanager
def scratch(*, is_virtual: bool, near: Path | None = None) -> Iterator[Path]:
    """
    A directory for a while: in memory, if nobody runs real nodes on its disk.

    Its name has the number of this process, so that the next attempt removes what a process that
    was killed left there.

    Args:
        near: Where it is made otherwise, on the disk that runs are kept on; None: where the machine
            keeps temporary files.
    """
    root = near or Path(tempfile.gettempdir())
    root = MEMORY if is_virtual and os.access(MEMORY, os.W_OK) else root
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    made = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-", dir=root))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove the directories of our processes that are gone."""
    for path in root.glob(f"{SCRATCH}*-*"):
        owner = path.name.removeprefix(SCRATCH).partition("-")[0]
        is_gone = owner.isdecimal() and not Path(f"/proc/{owner}").exists()
        with suppress(OSError):
            if is_gone and path.stat().st_uid == os.getuid() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _place(options: Options, keep: Path | None) -> Iterator[Path]:
    """Where a run is made."""
    if keep is None:
        with scratch(is_virtual=options.backend.is_virtual) as made:
            yield made
    else:
        keep.mkdir(parents=True)
        yield keep


def _digest(path: Path) -> str:
    """Of a file; empty where there is none."""
    return store.digest(path) if path.exists() else ""


def _signatures(results: Results) -> tuple[str, ...]:
    """Those that were written when it was judged, that of the verdict first."""
    every = [each.signature for result in results.results for each in result.anomalies]
    return tuple(dict.fromkeys(filter(None, (results.signature, *every))))


def _size(judged: Judged) -> Size:
    history: History = judged.history
    ends = [max(a.indices) for r in judged.results.results for a in r.anomalies if a.indices]
    last = min(ends, default=-1)
    event = next((each for each in history if each.index == last), None)
    time_ns = history.duration_ns if event is None else event.time
    strikes = episodes_of(history, judged.subject.actions).episodes
    return Size(
        strikes=sum(each.start_ns <= time_ns for each in strikes),
        events=len(history) if event is None else last + 1,
        time_ns=time_ns,
    )
