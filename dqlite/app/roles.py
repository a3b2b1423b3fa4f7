"""
Who should have which role: pure decisions from what was last seen of a cluster.

Each function looks at a snapshot of the cluster and names at most one change; the caller carries it
out and asks again. Candidates are in order of preference, and the order is total: the same snapshot
gives the same answer, whatever the order of its members.

Source: go-dqlite 3.0.4, `app/roles.go`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dqlite.wire.schema import Member, Metadata, Role

MIN_VOTERS = 3
"""A smaller cluster has one voter: two voters fail when either of them does."""

State: TypeAlias = Mapping[Member, Metadata | None]
"""Every member, with its metadata, or None while it is offline."""


@dataclass(frozen=True, slots=True)
class RolesConfig:
    """
    How many online members of each role a cluster wants.

    Attributes:
        voters: Odd, at least 3.
        standbys: 0 or more.
    """

    voters: int = 3
    standbys: int = 3

    def __post_init__(self) -> None:
        if self.voters < MIN_VOTERS or self.voters % 2 == 0:
            raise ValueError(f"expected an odd number of voters, 3 or more, got {self.voters}")
        if self.standbys < 0:
            raise ValueError(f"expected 0 stand-bys or more, got {self.standbys}")


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change of a role.

    Attributes:
        role: To be assigned to one candidate: the first that takes it.
        candidates: At least one, the best first.
    """

    role: Role
    candidates: tuple[Member, ...]


def assume(state: State, config: RolesConfig, node_id: int) -> Role | None:
    """
    Decide which role a node should ask for when it starts.

    Returns:
        VOTER or STANDBY. None: the node keeps its role, or is no member.
    """
    node = find(state, node_id)
    if len(state) < MIN_VOTERS or node is None or node.role != Role.SPARE:
        return None
    if len(members(state, Role.VOTER)) < config.voters:
        return Role.VOTER
    if len(members(state, Role.STANDBY)) < config.standbys:
        return Role.STANDBY
    return None


def handover(state: State, node_id: int) -> Change | None:
    """
    Decide who should get the role of a node that is about to stop.

    Returns:
        The role of the node and the online members that could have it. None: there is nobody, or
        nothing to hand over.
    """
    node = find(state, node_id)
    if node is None or node.role == Role.SPARE:
        return None
    candidates = _promotable(state, node.role)
    peers = [peer for peer in members(state, node.role) if peer.id != node_id]
    return _change(node.role, by_preference(state, candidates, failure_domains(state, peers)))


def adjust(state: State, config: RolesConfig, leader_id: int) -> Change | None:
    """
    Decide on the next change that brings a cluster nearer to what it wants.

    In order: a small cluster keeps one voter; each failure domain gets a voter, where another has
    several; the online voters are as many as wanted; no offline member votes; then the same for
    stand-bys. The leader is never demoted.

    Returns:
        None: nothing is to be changed, or nobody is there for it.
    """
    if len(state) == 1:
        return None
    if len(state) < MIN_VOTERS:
        others = [m for m in state if m.role == Role.VOTER and m.id != leader_id]
        return _change(Role.SPARE, sorted(others, key=_id)[:1])

    voters = members(state, Role.VOTER)
    covered = failure_domains(state, voters)
    uncovered = failure_domains(state, state) - covered
    if uncovered and len(covered) < len(voters):
        candidates = _promotable(state, Role.VOTER, uncovered)
        if candidates:
            return _change(Role.VOTER, by_preference(state, candidates, ()))

    if len(voters) < config.voters:
        candidates = _promotable(state, Role.VOTER)
        return _change(Role.VOTER, by_preference(state, candidates, covered))
    if len(voters) > config.voters:
        return _change(Role.SPARE, by_redundancy(state, voters, leader_id))
    if offline := members(state, Role.VOTER, online=False):
        return _change(Role.SPARE, sorted(offline, key=_id))

    standbys = members(state, Role.STANDBY)
    if len(standbys) < config.standbys:
        candidates = _promotable(state, Role.STANDBY)
        taken = failure_domains(state, standbys)
        return _change(Role.STANDBY, by_preference(state, candidates, taken))
    if len(standbys) > config.standbys:
        return _change(Role.SPARE, by_redundancy(state, standbys, leader_id))
    return _change(Role.SPARE, sorted(members(state, Role.STANDBY, online=False), key=_id))


def find(state: State, node_id: int) -> Member | None:
    """Return the member with this id."""
    return next((member for member in state if member.id == node_id), None)


def members(
    state: State, role: Role, *, online: bool = True, domains: Collection[int] | None = None
) -> list[Member]:
    """
    List the members of a role that are online, or those that are offline.

    Args:
        domains: Only members that are online in one of these failure domains. None: anywhere.
    """
    return [
        member
        for member, metadata in state.items()
        if member.role == role
        and (metadata is not None) is online
        and (domains is None or (metadata is not None and metadata.failure_domain in domains))
    ]


def failure_domains(state: State, among: Iterable[Member]) -> frozenset[int]:
    """Return the failure domains of those members that are online."""
    found = (state[member] for member in among)
    return frozenset(metadata.failure_domain for metadata in found if metadata is not None)


def by_preference(
    state: State, candidates: Iterable[Member], taken: Collection[int]
) -> list[Member]:
    """Sort online members for a promotion: outside of taken domains, light, stand-by, low id."""

    def key(member: Member) -> tuple[bool, int, Role, int]:
        metadata = _online(state, member)
        return metadata.failure_domain in taken, metadata.weight, member.role, member.id

    return sorted(candidates, key=key)


def by_redundancy(state: State, among: Collection[Member], leader_id: int) -> list[Member]:
    """
    Sort online members of one role for a demotion: from the fullest domain, heavy, low id.

    The leader is left out, but fills its domain: a voter that is the only one of its domain stays
    as long as another domain has two. go-dqlite does not count the leader, and may so demote again
    the voter that it has just made, without end.
    """
    sizes = Counter(_online(state, member).failure_domain for member in among)

    def key(member: Member) -> tuple[int, int, int, int]:
        metadata = _online(state, member)
        domain = metadata.failure_domain
        return -sizes[domain], domain, -metadata.weight, member.id

    return sorted((member for member in among if member.id != leader_id), key=key)


def _promotable(state: State, role: Role, domains: Collection[int] | None = None) -> list[Member]:
    lower = [each for each in Role if each > role]
    return [member for each in lower for member in members(state, each, domains=domains)]


def _change(role: Role, candidates: Iterable[Member]) -> Change | None:
    chosen = tuple(candidates)
    return Change(role, chosen) if chosen else None


def _online(state: State, member: Member) -> Metadata:
    metadata = state[member]
    assert metadata is not None  # callers sort members that are online
    return metadata


def _id(member: Member) -> int:
    return member.id
