"""
The files of an application node, as go-dqlite lays them out: a node may change between the two.

`info.yaml` is the node itself, `cluster.yaml` the members it last heard of, and the empty `join`
says that it has still to join its cluster. Each is written whole, with mode 0600. A pure function
decides what they mean; nothing is written before all of them are known to be sound.

Source: go-dqlite 3.0.4, `app/app.go`, `app/files.go`.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dqlite.app.interfaces import default_address
from dqlite.client.stores import YamlStore, format_member, load_yaml, parse_member, replace_file
from dqlite.errors import NodeError, StoreError
from dqlite.node.ids import BOOTSTRAP_ID, generate_id
from dqlite.wire.schema import Member, Role

INFO = "info.yaml"
STORE = "cluster.yaml"
JOIN = "join"


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a directory says.

    Attributes:
        info: The node in `info.yaml`; None if there is no such file.
        has_store: Whether there is a `cluster.yaml`,
        has_join: or a `join`.
    """

    info: Member | None = None
    has_store: bool = False
    has_join: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """
    Which node starts, and in which cluster.

    Attributes:
        member: The node; its role in the file is always VOTER, and says nothing.
        is_joining: It has to be added to its cluster first.
        seeds: Addresses to begin a store with; empty where there is a store already.
    """

    member: Member
    is_joining: bool
    seeds: tuple[str, ...] = ()


def place(
    found: Found, address: str | None, cluster: Sequence[str], new_id: Callable[[str], int]
) -> Placement:
    """
    Decide what to start in a directory.

    Args:
        address: Of the node, as its user gave it; None leaves it to `found`, or to the machine.
        cluster: Addresses of members, to be joined by a new node. A new node without any founds a
            cluster. A node that has started before needs none, and ignores them.
        new_id: Makes an id for a new node at an address.

    Raises:
        NodeError: If the files contradict each other or the address.
    """
    if (found.info is not None) != found.has_store:
        there, missing = (STORE, INFO) if found.info is None else (INFO, STORE)
        raise NodeError(
            f"inconsistent {INFO} and {STORE}: there is {there} but no {missing}; put it back, or "
            f"remove {there} and {JOIN} if this node has never run"
        )
    if found.info is not None:
        if address is not None and address != found.info.address:
            raise NodeError(f'address "{found.info.address}" in {INFO} does not match "{address}"')
        if found.has_join and found.info.id == BOOTSTRAP_ID:
            raise NodeError(f"bootstrap node can't join a cluster: remove {JOIN} or {INFO}")
        return Placement(found.info, found.has_join)

    address = address or default_address()
    if cluster:
        member = Member(new_id(address), address, Role.VOTER)
        return Placement(member, is_joining=True, seeds=tuple(cluster))
    if found.has_join:
        raise NodeError(f"no cluster addresses provided: {JOIN} says that this node joins one")
    return Placement(Member(BOOTSTRAP_ID, address, Role.VOTER), is_joining=False, seeds=(address,))


class Directory:
    """The directory of one node; `prepare` makes it, `undo` takes back what that wrote."""

    def __init__(self, path: Path, placement: Placement, created: tuple[Path, ...]) -> None:
        """Use `prepare`."""
        self.path = path
        self.member = placement.member
        self.is_joining = placement.is_joining
        self.store = YamlStore(path / STORE)
        self._created = created

    @classmethod
    def prepare(
        cls, path: str | os.PathLike[str], *, address: str | None, cluster: Sequence[str]
    ) -> "Directory":
        """
        Read a directory, and write the files of a new node if they are not there.

        Raises:
            NodeError: If there is no such directory, another node holds it, or `place` refuses.
            StoreError: If a file cannot be read or written, or holds something else.
        """
        directory = Path(path)
        with _held(directory):
            placement = place(_read(directory), address, cluster, generate_id)
            created = _write(directory, placement) if placement.seeds else ()
        return cls(directory, placement, created)

    def joined(self) -> None:
        """Remember that the node is a member; raises StoreError if that fails."""
        self.is_joining = False
        _remove([self.path / JOIN])

    def keep(self) -> None:
        """The node has started: its files stay, whatever happens next."""
        self._created = ()

    def undo(self) -> None:
        """Remove what `prepare` wrote, unless another node has the directory by now."""
        created, self._created = self._created, ()
        if created:
            with contextlib.suppress(NodeError), _held(self.path):
                _remove(created)


def _read(directory: Path) -> Found:
    info = directory / INFO
    try:
        member = parse_member(load_yaml(info), str(info))
    except FileNotFoundError:
        member = None
    store = YamlStore(directory / STORE)
    has_store = store.path.exists()
    if has_store:
        store.get()  # a broken one is refused before anything starts
    return Found(member, has_store, (directory / JOIN).exists())


def _write(directory: Path, placement: Placement) -> tuple[Path, ...]:
    """Write the files of a new node; return them. Nothing is left behind by a failure."""
    created: list[Path] = []
    store = YamlStore(directory / STORE)
    try:
        if placement.is_joining:
            created.append(directory / JOIN)
            replace_file(directory / JOIN, "")
        created.append(directory / INFO)
        replace_file(directory / INFO, format_member(placement.member))
        created.append(store.path)
        store.set([Member(0, seed, Role.VOTER) for seed in placement.seeds])
    except BaseException:
        _remove(created)
        raise
    return tuple(created)


def _remove(paths: Sequence[Path]) -> None:
    for path in reversed(paths):
        try:
            path.unlink(missing_ok=True)
        except OSError as cause:
            raise StoreError(f"cannot remove {path}: {cause.strerror}") from cause


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Keep every other node out of a directory: nodes lock it in the same way while they run."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as cause:
        raise NodeError(f"cannot use the directory {path}: {cause.strerror}") from cause
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as cause:
        raise NodeError(f"another node holds the directory {path}") from cause
    finally:
        os.close(descriptor)
