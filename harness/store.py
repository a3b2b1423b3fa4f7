"""
The run directory, where every value from the plan on is written the moment it exists.

`runs/<system>/<workload>/<time>-<seed>/` with `plan.json`, `history.jsonl`, `schedule.jsonl`,
`outcome.json`, `results.json`, `index.html`, `junit.xml` and `nodes/<node>/`; `runs/latest` leads
to the newest run. A simulated run may have `simulation.jsonl`, too.

`outcome.json` is written last and lists the size and the digest of every file of the run, so a part
that is lost or changed afterwards is seen when the run is judged.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

import msgspec

from dissever.harness.cluster import Exit
from dissever.harness.files import open_file
from dissever.harness.history import Event
from dissever.harness.plan import Kept, Options, Outcome, Plan, check_options
from dissever.harness.references import label
from dissever.harness.results import Results

PLAN = "plan.json"
HISTORY = "history.jsonl"
SCHEDULE = "schedule.jsonl"
OUTCOME = "outcome.json"
RESULTS = "results.json"
REPORT = "index.html"
JUNIT = "junit.xml"
NODES = "nodes"
CLIENT_LOGS = "client-*.log"
"""In a node's folder: what programs that are clients said on stderr."""
EXITS = "exits.json"
SIMULATION = "simulation.jsonl"
"""What only a simulation knows: messages, states of servers, what was synced; a line each."""
NODE_STATES = "nodes.jsonl"
"""What each node of real hosts was, change by change, and which time of the world the run began."""
DOOM = "doom.json"
"""How the probability of failure grew, by reruns."""
STORY = "story.json"
"""What happened in a run that was shrunk, and how large it was before."""
LATEST = "latest"
PLAN_TEXT = "plan.yaml"
"""The text of a plan that came from no file."""

_Read = TypeVar("_Read")


class BrokenFile(ValueError):
    """A file of a run that does not hold what it should: its name, what was expected, what came."""


def directory_of(root: Path, options: Options) -> Path:
    """Where the runs of a system and a workload are kept."""
    return root / label(options.system) / label(options.workload)


def timestamp(now: datetime) -> str:
    """A time as a part of a name: `20261130T071014.095Z`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}"[:-3] + "Z"


def create_run(root: Path, options: Options, now: datetime) -> Path:
    """
    Make a new run directory, and point `latest` to it. Two that begin together get two.

    Raises:
        OSError: When the root cannot be written.
    """
    parent = directory_of(root, options)
    name = f"{timestamp(now)}-{options.seed}"
    for number in itertools.count(1):
        run = parent / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            _make(run)
            break
    point_latest(root, run)
    return run


def point_latest(root: Path, run: Path) -> None:
    """Let `latest` lead to this run."""
    _point(root / LATEST, run)


def find_run(path: Path) -> Path:
    """
    The run directory that a path means: itself, a link to it, or a file in it.

    Raises:
        FileNotFoundError: When there is no plan; the message says what was looked for.
    """
    directory = path.resolve()
    if directory.is_file():
        directory = directory.parent
    if not (directory / PLAN).is_file():
        raise FileNotFoundError(f"expected a run directory with {PLAN}, found none in {path}")
    return directory


def write_plan(run: Path, plan: Plan) -> None:
    """Write what is about to happen."""
    _write_json(run / PLAN, plan)


def lock(descriptor: int, message: str) -> None:
    """
    Be the only process that has locked this file or folder, until the descriptor is closed.

    The kernel takes the lock from a process that ends.

    Raises:
        OSError: With this message, when another process has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(message) from error


@contextlib.contextmanager
def locked(directory: Path, message: str) -> Iterator[None]:
    """`lock` a folder, as long as the block lasts."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock(descriptor, message)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def being_made(run: Path) -> Iterator[None]:
    """
    Let others see that this run is being made, judged or removed, as long as the block lasts.

    It waits while another process holds the lock, as `is_being_made` does for a moment. A file
    system without locks is no reason not to run.
    """
    descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_being_made(descriptor: int) -> bool | None:
    """
    Whether a process makes the run whose open folder this is.

    None where the file system has no locks for folders, such as NFS, so that nobody can tell.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def read_plan(run: Path) -> Plan:
    """
    Read what was to happen.

    Raises:
        BrokenFile: When the file holds something else, or options that no run can have.
    """
    plan = _read_json(run / PLAN, Plan)
    try:
        check_options(plan.options)
    except ValueError as error:
        raise BrokenFile(f"{PLAN}: {error}") from error
    return plan


def write_results(run: Path, results: Results) -> None:
    """Write what was judged."""
    _write_json(run / RESULTS, results)


def read_results(run: Path) -> Results:
    """
    Read what was judged.

    Raises:
        FileNotFoundError: When the run was never judged.
        BrokenFile: When the file holds something else.
    """
    return _read_json(run / RESULTS, Results)


