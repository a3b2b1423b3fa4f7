"""
The roles of seven real nodes in three failure domains: as they join, stop, die and come back.

The tests share one cluster; each begins by waiting until it is settled, and ends with all running.
`benchmarks/dqlite_roles.py` does the same for as long as one likes.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from dqlite.app.caretaker import LEAVING_WEIGHT
from dqlite.errors import DqliteError
from dqlite.wire.schema import Role
from tests.dqlite.app.clusters import PATIENCE_S, Apps, eventually

pytestmark = pytest.mark.cluster

VOTER, STANDBY, SPARE = Role.VOTER, Role.STANDBY, Role.SPARE
DOMAINS = {1: 0, 2: 1, 3: 2, 4: 0, 5: 1, 6: 2, 7: 0}

JOINED = [
    {1: VOTER},
    {1: VOTER, 2: SPARE},
    {1: VOTER, 2: VOTER, 3: VOTER},
    {1: VOTER, 2: VOTER, 3: VOTER, 4: STANDBY},
    {1: VOTER, 2: VOTER, 3: VOTER, 4: STANDBY, 5: STANDBY},
    {1: VOTER, 2: VOTER, 3: VOTER, 4: STANDBY, 5: STANDBY, 6: STANDBY},
    {1: VOTER, 2: VOTER, 3: VOTER, 4: STANDBY, 5: STANDBY, 6: STANDBY, 7: SPARE},
]


class Seven:
    """The cluster, and the roles that it had after each node joined."""

    def __init__(self, apps: Apps) -> None:
        self.apps = apps
        self.joined = []
        for number in DOMAINS:
            self.start(number)
            expected = JOINED[number - 1]
            eventually(lambda expected=expected: apps.roles() == expected)  # type: ignore[misc]
            self.joined.append(apps.roles())

    def start(self, number: int) -> None:
        self.apps.start(number, domain=DOMAINS[number])

    def settle(self) -> None:
        """Wait until three vote, in as many domains as there can be, and the others stand by."""
        domains = sorted({DOMAINS[number] for number in self.apps.running})
        eventually(lambda: self.is_settled() and sorted(set(self.domains_of_voters())) == domains)

    def is_settled(self) -> bool:
        roles = self.apps.roles()
        up = [roles[number] for number in self.apps.running]
        missing = [role for number, role in roles.items() if number not in self.apps.running]
        standbys = min(3, len(up) - 3)
        is_filled = (up.count(VOTER), up.count(STANDBY)) == (3, standbys)
        kept = {SPARE} if standbys == 3 else {SPARE, STANDBY}  # no spare could take its place
        return is_filled and set(missing) <= kept

    def domains_of_voters(self) -> list[int]:
        roles = self.apps.roles()
        return sorted(DOMAINS[number] for number, role in roles.items() if role is VOTER)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seven]:
    bindings = pytest.importorskip("dqlite.node.bindings", reason="cffi is not installed")
    try:
        bindings.load()
    except DqliteError as missing:
        pytest.skip(str(missing))
    with closing(Apps(tmp_path_factory.mktemp("seven"))) as apps:
        yield Seven(apps)


@pytest.fixture
def seven(cluster: Seven) -> Iterator[Seven]:
    cluster.settle()
    yield cluster
    for number in DOMAINS:
        if number not in cluster.apps.running:
            cluster.start(number)


def test_nodes_that_join_get_the_roles_that_are_wanted(seven: Seven) -> None:
    assert seven.joined == JOINED


def test_cluster_of_seven_is_healthy(seven: Seven) -> None:
    eventually(lambda: not seven.apps.running[4].health().reasons)
    report = seven.apps.running[4].health(PATIENCE_S)

    assert (report.voters, report.online_voters, report.quorum_margin) == (3, 3, 1)
    assert report.is_healthy
    assert len(report.online) == 7


def test_leader_that_hands_over_leads_and_votes_no_longer_and_nothing_is_lost(
    seven: Seven,
) -> None:
    old = seven.apps.leader()
    database = seven.apps.running[old].open("test", PATIENCE_S)
    with closing(database.connect()) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")

    seven.apps.running[old].handover(PATIENCE_S)

    assert seven.apps.leader() != old
    assert seven.apps.roles()[old] is not VOTER
    assert seven.domains_of_voters() == [0, 1, 2]  # its place went to its own domain
    seven.apps.stop(old)
    seven.settle()
    other = next(iter(seven.apps.running.values())).open("test", PATIENCE_S)
    with closing(other.connect()) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_standby_that_hands_over_is_replaced_by_a_spare(seven: Seven) -> None:
    standby = next(number for number, role in seven.apps.roles().items() if role is STANDBY)
    spare = next(number for number, role in seven.apps.roles().items() if role is SPARE)

    seven.apps.running[standby].handover(PATIENCE_S)

    assert seven.apps.roles()[spare] is STANDBY
    with seven.apps.running[standby].client() as client:
        assert client.describe().weight == LEAVING_WEIGHT  # the last choice, until it stops


@pytest.mark.parametrize("victims", [1, 2])
def test_voters_that_die_are_replaced_in_their_domains(seven: Seven, victims: int) -> None:
    leader = seven.apps.leader()
    voters = [number for number, role in seven.apps.roles().items() if role is VOTER]
    dead = [number for number in voters if number != leader][:1]
    if victims == 2:  # a stand-by with it: two voters of three would be the quorum
        dead += [number for number, role in seven.apps.roles().items() if role is STANDBY][:1]
    for number in dead:
        seven.apps.stop(number)

    seven.settle()
    assert VOTER not in [seven.apps.roles()[number] for number in dead]
    report = next(iter(seven.apps.running.values())).health(PATIENCE_S)
    assert len(report.offline) == len(dead)
    assert all("does not answer" in reason for reason in report.reasons)
    assert report.quorum_margin == 1


def test_light_node_is_preferred(seven: Seven) -> None:
    roles = seven.apps.roles()
    leader = seven.apps.leader()
    domain = DOMAINS[leader]
    others = [n for n in DOMAINS if n != leader and roles[n] is not VOTER]
    near = [n for n in others if DOMAINS[n] == domain]
    heavy, light = near[0], near[-1]
    for number in near:
        with seven.apps.running[number].client() as client:
            client.weight(7 if number == light else 99)

    seven.apps.running[leader].handover(PATIENCE_S)

    eventually(lambda: seven.apps.roles()[light] is VOTER)
    assert heavy == light or seven.apps.roles()[heavy] is not VOTER
