"""What a cluster lacks, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.app.health import diagnose
from dqlite.app.roles import RolesConfig, State
from dqlite.wire.schema import Member, Metadata, Role
from tests.dqlite.app.test_roles import cluster


@pytest.mark.parametrize(
    ("text", "leader", "margin", "is_available", "reasons"),
    [
        ("1v", "a", 0, True, ()),
        ("1v 2p", "a", 0, True, ()),
        ("1v 2v 3v", "a", 1, True, ()),
        ("1v 2v 3v 4s 5s 6s 7p", "a", 1, True, ()),
        (
            *("1v 2v 3v!", "a", 0, True),
            (
                "the cluster stops when one more voter fails",
                "2 voters answer, 3 are wanted",
                "the voter 3 at 10.0.0.3:9000 does not answer",
            ),
        ),
        (
            *("1v 2v! 3v!", None, -1, False),
            (
                "no node leads",
                "no quorum: 1 of 3 voters answer, 2 are needed",
                "1 voters answer, 3 are wanted",
                "the voter 2 at 10.0.0.2:9000 does not answer",
                "the voter 3 at 10.0.0.3:9000 does not answer",
            ),
        ),
        ("1v 2v 3v", None, 1, False, ("no node leads",)),
        ("2v 3v 4v", "a", 1, True, ("node 1 is no member",)),
        ("1v 2v 3v 4s!", "a", 1, True, ("the stand-by 4 at 10.0.0.4:9000 does not answer",)),
    ],
)
def test_each_doubt_has_a_reason(
    text: str, leader: str | None, margin: int, is_available: bool, reasons: tuple[str, ...]
) -> None:
    report = diagnose(leader, cluster(text), RolesConfig(), node_id=1)

    assert report.quorum_margin == margin
    assert report.is_available is is_available
    assert report.reasons == reasons
    assert report.is_healthy == (not reasons)


def test_troubles_that_are_known_come_first() -> None:
    report = diagnose("a", cluster("1v"), RolesConfig(), node_id=1, troubles=["it smokes"])

    assert report.reasons == ("it smokes",)


states = st.dictionaries(
    st.builds(Member, st.integers(1, 9), st.just("a:1"), st.sampled_from(Role)),
    st.none() | st.just(Metadata(0, 0)),
)


@given(states, st.none() | st.just("a:1"))
def test_margin_counts_the_failures_that_a_quorum_survives(
    state: State, leader: str | None
) -> None:
    report = diagnose(leader, state, RolesConfig(), node_id=1)

    for failures in range(report.online_voters + 1):
        has_quorum = (report.online_voters - failures) * 2 > report.voters
        assert has_quorum == (failures <= report.quorum_margin)
    assert len(report.online) + len(report.offline) == len(state)