def withdraw(run: Path) -> None:
    """Remove what an earlier judging wrote, so that it cannot pass for what comes of this one."""
    for name in (REPORT, JUNIT, RESULTS):
        (run / name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: on a full disk the old one stays."""
    if path.exists() and not path.is_file():  # Such as /dev/stdout.
        path.write_text(text, encoding="utf-8")
    else:
        _replace(path.resolve(), text.encode())


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """As `write_text`, of bytes that come one after the other."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(pieces)
    else:
        _replace(path.resolve(), pieces)


def write_schedule(run: Path, events: Iterable[Event]) -> None:
    """Write the events of the nemeses alone: what a replay needs."""
    faults = [event for event in events if not event.is_client]
    (run / SCHEDULE).write_bytes(msgspec.json.Encoder().encode_lines(faults))


def write_outcome(run: Path, outcome: Outcome) -> None:
    """Write how the run ended: the last thing that a run itself writes."""
    _write_json(run / OUTCOME, outcome)


def read_outcome(run: Path) -> Outcome:
    """
    How the run ended; there is no file when the harness was killed.

    Raises:
        BrokenFile: When the file holds something else.
    """
    try:
        return _read_json(run / OUTCOME, Outcome)
    except FileNotFoundError:
        return Outcome("the harness ended before the run did")


def write_exits(directory: Path, exits: Sequence[Exit]) -> None:
    """Write how the processes of a node ended into its folder."""
    directory.mkdir(parents=True, exist_ok=True)
    _replace(directory / EXITS, msgspec.json.encode(exits) + b"\n")


def read_exits(run: Path, node: str) -> tuple[Exit, ...]:
    """
    How the processes of a node ended; empty when the harness was killed before that.

    Raises:
        BrokenFile: When the file holds something else.
    """
    try:
        return _read_json(node_directory(run, node) / EXITS, tuple[Exit, ...])
    except FileNotFoundError:
        return ()


def manifest(run: Path) -> dict[str, Kept]:
    """The files that make up a run, by their paths in its directory: all that judging reads."""
    paths = [run / name for name in (PLAN, PLAN_TEXT, HISTORY, SCHEDULE, SIMULATION, NODE_STATES)]
    paths += sorted((run / NODES).glob("*.log"))
    for node in sorted((run / NODES).glob("*/")):
        paths += [*sorted(node.glob("*.log")), node / EXITS]
    return {str(path.relative_to(run)): _kept(path) for path in paths if _is_ours(path)}


def damage(run: Path, files: Mapping[str, Kept] | None) -> Iterator[str]:
    """What is not as the run left it, one phrase for each file."""
    if files is None:
        yield f"{OUTCOME} does not list the files of the run, so it may not be whole"
        return
    if HISTORY not in files:
        yield f"{OUTCOME} does not list {HISTORY}, so it may not be whole"
    for name, kept in files.items():
        path = run / name
        try:
            found = _kept(path)
        except FileNotFoundError:
            yield f"{name} is missing"
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
        else:
            if found.size_bytes < kept.size_bytes:
                yield f"{name} is cut: {found.size_bytes:,} of {kept.size_bytes:,} bytes are left"
            elif found != kept:
                yield f"{name} was changed after the run"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def node_directory(run: Path, node: str) -> Path:
    """Where a node's logs, exit status and data are."""
    return run / NODES / node


def drop_node_data(run: Path) -> None:
    """Remove the data directories of the nodes, and leave their logs."""
    for data in sorted((run / NODES).glob("*/data")):
        shutil.rmtree(data, ignore_errors=True)


def _make(run: Path) -> None:
    """Raise FileExistsError; another process may remove an empty folder above it meanwhile."""
    while True:
        run.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            run.mkdir()
            return


def _is_ours(path: Path) -> bool:
    """Whether it is a file, and no link to one that a node may have put there."""
    return path.is_file() and not path.is_symlink()


def _kept(path: Path) -> Kept:
    return Kept(path.stat().st_size, digest(path))


def _opened(path: Path) -> BufferedReader:
    """A file. Raises OSError as `open_file`."""
    return os.fdopen(open_file(path, follows_links=True), "rb")


def _read_json(path: Path, kind: type[_Read]) -> _Read:
    """Raise FileNotFoundError, or BrokenFile."""
    try:
        with _opened(path) as file:
            written = file.read()
        if not written.strip():
            raise BrokenFile(f"{path.name}: expected JSON, got an empty file")
        return msgspec.json.decode(written, type=kind)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BrokenFile(f"{path.name}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenFile(f"{path.name}: {error}") from error


def _write_json(path: Path, value: object) -> None:
    _replace(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _replace(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Raise OSError when it cannot be written; then the file is what it was before."""
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        with draft.open("xb") as file:  # A node may have put a link there: its folder is its own.
            file.writelines((content,) if isinstance(content, bytes) else content)
        draft.replace(path)
    except BaseException:  # Also what ends the program, and errors of the pieces' source.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _point(link: Path, run: Path) -> None:
    """Let the link lead to the run; two runs may do this at the same time."""
    draft = link.with_name(f".{link.name}-{os.getpid()}-{run.name}")
    draft.symlink_to(run.relative_to(link.parent), target_is_directory=True)
    draft.replace(link)
