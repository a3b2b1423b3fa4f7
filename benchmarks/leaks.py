"""
Runs of dissever that are interrupted at random moments, and what they leave behind: nothing.

    python benchmarks/leaks.py [--runs 100] [--backend namespaces|containers] [--seed 1]
        [--faults kill,partition,…] [--uid 1000] [--only 17] [--json FILE]

The seed and its number settle of each run when it is interrupted, under which faults, and how, the
four ways in turn:

    exception   one that nobody expects is raised in whatever the harness is doing
    ctrl-c      SIGINT to all in the terminal's foreground, once or twice
    sigterm     SIGTERM to the harness, or to all in its group
    sigkill     SIGKILL to the harness, or to all in its group

What it had made is noted meanwhile, from outside (`inventory.py`). Once the harness is gone, time
runs until none of it is there any more. A run that came to its end before it was interrupted does
not count, and another takes its place.

Exit status: 0 nothing was left; 1 something was, or a harness did not end; 3 nothing can run here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interruptions import EPISODE_S, START_S, WAYS, Trial, Way, draw
from inventory import MARK, Inventory, Thing

import dqlite
from dissever.nemesis import FAULTS

ROOT = Path(__file__).resolve().parents[1]
GLANCE_S = 0.15
ENGINE_GLANCE_S = 1.0
END_LIMIT_S = 120.0
"""A harness that heals, waits for the system and judges may take so long."""

GONE_LIMIT_S = {"namespaces": 3.0, "containers": 60.0}

ENDED_FIRST_MAX = 0.5
"""More runs than this share of those asked for do not come to their end by themselves."""

HARNESS = """
import signal, sys
def injected(number, frame):
    raise RuntimeError("injected by leaks.py")
signal.signal(signal.SIGUSR1, injected)
signal.signal(signal.SIGINT, signal.default_int_handler)
from dissever.cli import main
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Outcome:
    """What came of it. `gone_after_s`: from the harness's end until nothing was there any more."""

    trial: Trial
    phase: str
    is_interrupted: bool
    status: int | None
    ended_after_s: float
    gone_after_s: float | None
    made: int
    left: tuple[Thing, ...]

    @property
    def is_clean(self) -> bool:
        """Whether it ended, and left nothing."""
        return self.status is not None and not self.left


def command(trial: Trial, arguments: argparse.Namespace, runs: Path) -> list[str]:
    """How the harness is called."""
    words = [
        *(sys.executable, "-c", HARNESS, "test", "dqlite", "-w", "register", "-q"),
        *("--backend", arguments.backend, "--faults", ",".join(trial.faults)),
        *("--nodes", "3", "--rate", "100"),
        *("--time-limit", str(trial.time_limit_s), "--fault-interval", str(EPISODE_S)),
        *("--seed", str(trial.seed), "--runs", str(runs)),
    ]
    if "upgrade" in trial.faults:  # In namespaces, where another may lack, to the very same.
        is_contained = arguments.backend == "containers"
        newer = "debian13" if is_contained else dqlite.library_identity().path
        words += ["--upgrade-to", newer]
    return words


