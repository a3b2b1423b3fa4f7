"""
Recovery of a cluster whose majority is lost.

Whatever goes wrong half-way, a second call ends it: nothing is changed before there are backups and
room for the new files, and how far the exchange of a directory's files got is seen there. A log
that has its new members is as old as it was without them, so the same template is found again.

Source: `dqlite/include/dqlite.h`, `dqlite_node_recover_ext`; go-dqlite `node.go`.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dqlite.errors import NodeError
from dqlite.node import exchange, files, locks
from dqlite.node.entries import EntryType
from dqlite.node.files import LastEntryInfo, RaftFiles
from dqlite.node.membership import (
    Directory,
    check_members,
    check_reconfigured,
    reconfigure_membership_ext,
)
from dqlite.wire.schema import Member

if TYPE_CHECKING:
    from dqlite.node.bindings import Library

RECOVERED = "recovered"
"""In the folder of backups: the log that all directories got."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """
    What `recover_cluster` did, or in a dry run would do.

    Attributes:
        template: The most up-to-date directory; all have its log now.
        last_entry: The end of its log before the members were written behind it.
        backups: Where the old content of each directory is, in the order given.
        recovered: A folder with the new files of raft, for nodes on other machines.
    """

    template: Path
    last_entry: LastEntryInfo
    backups: tuple[Path, ...]
    recovered: Path


@dataclass(frozen=True, slots=True)
class _Survivor:
    """
    A data directory, and what is known of it.

    `end`: of its log. `age`: the same, without entries that an earlier recovery appended. `member`:
    whose directory it is; None where no info.yaml says so. `members`: of its cluster.
    """

    path: Path
    end: LastEntryInfo
    age: LastEntryInfo
    member: Member | None
    members: tuple[Member, ...]


def recover_cluster(
    directories: Sequence[Directory],
    members: Sequence[Member],
    *,
    backup: Directory,
    dry_run: bool = False,
    report: Callable[[str], object] = lambda _: None,
    library: "Library | None" = None,
) -> Recovered:
    """
    Make a cluster of what survived of one: the six steps of `dqlite_node_recover_ext`, checked.

    What only a lost node held is lost. No lost node may ever come back with its old directory.

    Args:
        directories: The data directories of survivors, whose nodes must not run, and empty ones of
            new members. What is not raft's in them stays; `cluster.yaml` is written again, and
            `join` is removed.
        members: The new cluster, roles included.
        backup: A directory, made if missing. Each call makes a new folder in it, with a copy of
            every directory.
        dry_run: Look and report; change nothing.
        report: Is told each step in a line of text, before it is done.

    Raises:
        ValueError: If these members can be no cluster, or the directories are no survivors of one.
        NodeError: With what failed: a node runs, files are damaged, a disk is full. If it is
            called again after that, or after an interruption, it does what is left to do.
    """
    check_members(members)
    paths = _distinct(directories)
    home = _next_backup(Path(backup), paths)
    recovered = home / RECOVERED
    with ExitStack() as stack:
        try:
            report("1. Check that no node runs.")
            for path in paths:
                stack.enter_context(locks.locked(path))
            _end_interrupted(paths, dry_run, report)
            report("2. Read the logs of the survivors.")
            survivors = [_survey(path, report) for path in paths]
            _check_survivors(survivors, members)
            report("3. Choose the most up-to-date one as the template.")
            template = max(survivors, key=lambda each: each.age)
            report(f"   {template.path}")
            backups = tuple(home / f"{i}-{path.name}" for i, path in enumerate(paths, 1))
            result = Recovered(template.path, template.end, backups, recovered)
            _back_up(paths, backups, dry_run, report)
            _reconfigure(template, members, recovered, dry_run, report, library)
            _exchange(survivors, template, recovered, members, dry_run, report)
        except OSError as cause:
            raise NodeError(f"recovery failed at {cause.filename or home}: {cause}") from cause
    _report_starts(survivors, members, recovered, report)
    if dry_run:
        report("Dry run: nothing was changed.")
    return result


def _distinct(directories: Sequence[Directory]) -> list[Path]:
    paths = [Path(directory).resolve() for directory in directories]
    if not paths or len(set(paths)) != len(paths):
        raise ValueError(f"expected directories that differ, got {[str(path) for path in paths]}")
    return paths


def _next_backup(backup: Path, paths: Sequence[Path]) -> Path:
    """Return the folder that this call makes. Raises ValueError if it would back itself up."""
    backup = backup.resolve()
    inside = next((path for path in paths if backup.is_relative_to(path)), None)
    if inside is not None:
        raise ValueError(f"expected a backup outside of {inside}, got {backup}")
    taken = {each.name for each in backup.iterdir()} if backup.is_dir() else set()
    number = 1
    while f"recovery-{number}" in taken:
        number += 1
    return backup / f"recovery-{number}"


def _end_interrupted(paths: Sequence[Path], dry_run: bool, report: Callable[[str], object]) -> None:
    """Bring directories whose files were being exchanged to a state that can be read."""
    for path in paths:
        if not (path / exchange.NEW).exists() and not (path / exchange.READY).exists():
            continue
        if dry_run:
            raise NodeError(
                f"{path}: an earlier recovery was interrupted here; only a call that is no dry run "
                "can go on"
            )
        report(f"   {path}: end an earlier recovery, which was interrupted.")
        exchange.finish(path)


def _survey(path: Path, report: Callable[[str], object]) -> _Survivor:
    log = files.read(path)
    end, age, members = _ages(log)
    member = _member_of(path)
    whose = f", node {member.id} at {member.address}" if member else ""
    voted = f"term {end.term}, index {end.index}" if end.index else "empty"
    report(f"   {path}{whose}: {voted}; {len(members)} members")
    return _Survivor(path, end, age, member, members)


def _ages(log: RaftFiles) -> tuple[LastEntryInfo, LastEntryInfo, tuple[Member, ...]]:
    """
    Return the end of a log, its end without what recoveries appended, and the members at its end.

    An entry of a recovery is a change whose term is lower than the one before.
    """
    snapshot = log.snapshot
    end = age = LastEntryInfo(snapshot.term, snapshot.index) if snapshot else LastEntryInfo(0, 0)
    members = snapshot.members if snapshot else ()
    for entry in log.entries():
        end = LastEntryInfo(entry.term, entry.index)
        is_change = entry.type is EntryType.CHANGE
        if is_change:
            members = entry.members()
        if not (is_change and entry.term < age.term):
            age = end
    return end, age, members


def _member_of(path: Path) -> Member | None:
    """Whose directory it is, by the file of go-dqlite's and our `App`."""
    info = path / "info.yaml"
    if not info.exists():
        return None
    from dqlite.client.stores import load_yaml, parse_member

    return parse_member(load_yaml(info), str(info))


