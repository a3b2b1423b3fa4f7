"""A started cluster, broken step by step: faults that held, and that heal whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dissever.harness.client import NotApplied
from dissever.harness.cluster.backends import NAMESPACES, SIMULATED
from dissever.harness.plan import Options
from dissever.harness.runner import CannotRun
from dissever.nemesis.dispatcher import Dispatcher
from dissever.starting import CannotStrike, DidNotHold, StartedCluster, start
from dissever.systems import load

OPTIONS = Options(
    system="simulated", workload="register", nodes=("n1", "n2", "n3"), backend=SIMULATED
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StartedCluster]:
    with start(OPTIONS, tmp_path / "cluster") as started:
        yield started


def test_clients_have_the_methods_of_the_store_without_await(cluster: StartedCluster) -> None:
    one, two = cluster.client("n1"), cluster.client("n2")
    one.write(1, 5)

    assert two.read(1) == 5
    assert two.compare_and_set(1, 5, 6)
    assert cluster.answers("n3")


def test_what_was_not_applied_and_what_is_unknown_differ(cluster: StartedCluster) -> None:
    client = cluster.client("n3")
    with cluster.kill("n3"), pytest.raises(NotApplied):
        client.write(1, 5)
    with cluster.partition("n3"), pytest.raises((NotApplied, TimeoutError)):
        client.write(2, 5)


def test_a_partition_holds_inside_and_is_healed_after(cluster: StartedCluster) -> None:
    with cluster.partition("n3") as strike:
        cut = asyncio.run(reach(cluster))
    healed = asyncio.run(reach(cluster))

    assert strike.targets == ("n3",)
    assert strike.evidence["held"] is True
    assert cut == {("n1", "n2"), ("n2", "n1")}
    assert len(healed) == 6
    assert cluster.strikes == (strike,)


async def reach(cluster: StartedCluster) -> set[tuple[str, str]]:
    """Each pair of which the first is heard by the second."""
    nodes = cluster.nodes
    pairs = [(a, b) for a in nodes for b in nodes if a != b]
    links: Any = cluster.deployment.cluster
    found = await asyncio.to_thread(cluster.call, links.reach(pairs, 0.5))
    return {pair for pair in pairs if found[pair]}


def test_sides_are_cut_off_from_each_other_and_others_hear_everyone(
    cluster: StartedCluster,
) -> None:
    with cluster.partition(["n1"], ["n3"]):
        heard = asyncio.run(reach(cluster))

    assert heard == {("n1", "n2"), ("n2", "n1"), ("n2", "n3"), ("n3", "n2")}


def test_what_is_drawn_comes_from_the_seed(tmp_path: Path) -> None:
    drawn = []
    for number in range(2):
        with start(OPTIONS, tmp_path / str(number)) as cluster:
            with cluster.kill() as first, cluster.pause() as second:
                pass
            drawn.append((first.targets, second.targets))

    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]


def test_a_node_that_comes_back_answers_before_the_test_goes_on(
    cluster: StartedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = type(cluster.deployment).answers
    looks: list[str] = []

    async def late(deployment: Any, node: str) -> bool:
        looks.append(node)
        return len(looks) > 5 and await answers(deployment, node)

    with cluster.kill("n3"):
        monkeypatch.setattr(type(cluster.deployment), "answers", late)

    assert looks[-6:] == ["n3"] * 6
    assert cluster.answers("n3")


def test_a_fault_heals_whatever_happens_inside(cluster: StartedCluster) -> None:
    with pytest.raises(ZeroDivisionError), cluster.kill("n2"):
        raise ZeroDivisionError

    assert cluster.answers("n2")


def test_a_fault_that_is_gone_too_early_is_an_error(cluster: StartedCluster) -> None:
    processes: Any = cluster.deployment.cluster
    with pytest.raises(DidNotHold, match="pause did not last"), cluster.pause("n2"):
        cluster.call(processes.resume("n2"))


def test_an_error_inside_comes_before_that_of_the_fault(cluster: StartedCluster) -> None:
    processes: Any = cluster.deployment.cluster
    with pytest.raises(ZeroDivisionError) as caught, cluster.pause("n2"):  # noqa: PT012
        cluster.call(processes.resume("n2"))
        raise ZeroDivisionError

    (note,) = caught.value.__notes__
    assert "and pause did not last" in note


def test_a_fault_without_evidence_is_an_error_and_is_healed(
    cluster: StartedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Dispatcher.invoke

    async def lying(self: Dispatcher, invocation: Any) -> Any:
        done = await honest(self, invocation)
        evidence = {**done.value["evidence"], "held": False}
        return type(done)(done.type, {**done.value, "evidence": evidence}, done.error)

    with monkeypatch.context() as patched:
        patched.setattr(Dispatcher, "invoke", lying)
        with pytest.raises(DidNotHold, match="kill did not strike"), cluster.kill("n2"):
            raise AssertionError("unreachable")

    assert cluster.answers("n2")
    assert cluster.strikes == ()


def test_a_fault_that_finds_nobody_to_strike_is_an_error(cluster: StartedCluster) -> None:
    with (
        cluster.kill("n2"),
        pytest.raises(DidNotHold, match="no node that is meant is running"),
        cluster.pause("n2"),
    ):
        raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("name", "where", "settings", "told"),
    [
        ("killl", (), {}, "did you mean kill"),
        ("kill", ("n9",), {}, "expected a node, or a target of kill, out of n1, n2, n3, one"),
        ("kill", ("n1", "all"), {}, "expected names of nodes, or one target, got n1, all"),
        ("kill", ("n1",), {"speed": 3}, "got speed"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cluster: StartedCluster,
    name: str,
    where: tuple[str, ...],
    settings: dict[str, Any],
    told: str,
) -> None:
    with pytest.raises(ValueError, match=told), cluster.fault(name, *where, **settings):
        raise AssertionError("unreachable")

    assert cluster.strikes == ()


def test_a_leader_is_not_struck_where_nobody_leads(
    cluster: StartedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_deployment", object())
    with pytest.raises(ValueError, match="kill:leader: simulated has no leaders"):
        cluster.fault("kill:leader")

    monkeypatch.undo()


@pytest.mark.parametrize("sides", [(["n1"],), (["n1"], "n2"), (["n1"], ["n1", "n2"]), (["n1"], [])])
def test_sides_that_make_no_sense_are_refused(cluster: StartedCluster, sides: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        cluster.partition(*sides)


def test_a_fault_is_not_injected_while_it_is_in_force(cluster: StartedCluster) -> None:
    with (
        cluster.kill("n1"),
        pytest.raises(ValueError, match="kill cannot be injected while kill is in force"),
        cluster.kill("n2"),
    ):
        raise AssertionError("unreachable")

    assert cluster.answers("n1")


def test_a_fault_that_the_backend_has_not_is_told_apart(cluster: StartedCluster) -> None:
    with pytest.raises(CannotStrike, match="simulated hosts have no kernel"):
        cluster.fault("limit-cpu").__enter__()


def test_a_fault_that_the_hosts_of_the_system_have_not_is_named(cluster: StartedCluster) -> None:
    with pytest.raises(CannotRun, match="hosts of this system have no Allocations"):
        cluster.fault("out-of-memory").__enter__()


def test_the_clock_of_a_simulated_cluster_stands_still_while_nobody_waits(
    cluster: StartedCluster,
) -> None:
    async def now_s() -> float:
        return asyncio.get_running_loop().time()

    before = cluster.call(now_s())
    after = cluster.call(now_s())
    cluster.sleep(100)

    assert after == before
    assert cluster.call(now_s()) >= before + 100


def test_async_tests_use_async_with(cluster: StartedCluster) -> None:
    async def steps() -> Any:
        async with cluster.kill("n3") as strike:
            return strike.targets, await asyncio.to_thread(cluster.answers, "n3")

    assert asyncio.run(steps()) == (("n3",), False)
    assert cluster.answers("n3")


def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    before = threading.active_count()
    with start(OPTIONS, tmp_path / "cluster") as cluster:
        cluster.client("n1").write(1, 1)
        cluster.fault("kill", "n1").__enter__()

    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="the cluster has ended"):
        cluster.answers("n1")


def test_a_system_that_does_not_start_cannot_run(tmp_path: Path) -> None:
    class Broken:
        def __init__(self, system: Any) -> None:
            self._system = system

        def __getattr__(self, name: str) -> Any:
            return getattr(self._system, name)

        def deploy(self, *_: Any) -> Any:
            raise OSError("no room")

    with (
        pytest.raises(CannotRun, match="simulated did not start: no room"),
        start(OPTIONS, tmp_path / "cluster", Broken(load("simulated"))),  # type: ignore[arg-type]
    ):
        raise AssertionError("unreachable")


@pytest.mark.cluster
def test_real_nodes_are_broken_step_by_step(tmp_path: Path) -> None:
    options = msgspec.structs.replace(
        OPTIONS, system="dqlite", backend=NAMESPACES, operation_limit_s=5.0
    )
    with start(options, tmp_path / "cluster") as cluster:
        (leader,) = cluster.leaders()
        other = next(node for node in cluster.nodes if node != leader)
        client = cluster.client(other)
        client.write(1, 5)
        with cluster.fault("kill:leader") as killed:
            assert killed.targets == (leader,)
            assert not cluster.answers(leader)
        cluster.await_ready()
        with cluster.partition([other], [n for n in cluster.nodes if n != other]) as strike:
            assert strike.evidence["held"] is True
        cluster.await_ready()

        assert cluster.client(other).read(1) == 5
        assert cluster.crashes == ()