def attempt(trial: Trial, arguments: argparse.Namespace, engine: Any) -> Outcome:
    """Run it, interrupt it, and look what is left."""
    folder = Path(tempfile.mkdtemp(prefix="leaks-"))
    (folder / "tmp").mkdir()
    user = pwd.getpwuid(arguments.uid)
    for path in (folder, folder / "tmp"):
        os.chown(path, user.pw_uid, user.pw_gid)
    mark = secrets.token_hex(8)
    environment = {
        **os.environ,
        MARK: mark,
        "TMPDIR": str(folder / "tmp"),
        "HOME": user.pw_dir,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (folder / "output.txt").open("wb") as output:
        harness = subprocess.Popen(
            command(trial, arguments, folder / "runs"),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **_as_user(arguments.uid),
        )
    inventory = Inventory(harness.pid, mark, folder, engine)
    try:
        outcome = _interrupt(trial, harness, inventory, arguments.backend)
    finally:
        harness.kill()
        harness.wait()
        inventory.remove()
    if outcome.is_clean:
        shutil.rmtree(folder)
    else:
        print(f"     kept: {folder}", flush=True)
    return outcome


def _as_user(uid: int) -> dict[str, Any]:
    """What makes a new process another user's."""
    if uid == os.geteuid():
        return {}
    return {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}


def _interrupt(
    trial: Trial, harness: subprocess.Popen[bytes], inventory: Inventory, backend: str
) -> Outcome:
    if not trial.is_at_start:
        _watch(harness, inventory, END_LIMIT_S, lambda: _phase(inventory.folder) == "running")
    _watch(harness, inventory, trial.at_s)
    inventory.observe()
    inventory.observe_engine()
    is_interrupted = harness.poll() is None
    phase = _phase(inventory.folder) if is_interrupted else "over"
    sent = time.monotonic()
    _send(harness, trial.way)
    for _ in range(trial.way.times - 1):
        _watch(harness, inventory, trial.way.again_s)
        _send(harness, trial.way)
    _watch(harness, inventory, END_LIMIT_S)
    status = harness.poll()
    ended = time.monotonic()
    left = inventory.remains()
    while left and time.monotonic() < ended + GONE_LIMIT_S[backend]:
        time.sleep(0.02)
        left = inventory.remains()
    gone_after_s = None if left else round(time.monotonic() - ended, 2)
    ended_after_s, made = round(ended - sent, 2), len(inventory.seen)
    return Outcome(
        trial, phase, is_interrupted, status, ended_after_s, gone_after_s, made, tuple(left)
    )


def _watch(
    harness: subprocess.Popen[bytes],
    inventory: Inventory,
    limit_s: float,
    is_time: Callable[[], bool] = lambda: False,
) -> None:
    """Note what it makes, until it has ended or it is time."""
    until = time.monotonic() + limit_s
    engine_at = 0.0
    while harness.poll() is None and (left := until - time.monotonic()) > 0 and not is_time():
        inventory.observe()
        if time.monotonic() > engine_at:
            inventory.observe_engine()
            engine_at = time.monotonic() + ENGINE_GLANCE_S
        with contextlib.suppress(subprocess.TimeoutExpired):
            harness.wait(min(GLANCE_S, left))


def _send(harness: subprocess.Popen[bytes], way: Way) -> None:
    if harness.poll() is not None:
        return
    if way.is_group:
        os.killpg(harness.pid, way.number)
    else:
        harness.send_signal(way.number)


def _phase(folder: Path) -> str:
    """How far the run has come, by its files."""
    run = next(folder.glob("runs/*/*/*-*"), None)
    if run is None or not (run / "nodes").exists():
        return "before"
    if not (run / "history.jsonl").exists():
        return "starting"
    return "judging" if (run / "outcome.json").exists() else "running"


def available(backend: str, uid: int) -> list[str]:
    """The faults that can be injected there."""
    told = subprocess.run(
        [sys.executable, "-m", "dissever", "doctor", "--json"],
        cwd=ROOT,
        env={**os.environ, "HOME": pwd.getpwuid(uid).pw_dir},
        stdout=subprocess.PIPE,
        check=False,
        **_as_user(uid),
    )
    found = json.loads(told.stdout)["faults"]
    return [each["fault"] for each in found if each["backend"] == backend and each["available"]]


def report(outcomes: Sequence[Outcome], faults: Sequence[str]) -> None:
    """Print the tables."""
    counted = [each for each in outcomes if each.is_interrupted]
    print(f"\n{'interrupted by':16} runs  left  harness ended after  all was gone after that")
    for way in (way for ways in WAYS.values() for way in ways):
        own = [each for each in counted if each.trial.way == way]
        if own:
            ended = max(each.ended_after_s for each in own)
            gone = [each.gone_after_s for each in own if each.gone_after_s is not None]
            left = sum(not each.is_clean for each in own)
            most = f"at most {max(gone):5.2f} s" if gone else "never"
            print(f"{way.name:16} {len(own):4}  {left:4}  at most {ended:5.2f} s      {most}")
    on = Counter(fault for each in counted for fault in each.trial.faults)
    early = (f"status {each.status}" for each in outcomes if not each.is_interrupted)
    for title, counts in (
        ("moments", Counter(each.phase for each in counted)),
        ("faults", Counter({name: on[name] for name in faults})),
        ("those that ended by themselves", Counter(early)),
        ("left", Counter(thing.kind for each in outcomes for thing in each.left)),
    ):
        told = ", ".join(f"{name} {count}" for name, count in counts.most_common())
        print(f"{title}: {told or 'nothing'}")


def main() -> int:
    """Interrupt that many runs."""
    arguments = _arguments()
    faults = arguments.faults.split(",") if arguments.faults else None
    faults = faults or available(arguments.backend, arguments.uid)
    if not faults:
        print(f"no fault can be injected on {arguments.backend} here: dissever doctor says why")
        return 3
    engine = None
    if arguments.backend == "containers":
        import docker

        engine = docker.from_env()
    outcomes: list[Outcome] = []
    number = arguments.only or 0
    while True:
        seed, backend, within_s = arguments.seed, arguments.backend, arguments.within
        trial = draw(number, faults, seed=seed, backend=backend, within_s=within_s)
        outcome = attempt(trial, arguments, engine)
        outcomes.append(outcome)
        _tell(outcome, arguments, faults)
        number += 1
        interrupted = sum(each.is_interrupted for each in outcomes)
        early = len(outcomes) - interrupted
        if arguments.only is not None or interrupted >= arguments.runs:
            break
        if early > 10 + ENDED_FIRST_MAX * arguments.runs:
            print("too many runs end before they are interrupted: do they run at all?")
            return 3
    report(outcomes, faults)
    if arguments.json:
        told = [{**asdict(each), "is_clean": each.is_clean} for each in outcomes]
        Path(arguments.json).write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(each.is_clean for each in outcomes) else 1


def _tell(outcome: Outcome, arguments: argparse.Namespace, faults: Sequence[str]) -> None:
    trial = outcome.trial
    status = "never" if outcome.status is None else str(outcome.status)
    how = trial.way.name if outcome.is_interrupted else "not interrupted"
    gone = "LEFT" if outcome.gone_after_s is None else f"gone {outcome.gone_after_s:5.2f} s"
    print(
        f"{trial.number:4}  {how:15} {trial.at_s:5.2f} s {outcome.phase:8} "
        f"ended {outcome.ended_after_s:5.2f} s status {status:>5}  {gone}  "
        f"{outcome.made:3} processes  {','.join(trial.faults)}",
        flush=True,
    )
    if outcome.is_clean:
        return
    for thing in outcome.left:
        print(f"     {thing.kind}: {thing.name}")
    words = [sys.executable, "benchmarks/leaks.py", "--seed", str(arguments.seed)]
    words += ["--backend", arguments.backend, "--only", str(trial.number)]
    words += ["--uid", str(arguments.uid)]
    words += ["--within", str(arguments.within)] if arguments.within else []
    print("     again: " + shlex.join([*words, "--faults", ",".join(faults)]), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="how many are interrupted")
    parser.add_argument("--backend", choices=tuple(START_S), default="namespaces")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", help="with commas; without it all that can be injected")
    parser.add_argument("--uid", type=int, default=os.geteuid(), help="whose runs; takes root")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this one run alone")
    parser.add_argument(
        "--within", type=float, metavar="S", help="in the first S seconds, or at the start"
    )
    parser.add_argument("--json", metavar="FILE", help="write what came of each run")
    arguments = parser.parse_args()
    if unknown := set((arguments.faults or "").split(",")) - set(FAULTS) - {""}:
        parser.error(f"expected faults of {', '.join(FAULTS)}; got {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
