from __future__ import annotations

from random import Random
from typing import Any

import pytest

from dissever.checkers.evidence import Evidence
from dissever.harness.client import Client, Invocation, Prepares
from dissever.harness.generator import PENDING, Context, any_of, clients, generator, phases
from dissever.harness.history import Event, History
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.results import Budget, Verdict
from dissever.nemesis import MAJORITY_ONLY, PlannedOp, final, healing_order, make_nemeses, plan
from dissever.nemesis import generator as play_plan

FAULTS = ("partition", "kill", "pause", "deposed-leader")
ORDER = tuple(fault.name for fault in healing_order(FAULTS))


def context(time: int, *busy: str) -> Context:
    full = Context.initial(2, FAULTS, Random(0))
    free = full.free & ~sum(1 << full.threads.index(name) for name in busy)
    return Context(
        time, full.everyone, free, full.threads, full.processes, full.rng, 0, full.clients
    )


KILL_AT_5 = PlannedOp(5, "kill", "kill", {"spec": "one"})


def test_an_operation_comes_at_its_time_to_its_own_process() -> None:
    step, _ = play_plan([KILL_AT_5]).next(context(0)) or (None, None)

    assert step == Invocation("kill", {"spec": "one"}, process="kill", time=5)


def test_an_operation_that_is_late_comes_at_once() -> None:
    step, _ = play_plan([KILL_AT_5]).next(context(9)) or (None, None)

    assert step == Invocation("kill", {"spec": "one"}, process="kill", time=9)


def test_a_busy_process_keeps_no_other_waiting() -> None:
    source = play_plan([KILL_AT_5, PlannedOp(6, "pause", "pause")])

    step, _ = source.next(context(9, "kill")) or (None, None)
    assert isinstance(step, Invocation)
    assert step.f == "pause"


def test_a_healing_waits_for_its_injection() -> None:
    source = play_plan([KILL_AT_5, PlannedOp(6, "kill", "start")])
    _, source = source.next(context(9)) or (None, generator(None))

    step, _ = source.next(context(9, "kill")) or (None, None)
    assert step is PENDING
    step, _ = source.next(context(12)) or (None, None)
    assert isinstance(step, Invocation)
    assert step.f == "start"


def test_an_empty_plan_is_exhausted() -> None:
    assert play_plan([]).next(context(0)) is None


def test_at_the_end_every_fault_is_healed_in_an_order_that_cannot_block() -> None:
    source, seen = final(["kill:one", *FAULTS]), []
    while (answer := source.next(context(0))) is not None:
        step, source = answer
        assert isinstance(step, Invocation)
        seen.append((step.process, step.f))

    assert tuple(process for process, _ in seen) == ORDER
    assert dict(seen)["kill"] == "start"


def test_a_final_healing_waits_for_the_one_before() -> None:
    _, source = final(FAULTS).next(context(0)) or (None, generator(None))

    step, _ = source.next(context(1, "pause")) or (None, None)
    assert step is PENDING


def test_nemeses_come_in_the_order_in_which_they_must_heal(cluster: Any, nemeses_of: Any) -> None:
    assert tuple(nemeses_of(cluster)) == (*ORDER, MAJORITY_ONLY)
    assert list(nemeses_of(cluster, "kill:leader", "kill:one")) == ["kill", MAJORITY_ONLY]
    with pytest.raises(ValueError, match="did you mean pause"):
        make_nemeses(["pauze"], None)  # type: ignore[arg-type]


def test_only_a_fault_with_something_to_prepare_is_prepared(cluster: Any, nemeses_of: Any) -> None:
    nemeses = nemeses_of(cluster, "kill", "latency", "packet-loss")

    assert {name for name, nemesis in nemeses.items() if isinstance(nemesis, Prepares)} == {
        "latency",
        "packet-loss",
    }


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize("seed", range(8))
def test_a_whole_run_of_all_faults_leaves_evidence_of_each_and_no_fault_behind(
    seed: int, count: int, make_cluster: Any, nemeses_of: Any, run: Any
) -> None:
    cluster = make_cluster(count, leaders=("n2",))
    events: list[Event] = []
    ops = plan(FAULTS, nodes=cluster.nodes, seed=seed, interval_s=6, time_limit_s=40)

    async def open_client(_: str) -> Client:
        raise ConnectionRefusedError

    async def main() -> None:
        await interpret(
            phases(any_of(play_plan(ops), clients(None)), final(FAULTS)),
            open_client=open_client,
            nodes=cluster.nodes,
            concurrency=1,
            nemeses=nemeses_of(cluster),
            rng=Random(seed),
            record=events.append,
            limits=TimeLimits(),
        )

    run(main())
    result = Evidence()(History(tuple(events)), Budget())

    assert result.verdict is Verdict.VALID
    assert result.why.startswith("every fault took hold and healed")
    assert {event.f for event in events} >= {op.f for op in ops}
    assert not any(
        "skipped" in event.value or "trimmed" in event.value for event in events if event.value
    )
    assert cluster.grudge == {}
    assert all(status.state == "running" for status in cluster.states.values())
