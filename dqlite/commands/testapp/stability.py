"""
Whether the roles of a cluster are as they should be, in the words that the Jepsen test looks for.

Pure. The original looks at failure domains, too; its nodes, like ours, are all in one.

Source: jepsen.dqlite, `resources/app.go`, `stableGet`.
"""

from dqlite.app.roles import RolesConfig, State, members
from dqlite.wire.schema import Role


def complaints(state: State, config: RolesConfig, *, all_online: bool) -> list[str]:
    """
    Return what is wrong with the roles of the members that are online.

    Args:
        all_online: Whether a member that is offline is wrong, too.
    """
    voters, standbys, spares = (len(members(state, role)) for role in Role)
    found = []
    if all_online and None in state.values():
        found.append("cluster is not healthy")
    if spares and standbys < config.standbys:
        found.append("extra online spare")
    if standbys > config.standbys and voters < config.voters:
        found.append("extra online standby")
    return found
