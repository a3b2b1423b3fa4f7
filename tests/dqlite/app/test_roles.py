"""Decisions about roles, against a second opinion that is written in another way."""

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqlite.app import roles
from dqlite.app.roles import Change, RolesConfig, State
from dqlite.wire.schema import Member, Metadata, Role

CLUSTERS = int(os.environ.get("DQLITE_ROLES_CLUSTERS", "600"))
"""Random clusters for the comparison with the second opinion: 100000 take half a minute."""

VOTER, STANDBY, SPARE = Role.VOTER, Role.STANDBY, Role.SPARE


def cluster(text: str) -> State:
    """
    A cluster in one line: `1v 2v@7 3s/5 4p!` is members by id, role, domain and weight.

    `v`, `s` and `p` are voter, stand-by and spare; `@` begins a failure domain (0), `/` a weight
    (0), and `!` marks a member that is offline.
    """
    state: dict[Member, Metadata | None] = {}
    for word in text.split():
        rest, _, weight = word.rstrip("!").partition("/")
        name, _, domain = rest.partition("@")
        role = {"v": VOTER, "s": STANDBY, "p": SPARE}[name[-1]]
        member = Member(int(name[:-1]), f"10.0.0.{name[:-1]}:9000", role)
        metadata = Metadata(int(domain or 0), int(weight or 0))
        state[member] = None if word.endswith("!") else metadata
    return state


def ids(change: Change | None) -> tuple[Role, list[int]] | None:
    return None if change is None else (change.role, [member.id for member in change.candidates])


@pytest.mark.parametrize(
    ("text", "node_id", "role"),
    [
        ("1v 2p", 2, None),  # too small
        ("1v 2p 3p", 3, VOTER),
        ("1v 2p 3p", 9, None),  # removed
        ("1v 2v 3v 4p", 4, STANDBY),
        ("1v 2v 3v! 4p", 4, VOTER),
        ("1v 2v 3v 4s 5s 6s 7p", 7, None),
        ("1v 2v 3s", 3, None),  # the leader decides on those that have a role
    ],
)
def test_node_that_starts_takes_the_role_that_is_wanted(
    text: str, node_id: int, role: Role | None
) -> None:
    assert roles.assume(cluster(text), RolesConfig(), node_id) is role


@pytest.mark.parametrize(
    ("text", "node_id", "change"),
    [
        ("1v 2v 3v", 1, None),
        ("1v 2v 3v 4p!", 1, None),
        ("1v 2v 3v 4p 5s", 1, (VOTER, [5, 4])),  # stand-bys first
        ("1v 2v 3v 4s/2 5p/1", 1, (VOTER, [5, 4])),  # but light ones before
        ("1v@1 2v@2 3v@3 4s@2 5s@3 6s@1", 1, (VOTER, [6, 4, 5])),  # where no voter is left
        ("1v 2v 3v 4s 5s 6p", 4, (STANDBY, [6])),
        ("1v 2v 3v 4p", 4, None),
        ("1v 2v 3v 4p", 9, None),
        ("1v 2p", 1, (VOTER, [2])),
    ],
)
def test_node_that_stops_hands_over_its_role(
    text: str, node_id: int, change: tuple[Role, list[int]] | None
) -> None:
    assert ids(roles.handover(cluster(text), node_id)) == change


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("1v", None),
        ("1v 2p", None),
        ("1v 2v", (SPARE, [2])),  # two voters fail when one does
        ("1v 2v!", (SPARE, [2])),
        ("1v 2v 3v 4s 5s 6s", None),
        ("1v 2v 3p 4s", (VOTER, [4, 3])),
        ("1v 2v 3v! 4s 5p", (VOTER, [4, 5])),
        ("1v 2v 3v! 4p!", None),  # nobody to take its place
        ("1v 2v 3v 4v!", (SPARE, [4])),
        ("1v 2v/1 3v/9 4v", (SPARE, [3, 2, 4])),
        ("1v@1 2v@1 3v@2 4p@3 5p@3/1", (VOTER, [4, 5])),  # a voter for each domain
        ("1v@3 2v@3 3v@2 4v@1", (SPARE, [2, 4, 3])),  # the leader fills domain 3
        ("1v@4 2v 3v 4p 5p@4/1 6p/1 7s", (STANDBY, [5, 4, 6])),
        ("1v 2v 3v 4s 5s 6s 7s/3", (SPARE, [7, 4, 5, 6])),
        ("1v 2v 3v 4s 5s 6s 7s!", (SPARE, [7])),
        ("1v 2v 3v 4s 5p!", None),
    ],
)
def test_leader_makes_the_next_change(text: str, change: tuple[Role, list[int]] | None) -> None:
    assert ids(roles.adjust(cluster(text), RolesConfig(), 1)) == change