def _check_survivors(survivors: Sequence[_Survivor], members: Sequence[Member]) -> None:
    """Raise ValueError unless they belong together, and to the new members."""
    logs = [each for each in survivors if each.end.index]
    if not logs:
        raise ValueError("expected a log in at least one of the directories, got none")
    first = {member.id for member in logs[0].members}
    for each in logs[1:]:
        if first.isdisjoint(member.id for member in each.members):
            raise ValueError(
                f"{logs[0].path} and {each.path} have no member in common: they are of two clusters"
            )
    addresses = {member.id: member.address for member in members}
    for each in survivors:
        if each.member and addresses.get(each.member.id) != each.member.address:
            raise ValueError(
                f"{each.path} is of node {each.member.id} at {each.member.address}, "
                "which is not among the new members"
            )


def _back_up(
    paths: Sequence[Path],
    backups: Sequence[Path],
    dry_run: bool,
    report: Callable[[str], object],
) -> None:
    if not dry_run:
        backups[0].parent.mkdir(mode=0o700, parents=True)
    for path, backup in zip(paths, backups, strict=True):
        report(f"   Back up {path} as {backup}.")
        if not dry_run:
            exchange.back_up(path, backup)


def _reconfigure(
    template: _Survivor,
    members: Sequence[Member],
    recovered: Path,
    dry_run: bool,
    report: Callable[[str], object],
    library: "Library | None",
) -> None:
    report(f"4. Write the new members behind a copy of the template's log, in {recovered}.")
    for member in members:
        report(f"   {member.id} {member.address} {member.role.name.lower()}")
    if not dry_run:
        recovered.mkdir(mode=0o700)
        for name in exchange.raft_files(template.path):
            shutil.copy2(template.path / name, recovered / name)
        reconfigure_membership_ext(recovered, members, library=library)


def _exchange(
    survivors: Sequence[_Survivor],
    template: _Survivor,
    recovered: Path,
    members: Sequence[Member],
    dry_run: bool,
    report: Callable[[str], object],
) -> None:
    """Room is found for all before any is changed."""
    report("5. Copy that log into each directory, in place of what is there.")
    for each in survivors:
        report(f"   {each.path}")
    if dry_run:
        return
    try:
        for each in survivors:
            exchange.stage(recovered, each.path)
    except BaseException:
        for each in survivors:
            exchange.discard(each.path)
        raise
    for each in survivors:
        exchange.install(each.path)
        check_reconfigured(each.path, template.end, members)
        _write_members(each.path, members)


def _write_members(path: Path, members: Sequence[Member]) -> None:
    """Bring the files of an App up to date."""
    if (path / "cluster.yaml").exists():
        from dqlite.client.stores import YamlStore

        YamlStore(path / "cluster.yaml").set(members)
    (path / "join").unlink(missing_ok=True)  # it is a member now


def _report_starts(
    survivors: Sequence[_Survivor],
    members: Sequence[Member],
    recovered: Path,
    report: Callable[[str], object],
) -> None:
    report("6. Start the nodes. No other node of the old cluster may ever start again.")
    places = {each.member.id: each.path for each in survivors if each.member}
    for member in members:
        place = places.get(member.id)
        where = f"in {place}" if place else "in its directory"
        report(f"   {member.id} at {member.address} {where}")
    if len(places) < len(members):
        report(f"   On other machines, the files of {recovered} replace those of raft.")
