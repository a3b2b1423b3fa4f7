"""
The end of a log, and the members in it, while the node does not run.

The library is asked last: what would crash it, or spoil the process, is found before in the files.

Source: `dqlite_node_describe_last_entry`, `dqlite_node_recover_ext` in `dqlite/src/server.c`.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dqlite.errors import LibraryNotFound, NodeError
from dqlite.node import files, locks
from dqlite.node.entries import EntryType
from dqlite.node.files import LastEntryInfo

if TYPE_CHECKING:
    from dqlite.node.bindings import Library
    from dqlite.wire.schema import Member

Directory: TypeAlias = str | os.PathLike[str]

MEMBERS_MAX = 1000
ADDRESS_CHARS_MAX = 255


def read_last_entry_info(
    directory: Directory, *, library: "Library | None" = None
) -> LastEntryInfo:
    """
    Return the end of the log in the data directory of a node that does not run.

    The files are read here. Where libdqlite can tell too (1.17.0 and newer), it must agree; it then
    turns open segments into closed ones.

    Args:
        library: None for the default one, if there is one.

    Raises:
        DamagedFiles: If a node could not load the log.
        NodeError: If a node runs there, or the library says something else.
    """
    path = Path(directory)
    with locks.locked(path):
        found = last_entry(path)
        said = _described(path, library)
    if said not in (None, found):
        raise NodeError(f"{path}: the log ends with {found}, and libdqlite says {said}")
    return found


def reconfigure_membership_ext(
    directory: Directory, members: "Sequence[Member]", *, library: "Library | None" = None
) -> None:
    """
    Append to the log in a data directory that these are the members, with their roles.

    Run it once, on the most up-to-date directory, while no node of the cluster runs; then copy
    that directory to the other members. `recover_cluster` does all of it.

    Raises:
        ValueError: If these members can be no cluster.
        DamagedFiles: If a node could not load the log.
        NodeError: If a node runs there, or the library did not succeed.
    """
    check_members(members)
    path = Path(directory)
    with locks.locked(path):
        before = last_entry(path)
        if before.index == 0:
            raise NodeError(f"{path}: there is no log, so nothing to recover")
        _use(path, library, lambda used, node: _append(used, node, members))
        check_reconfigured(path, before, members)


def reconfigure_membership(directory: Directory, members: "Sequence[Member]") -> None:
    """Deprecated, as in go-dqlite: `reconfigure_membership_ext` with all members as voters."""
    warnings.warn("use reconfigure_membership_ext", DeprecationWarning, stacklevel=2)
    reconfigure_membership_ext(directory, as_voters(members))


def as_voters(members: "Sequence[Member]") -> "tuple[Member, ...]":
    """The same members, all of them voters."""
    from dqlite.wire.schema import Role

    return tuple(replace(member, role=Role.VOTER) for member in members)


def check_members(members: "Sequence[Member]") -> None:
    """Raise ValueError if these can be no cluster; the library would abort, or serve nobody."""
    from dqlite.wire.schema import Role

    if not 0 < len(members) <= MEMBERS_MAX:
        raise ValueError(f"expected 1 to {MEMBERS_MAX} members, got {len(members)}")
    for member in members:
        if not 0 < member.id < 1 << 64:
            raise ValueError(f"expected an id of 1 to 2^64 - 1, got {member}")
        check_address(member.address)
        Role(member.role)
    if len({member.id for member in members}) < len(members):
        raise ValueError(f"expected members with ids that differ, got {_shown(members)}")
    if len({member.address for member in members}) < len(members):
        raise ValueError(f"expected members with addresses that differ, got {_shown(members)}")
    if not any(member.role == Role.VOTER for member in members):
        raise ValueError("expected at least one voter among the members, got none")


def check_address(address: str) -> None:
    """Raise ValueError if this can be no node's address: the library would read another one."""
    if not 0 < len(address) <= ADDRESS_CHARS_MAX or not address.isprintable():
        raise ValueError(
            f"expected an address of 1 to {ADDRESS_CHARS_MAX} printable characters, "
            f"got {address[:1000]!r}"
        )


def last_entry(path: Path) -> LastEntryInfo:
    """Return the end of a log as its files show it. Raises NodeError, DamagedFiles."""
    try:
        files.check(path)
        return files.read(path).last_entry()
    except OSError as cause:
        raise NodeError(f"cannot read the data directory {path}: {cause.strerror}") from cause


def check_reconfigured(path: Path, before: LastEntryInfo, members: "Sequence[Member]") -> None:
    """Raise NodeError unless one entry with these members was appended to a log."""
    last = files.read(path).last()
    if last is None or last.index != before.index + 1 or last.type is not EntryType.CHANGE:
        raise NodeError(f"{path}: expected entry {before.index + 1} with the members, got {last}")
    if set(last.members()) != set(members):
        raise NodeError(f"{path}: expected {members} in entry {last.index}, got {last.members()}")


def _shown(members: "Sequence[Member]") -> str:
    return ", ".join(f"{member.id} at {member.address}" for member in members)


def _described(path: Path, library: "Library | None") -> LastEntryInfo | None:
    """What the library says; None where it cannot."""
    try:
        from dqlite.node import bindings

        used = library or bindings.load()
    except (ImportError, LibraryNotFound):
        return None
    if bindings.Capability.DESCRIBE_LAST_ENTRY not in used.capabilities():
        return None
    found: list[LastEntryInfo] = []

    def describe(used: "Library", node: Any) -> int:
        index, term = used.ffi.new("uint64_t *"), used.ffi.new("uint64_t *")
        code = int(used.lib.dqlite_node_describe_last_entry(node, index, term))
        found.append(LastEntryInfo(term[0], index[0]))
        return code

    _use(path, used, describe)
    return found[0]


def _append(library: "Library", node: Any, members: "Sequence[Member]") -> int:
    """Have the library append the members; C's strings live until it returns."""
    ffi = library.ffi
    infos = ffi.new("dqlite_node_info_ext[]", len(members))
    addresses = [ffi.new("char[]", member.address.encode()) for member in members]
    for info, member, address in zip(infos, members, addresses, strict=True):
        info.size = ffi.sizeof("dqlite_node_info_ext")
        info.id = member.id
        info.address = int(ffi.cast("uintptr_t", address))
        info.role = member.role.value
    return int(library.lib.dqlite_node_recover_ext(node, infos, len(members)))


def _use(path: Path, library: "Library | None", call: "Callable[[Library, Any], int]") -> None:
    """Call the library with a node object for a directory; the id and the address do not matter."""
    from dqlite.node import bindings
    from dqlite.node.bindings import Capability

    used = library or bindings.load()
    node = bindings.create(used, 1, "1", path)
    try:
        # Without compression a snapshot is read as it is; with it, 1.18.7 takes no other.
        for switch in (Capability.AUTO_RECOVERY, Capability.SNAPSHOT_COMPRESSION):
            if switch in used.capabilities():
                used.require(switch)(node, False)
        code = call(used, node)
        if code:
            said = bytes(used.ffi.string(used.lib.dqlite_node_errmsg(node)))
            reason = said.decode(errors="replace") or "no reason given"
            raise NodeError(f"{path}: libdqlite failed: {reason}", code)
    finally:
        used.lib.dqlite_node_destroy(node)
