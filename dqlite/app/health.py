"""
Is the cluster well? A pure judgement of what was seen of it, with a reason for each doubt.

Source: dqlite's documentation on roles; the discussion of 2019 that asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dqlite.app import roles
from dqlite.app.roles import MIN_VOTERS, RolesConfig, State
from dqlite.wire.schema import Member, Role


@dataclass(frozen=True, slots=True)
class HealthReport:
    """
    What is known of a cluster at one moment, as one node sees it.

    Attributes:
        leader: Its address; None if there is none.
        online, offline: The members, by id.
        voters: How many members vote.
        online_voters: How many of them answer.
        quorum_margin: How many of the online voters may still fail before nothing can be written;
            negative when that is so already.
        reasons: Why the cluster is not healthy, a sentence each; empty if it is.
    """

    leader: str | None
    online: tuple[Member, ...]
    offline: tuple[Member, ...]
    voters: int
    online_voters: int
    quorum_margin: int
    reasons: tuple[str, ...]

    @property
    def is_available(self) -> bool:
        """Whether the cluster can serve: it has a leader and a quorum."""
        return self.leader is not None and self.quorum_margin >= 0

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong: it serves, it can lose a voter, and nobody is missing."""
        return not self.reasons


def diagnose(
    leader: str | None,
    state: State,
    config: RolesConfig,
    *,
    node_id: int,
    troubles: Sequence[str] = (),
) -> HealthReport:
    """
    Judge a cluster.

    Args:
        state: Its members, as the leader lists them, or as they were stored last.
        node_id: The node that asks.
        troubles: Reasons that are known already.
    """
    members = sorted(state, key=lambda member: member.id)
    online = tuple(member for member in members if state[member] is not None)
    offline = tuple(member for member in members if state[member] is None)
    voters = [member for member in members if member.role == Role.VOTER]
    online_voters = [member for member in voters if member in online]
    margin = len(online_voters) - (len(voters) // 2 + 1)

    reasons = list(troubles)
    if leader is None:
        reasons.append("no node leads")
    if margin < 0:
        reasons.append(
            f"no quorum: {len(online_voters)} of {len(voters)} voters answer, "
            f"{len(voters) // 2 + 1} are needed"
        )
    elif margin == 0 and len(members) >= MIN_VOTERS:
        reasons.append("the cluster stops when one more voter fails")
    if len(members) >= MIN_VOTERS and len(online_voters) < min(config.voters, len(members)):
        reasons.append(
            f"{len(online_voters)} voters answer, {min(config.voters, len(members))} are wanted"
        )
    reasons += [
        f"the {_NAMES[member.role]} {member.id} at {member.address} does not answer"
        for member in offline
    ]
    if roles.find(state, node_id) is None:
        reasons.append(f"node {node_id} is no member")
    return HealthReport(
        leader, online, offline, len(voters), len(online_voters), margin, tuple(reasons)
    )


_NAMES = {Role.VOTER: "voter", Role.STANDBY: "stand-by", Role.SPARE: "spare"}
