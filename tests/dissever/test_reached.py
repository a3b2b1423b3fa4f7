"""What no run of a campaign has reached, of all that its options allow."""

import pytest

from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options
from dissever.nemesis.faults import FAULTS
from dissever.reached import _ONLY_UNDER, RECORDED, SERVERS, never


def unseen(faults: tuple[str, ...], *names: str, count: int = 3) -> tuple[str, ...]:
    nodes = tuple(f"n{number + 1}" for number in range(count))
    options = Options(system="raft", workload="set", backend=SIMULATED, nodes=nodes, faults=faults)
    return never(options, (RECORDED, *names))


@pytest.mark.parametrize(
    ("faults", "possible"),
    [
        ((), set()),
        (("kill",), set()),
        (("packet-loss",), {"message lost"}),
        (("netem-duplicate",), {"message duplicated"}),
        (("netem-corrupt:leader",), {"message corrupt"}),
    ],
)
def test_only_what_the_faults_can_cause_is_missed(
    faults: tuple[str, ...], possible: set[str]
) -> None:
    of_any = {"unsynced entries lost", "message cut", "message to a node that was down"}
    of_some = {"message lost", "message corrupt", "message duplicated"}
    missed = set(unseen(faults))

    assert {"leader changed", "snapshot taken"} <= missed
    assert missed & of_any == (of_any if faults else set())
    assert missed & of_some == possible


def test_what_was_seen_is_not_missed() -> None:
    assert "leader changed" not in unseen(("kill",), "leader changed")


def test_a_server_that_is_alone_misses_no_messages() -> None:
    assert set(unseen(("kill",), "kill held", count=1)) == {
        "snapshot taken",
        "unsynced entries lost",
    }


def test_every_name_is_one_of_ours() -> None:
    assert set(_ONLY_UNDER) <= set(SERVERS)
    for faults in _ONLY_UNDER.values():
        assert faults <= FAULTS.own.keys()