@pytest.mark.parametrize(("voters", "standbys"), [(1, 3), (4, 3), (-3, 3), (3, -1)])
def test_impossible_target_is_an_error(voters: int, standbys: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        RolesConfig(voters, standbys)


# The second opinion: rows and comparisons instead of members and keys, from the prose alone


class Row:
    """One member, as a table would have it."""

    def __init__(self, member: Member, metadata: Metadata | None) -> None:
        self.member = member
        self.role = ("voter", "standby", "spare")[member.role]
        self.is_up = metadata is not None
        self.domain = metadata.failure_domain if metadata else None
        self.weight = metadata.weight if metadata else 0

    def is_preferred_to(self, other: "Row", taken: set[int | None]) -> bool:
        """A domain of its own, then less weight, then stand-by before spare, then the lower id."""
        if (self.domain in taken) != (other.domain in taken):
            return self.domain not in taken
        if self.weight != other.weight:
            return self.weight < other.weight
        if self.role != other.role:
            return self.role == "standby"
        return self.member.id < other.member.id


def queue(rows: list[Row], taken: set[int | None]) -> list[int]:
    """The ids of rows, best first, by picking the best again and again."""
    waiting, picked = list(rows), []
    while waiting:
        best = waiting[0]
        for row in waiting[1:]:
            if row.is_preferred_to(best, taken):
                best = row
        waiting.remove(best)
        picked.append(best.member.id)
    return picked


class SecondOpinion:
    def __init__(self, state: State, config: RolesConfig) -> None:
        self.rows = [Row(member, metadata) for member, metadata in state.items()]
        self.wanted = {"voter": config.voters, "standby": config.standbys}

    def up(self, *names: str) -> list[Row]:
        return [row for name in names for row in self.rows if row.is_up and row.role == name]

    def down(self, name: str) -> list[int]:
        return sorted(r.member.id for r in self.rows if not r.is_up and r.role == name)

    def assume(self, node_id: int) -> Role | None:
        spares = [row.member.id for row in self.rows if row.role == "spare"]
        if len(self.rows) >= 3 and node_id in spares:
            for name, role in (("voter", VOTER), ("standby", STANDBY)):
                if len(self.up(name)) < self.wanted[name]:
                    return role
        return None

    def handover(self, node_id: int) -> tuple[Role, list[int]] | None:
        for me in self.rows:
            if me.member.id == node_id and me.role != "spare":
                others = {row.domain for row in self.up(me.role) if row is not me}
                below = ("spare",) if me.role == "standby" else ("standby", "spare")
                found = queue(self.up(*below), others)
                return (me.member.role, found) if found else None
        return None

    def adjust(self, leader: int) -> tuple[Role, list[int]] | None:
        if len(self.rows) == 1:
            return None
        if len(self.rows) == 2:
            surplus = [
                r.member.id for r in self.rows if r.role == "voter" and r.member.id != leader
            ]
            return (SPARE, surplus[:1]) if surplus else None

        voters = self.up("voter")
        places = {row.domain for row in voters}
        empty = {row.domain for row in self.rows if row.is_up} - places
        if len(places) < len(voters):
            movable = [row for row in self.up("standby", "spare") if row.domain in empty]
            if movable:
                return VOTER, queue(movable, set())
        for name, below in (("voter", ("standby", "spare")), ("standby", ("spare",))):
            there, wanted = self.up(name), self.wanted[name]
            if len(there) < wanted:
                found = queue(self.up(*below), {row.domain for row in there})
                return (VOTER if name == "voter" else STANDBY, found) if found else None
            if len(there) > wanted:
                surplus = self.dismissed(there, leader)
                return (SPARE, surplus) if surplus else None
            if self.down(name):
                return SPARE, self.down(name)
        return None

    def dismissed(self, there: list[Row], leader: int) -> list[int]:
        """Domain after domain, those with most of this role first; heavy members before light."""
        domains: dict[int, list[Row]] = {}
        for row in there:
            assert row.domain is not None
            domains.setdefault(row.domain, []).append(row)
        order = []
        for size in range(len(there), 0, -1):
            for domain in sorted(domains):
                if len(domains[domain]) == size:
                    heavy = sorted({row.weight for row in domains[domain]}, reverse=True)
                    for weight in heavy:
                        same = [r.member.id for r in domains[domain] if r.weight == weight]
                        order += sorted(same)
        return [node_id for node_id in order if node_id != leader]


def random_cluster(rng: random.Random) -> tuple[State, RolesConfig]:
    size = rng.choice((1, 2, 3, 4, 5, 6, 7, 9, 12))
    domains, weights = rng.choice((1, 2, 3, 9)), rng.choice((1, 2, 100))
    online = rng.choice((0.5, 0.9, 1.0))
    state: dict[Member, Metadata | None] = {}
    for node_id in rng.sample(range(1, 1000), size):
        metadata = Metadata(rng.randrange(domains), rng.randrange(weights))
        role = rng.choices((VOTER, STANDBY, SPARE), rng.choice(((3, 3, 3), (1, 1, 5), (5, 1, 1))))
        member = Member(node_id, f"10.0.0.1:{9000 + node_id}", role[0])
        state[member] = metadata if rng.random() < online else None
    return state, RolesConfig(rng.choice((3, 3, 5, 7)), rng.choice((0, 1, 3, 4)))


def test_second_opinion_agrees_on_random_clusters() -> None:
    rng = random.Random(14)
    changes = 0
    for _ in range(CLUSTERS):
        state, config = random_cluster(rng)
        second = SecondOpinion(state, config)
        for member in state:
            assert roles.assume(state, config, member.id) == second.assume(member.id)
            assert ids(roles.handover(state, member.id)) == second.handover(member.id)
            adjusted = ids(roles.adjust(state, config, member.id))
            assert adjusted == second.adjust(member.id), (state, config, member)
            changes += adjusted is not None

    assert changes > CLUSTERS


# Properties


@st.composite
def clusters(draw: st.DrawFn) -> tuple[State, RolesConfig, int]:
    """A cluster whose leader is a voter and online."""
    rng = draw(st.randoms(use_true_random=False))
    state, config = random_cluster(rng)
    leader = rng.choice(sorted(state, key=lambda member: member.id))
    led: dict[Member, Metadata | None] = {
        (Member(m.id, m.address, VOTER) if m is leader else m): metadata
        for m, metadata in state.items()
    }
    voter = Member(leader.id, leader.address, VOTER)
    led[voter] = led[voter] or Metadata(0, 0)
    return led, config, leader.id


def adjustments(state: State, config: RolesConfig, leader: int) -> Iterator[Change]:
    """Carry out every change, as long as there is one."""
    while (change := roles.adjust(state, config, leader)) is not None:
        yield change
        chosen = change.candidates[0]
        state = {
            (Member(m.id, m.address, change.role) if m == chosen else m): metadata
            for m, metadata in state.items()
        }


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_changes_come_to_an_end_and_never_touch_the_leader(
    led: tuple[State, RolesConfig, int],
) -> None:
    state, config, leader = led
    for step, change in enumerate(adjustments(state, config, leader)):
        assert step < 4 * len(state), "the changes do not come to an end"
        assert leader not in [member.id for member in change.candidates]
        chosen = change.candidates[0]
        state = {
            (Member(m.id, m.address, change.role) if m == chosen else m): metadata
            for m, metadata in state.items()
        }

    voters = roles.members(state, VOTER)
    idle = roles.members(state, STANDBY) + roles.members(state, SPARE)
    if len(state) < roles.MIN_VOTERS:
        assert [m.id for m in state if m.role == VOTER] == [leader]
    elif idle:
        assert len(voters) == config.voters
        assert not roles.members(state, VOTER, online=False)
        uncovered = roles.failure_domains(state, idle) - roles.failure_domains(state, voters)
        assert not uncovered or len(roles.failure_domains(state, voters)) == len(voters)


@settings(max_examples=60, deadline=None)
@given(clusters(), st.randoms(use_true_random=False))
def test_order_of_the_members_does_not_matter(
    led: tuple[State, RolesConfig, int], rng: random.Random
) -> None:
    state, config, leader = led
    items = list(state.items())
    rng.shuffle(items)
    shuffled = dict(items)

    assert roles.adjust(shuffled, config, leader) == roles.adjust(state, config, leader)
    assert roles.handover(shuffled, leader) == roles.handover(state, leader)


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_candidates_are_online_others_of_a_lower_role(
    led: tuple[State, RolesConfig, int],
) -> None:
    state, _, leader = led
    change = roles.handover(state, leader)
    if change is not None:
        assert len(set(change.candidates)) == len(change.candidates) > 0
        for member in change.candidates:
            assert member.id != leader
            assert member.role > change.role
            assert state[member] is not None
