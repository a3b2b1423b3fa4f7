"""Nodes get another version one by one; that it is another, the loaded library says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness.client import Invocation
from dissever.harness.cluster import NodeState
from dissever.nemesis import Environment, make_nemeses

START = ("upgrade", "start-upgrade")
STOP = ("upgrade", "stop-upgrade", None)


class Builds:
    """Versions `old` and `new`; one that lies starts the old library under the new name."""

    def __init__(self, cluster: Any, *, newer: str | None = "new", lies: bool = False) -> None:
        self.cluster = cluster
        self.newer = newer
        self.names = dict.fromkeys(cluster.nodes, "old")
        self.lies = lies
        self.order: list[str] = []

    def of(self, node: str) -> str:
        return self.names[node]

    async def upgrade(self, node: str) -> None:
        assert self.cluster.states[node].state is NodeState.GONE
        self.order.append(node)
        self.names[node] = str(self.newer)
        await self.cluster.start(node)

    async def running(self, node: str) -> Mapping[str, Any]:
        if self.cluster.states[node].pid is None:
            return {}
        return {"path": "/lib", "sha256": "old" if self.lies else self.names[node]}


def nemeses_of(cluster: Any, builds: Builds | None, *others: str) -> Any:
    environment = Environment(cluster, cluster, 1, answers=cluster.answers, builds=builds)
    return make_nemeses(["upgrade", *others], environment)


def test_rolling_upgrade_takes_each_node_and_the_leader_last(cluster: Any, play: Any) -> None:
    cluster.leaders = ("n2",)
    builds = Builds(cluster)
    struck, healed = play(nemeses_of(cluster, builds), (*START, {"spec": "rolling"}), STOP)

    assert sorted(builds.order) == list(cluster.nodes)
    assert builds.order[-1] == "n2"
    assert struck.value["evidence"]["held"] is True
    assert struck.value["evidence"]["nodes"]["n2"]["library_before"]["sha256"] == "old"
    assert struck.value["evidence"]["nodes"]["n2"]["library"]["sha256"] == "new"
    assert healed.value["evidence"]["healed"] is True
    assert set(healed.value["targets"]) == set(cluster.nodes)


def test_one_is_one_and_named_nodes_are_those(cluster: Any, play: Any) -> None:
    builds = Builds(cluster)
    one, named = play(
        nemeses_of(cluster, builds), (*START, {"spec": "one"}), (*START, {"targets": ["n4", "n5"]})
    )

    assert len(one.value["targets"]) == 1
    assert set(named.value["targets"]) == {"n4", "n5"} - set(one.value["targets"])


def test_where_every_node_runs_it_already_that_is_seen_and_said(cluster: Any, play: Any) -> None:
    nemeses = nemeses_of(cluster, Builds(cluster))
    _, again = play(nemeses, (*START, {"spec": "rolling"}), (*START, {"spec": "rolling"}))

    assert again.value["note"] == "every node that is meant runs it already"
    assert again.value["evidence"]["held"] is True
    assert cluster.calls.count("stop n1") == 1


def test_other_name_for_the_same_library_is_no_upgrade(cluster: Any, play: Any) -> None:
    (struck,) = play(nemeses_of(cluster, Builds(cluster, lies=True)), (*START, {"spec": "one"}))

    assert struck.value["evidence"]["held"] is False
    assert "did not take hold" in struck.error


def test_node_that_does_not_answer_was_not_upgraded(cluster: Any, play: Any) -> None:
    async def silent(node: str) -> bool:
        return False

    cluster.answers = silent
    (struck,) = play(nemeses_of(cluster, Builds(cluster)), (*START, {"spec": "one"}))

    assert struck.value["evidence"]["held"] is False


def test_node_that_had_to_be_killed_was_not_upgraded_as_meant(cluster: Any, play: Any) -> None:
    cluster.lies = {"stop"}
    (struck,) = play(nemeses_of(cluster, Builds(cluster)), (*START, {"spec": "one"}))

    assert struck.value["evidence"]["held"] is False


def test_it_waits_until_other_faults_leave_room(make_cluster: Any, run: Any) -> None:
    cluster = make_cluster(3)
    builds = Builds(cluster)
    nemeses = nemeses_of(cluster, builds, "kill")

    async def main() -> Any:
        killed = Invocation("kill", {"targets": ["n3"]}, process="kill")
        await nemeses["kill"].invoke(killed)
        rolling = Invocation("start-upgrade", {"spec": "rolling"}, process="upgrade")
        upgrade = asyncio.ensure_future(nemeses["upgrade"].invoke(rolling))
        await asyncio.sleep(5)
        before = list(builds.order)
        await nemeses["kill"].invoke(Invocation("start", process="kill"))
        return before, await upgrade

    before, struck = run(main())

    assert before == []
    assert sorted(builds.order) == ["n1", "n2", "n3"]
    assert struck.value["evidence"]["held"] is True


def test_without_room_nobody_is_struck_and_it_says_so(make_cluster: Any, play: Any) -> None:
    cluster = make_cluster(3)
    nemeses = nemeses_of(cluster, Builds(cluster), "kill")
    _, struck = play(nemeses, ("kill", "kill", {"targets": ["n3"]}), (*START, {"targets": ["n1"]}))

    assert struck.value["evidence"]["held"] is None
    assert struck.value["trimmed"] == "no room for n1 within 15 s"


@pytest.mark.parametrize("newer", [None, "missing"])
def test_without_a_version_to_upgrade_to_it_cannot_be_injected(cluster: Any, newer: Any) -> None:
    builds = None if newer == "missing" else Builds(cluster, newer=newer)
    missing = nemeses_of(cluster, builds)["upgrade"].probe()

    assert missing.remedy == "--upgrade-to VERSION"


def test_teardown_starts_what_stands_still_between_two_versions(cluster: Any, run: Any) -> None:
    builds = Builds(cluster)

    async def breaks(node: str) -> None:
        raise OSError("no such image")

    builds.upgrade = breaks  # type: ignore[method-assign]
    nemeses = nemeses_of(cluster, builds)

    async def main() -> None:
        with pytest.raises(OSError, match="no such image"):
            await nemeses["upgrade"].invoke(
                Invocation("start-upgrade", {"targets": ["n1"]}, process="upgrade")
            )
        await nemeses["upgrade"].heal()

    run(main())

    assert cluster.calls[-1] == "start n1"
    assert cluster.states["n1"].state is NodeState.RUNNING


def test_unknown_node_and_spec_are_refused(cluster: Any, play: Any) -> None:
    nemeses = nemeses_of(cluster, Builds(cluster))

    with pytest.raises(ValueError, match=r"expected nodes of n1, .*got n9"):
        play(nemeses, (*START, {"targets": ["n9"]}))
    with pytest.raises(ValueError, match="expected one or rolling"):
        play(nemeses, (*START, {"spec": "leader"}))
