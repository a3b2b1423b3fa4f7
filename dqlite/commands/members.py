"""
Members and the health of a cluster as commands show them.

Source: go-dqlite 3.0.4, `client/client.go` (names of roles), `internal/shell/shell.go` (JSON).
"""

from typing import TYPE_CHECKING

from dqlite.errors import Error
from dqlite.wire.schema import Member, Role

if TYPE_CHECKING:
    from dqlite.app.health import HealthReport
    from dqlite.commands.servers import Cluster

ROLE_NAMES = {Role.VOTER: "voter", Role.STANDBY: "stand-by", Role.SPARE: "spare"}
ROLES = {name: role for role, name in ROLE_NAMES.items()}


def member_json(member: Member) -> dict[str, object]:
    """Return a member as go-dqlite writes it; the role is its number."""
    return {"ID": member.id, "Address": member.address, "Role": int(member.role)}


def health_json(report: "HealthReport") -> dict[str, object]:
    """Return the fields of a report, and its two verdicts."""
    return {
        "available": report.is_available,
        "healthy": report.is_healthy,
        "leader": report.leader,
        "online": [member_json(each) for each in report.online],
        "offline": [member_json(each) for each in report.offline],
        "voters": report.voters,
        "online_voters": report.online_voters,
        "quorum_margin": report.quorum_margin,
        "reasons": list(report.reasons),
    }


def examine(cluster: "Cluster") -> "HealthReport":
    """
    Look at a cluster from outside: who leads, who answers, how many voters may still fail.

    Without a leader, the members are those that the user named.
    """
    import asyncio

    from dqlite.app.caretaker import probe
    from dqlite.app.health import diagnose
    from dqlite.app.roles import RolesConfig

    troubles: tuple[str, ...] = ()
    leader, members = None, cluster.store.get()
    try:
        with cluster.leader() as client:
            leader, members = client.address, client.cluster()
    except Error as error:
        troubles = (str(error),)
    dial = cluster.transport.dial_async if cluster.transport is not None else None
    state = asyncio.run(probe(members, dial))
    return diagnose(leader, state, RolesConfig(), node_id=members[0].id, troubles=troubles)
