"""What the interpreter promises, line by line; the numbers are those of its docstring."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress

import msgspec
import pytest

from dissever.harness import clock
from dissever.harness.client import Completion, Invocation
from dissever.harness.clock import clock_ns
from dissever.harness.generator import (
    GeneratorError,
    any_of,
    clients,
    cycle,
    each_thread,
    limit,
    log,
    nemesis,
    on_update,
    phases,
    rate,
    repeat,
    sleep,
    time_limit,
)
from dissever.harness.history import Type
from dissever.harness.interpreter import TimeLimits
from dissever.harness.journal import Journal

READ, WRITE = Invocation("read"), Invocation("write", 1)
BUSY_NS = 50_000_000
"""A stamp comes as soon as the client returns; between two lines a busy machine may do others."""

SHORT = TimeLimits(operation_s=0.05, nemesis_s=0.05)


async def agree(invocation):
    return invocation.ok(invocation.value)


async def hang(_):
    await asyncio.Event().wait()


def lines(history):
    return [f"{e.process} {e.type} {e.f}" for e in history]


# 1: stamps and the journal.


def test_1_interval_contains_the_real_one(bench) -> None:
    real = {}
    started = None

    async def work(invocation):
        begin = clock_ns()()
        await asyncio.sleep(0.001)
        real[invocation.process, invocation.value] = (begin, clock_ns()())
        return invocation.ok(invocation.value)

    async def main():
        nonlocal started
        started = clock_ns()()
        return await bench.work((Invocation("w", i) for i in range(60)), work, concurrency=5)

    history = clock.run(main(), is_virtual=bench.is_virtual)

    assert len(history.operations) == 60
    # The run's time 0 is a little after `started`: what it calls t was at least started + t.
    for operation in history.operations:
        begin, end = real[operation.process, operation.invocation.value]
        took = operation.completion.time - operation.invocation.time
        assert took >= end - begin
        assert operation.completion.time <= end - started + BUSY_NS
        assert operation.invocation.time <= begin - started


def test_1_client_finds_its_invocation_in_the_journal(bench, tmp_path) -> None:
    path = tmp_path / "history.jsonl"
    seen = []

    async def look(invocation):
        last = path.read_bytes().splitlines()[-1]
        event = msgspec.json.decode(last)
        seen.append((event["type"], event["process"], event["value"]))
        return invocation.ok(invocation.value)

    with Journal(path) as journal:
        bench.run((Invocation("w", i) for i in range(5)), look, record=journal)

    assert seen == [("invoke", 0, i) for i in range(5)]


def test_1_completion_is_in_the_journal_before_anything_else_happens(bench) -> None:
    history = bench.run([READ, WRITE, READ], agree)

    assert bench.events == list(history)
    assert [e.type for e in history] == [Type.INVOKE, Type.OK] * 3


# 2: processes and clients.


def test_2_info_renews_the_process_and_the_client(bench) -> None:
    async def crash_once(invocation):
        return invocation.info("?") if invocation.process == 1 else invocation.ok()

    history = bench.run(limit(12, each_thread(repeat(READ))), crash_once, concurrency=3)

    processes = {operation.process for operation in history.operations}
    assert processes <= {0, 1, 2, 4}
    assert sum(operation.process == 1 for operation in history.operations) == 1
    assert bench.opened.count("open n2 1") + bench.opened.count("open n2 2") <= 2
    nodes = {operation.process: operation.invocation.node for operation in history.operations}
    assert {nodes[p] for p in processes & {1, 4}} == {"n2"}


def test_2_every_crash_takes_the_next_number(bench) -> None:
    async def crash(invocation):
        return invocation.info("?")

    history = bench.run(repeat(READ, 4), crash)

    assert [operation.process for operation in history.operations] == [0, 1, 2, 3]
    assert bench.opened == [line for i in range(1, 5) for line in (f"open n1 {i}", f"close n1 {i}")]


def test_2_fail_keeps_the_process_and_the_client(bench) -> None:
    async def refuse(invocation):
        return invocation.fail("no")

    history = bench.run(repeat(READ, 3), refuse)

    assert {operation.process for operation in history.operations} == {0}
    assert bench.opened == ["open n1 1", "close n1 1"]


def test_2_no_process_has_two_open_operations(virtual_bench) -> None:
    rng = iter(range(1, 10_000))

    async def wander(invocation):
        turn = next(rng)
        await asyncio.sleep(turn % 7 * 0.03)
        if turn % 5 == 0:
            raise RuntimeError("lost")
        return invocation.ok()

    history = virtual_bench.run(repeat(READ, 400), wander, concurrency=7, limits=SHORT)

    assert len(history.operations) == 400
    assert {operation.type for operation in history.operations} == {Type.OK, Type.INFO}


# 3: completions first.


def test_3_two_completions_of_one_turn_come_before_the_next_invocation(bench) -> None:
    waiting = []

    async def meet(invocation):
        gate = asyncio.get_running_loop().create_future()
        waiting.append(gate)
        if len(waiting) == 2:
            # Both wake in the same turn of the loop.
            for future in waiting:
                future.set_result(None)
            waiting.clear()
        await gate
        return invocation.ok()

    history = bench.run(repeat(READ, 12), meet, concurrency=2)

    types = "".join("i" if e.type is Type.INVOKE else "o" for e in history)
    assert types == "iioo" * 6


# 4: who says what.


def test_4_exception_is_info_with_its_class(bench) -> None:
    async def break_down(_):
        raise RuntimeError("lost")

    history = bench.run(READ, break_down)

    assert history.events[1].type is Type.INFO
    assert history.events[1].error == ["RuntimeError", "lost"]


def test_4_exception_without_words_is_reported_by_its_class(bench) -> None:
    async def break_down(_):
        raise TimeoutError

    assert bench.run(READ, break_down).events[1].error == ["TimeoutError", "TimeoutError"]


def test_4_cancellation_that_a_driver_raises_is_info(bench) -> None:
    async def cancelled_inside(_):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    history = bench.run([READ, WRITE], cancelled_inside)

    assert [e.error[0] for e in history if e.type is not Type.INVOKE] == ["CancelledError"] * 2


@pytest.mark.parametrize("answer", [None, "ok", Completion(Type.INVOKE)])
def test_4_what_is_no_completion_is_info(bench, answer) -> None:
    async def mumble(_):
        return answer

    history = bench.run([READ, WRITE], mumble)

    assert [e.type for e in history] == [Type.INVOKE, Type.INFO] * 2
    assert history.events[1].error[0] == "no-completion"


def test_4_no_client_is_fail_and_tried_again(bench, caplog) -> None:
    attempts = []

    async def refuse(node):
        attempts.append(node)
        raise ConnectionRefusedError(f"{node} refuses")

    with caplog.at_level(logging.INFO):
        history = bench.run(repeat(READ, 3), agree, open_client=refuse)

    assert [e.type for e in history] == [Type.INVOKE, Type.FAIL] * 3
    assert history.events[1].error == ["no-client", "n1 refuses"]
    assert {e.process for e in history} == {0}
    assert attempts == ["n1"] * 3
    assert len(caplog.records) == 1


def test_4_value_that_is_no_json_is_info(bench, tmp_path) -> None:
    async def answer(invocation):
        return invocation.ok({"set": object()} if invocation.f == "read" else "\ud800")

    with Journal(tmp_path / "history.jsonl") as journal:

        def record(event):
            journal(event)
            bench.events.append(event)

        history = bench.run([READ, WRITE], answer, record=record)

    assert [e.type for e in history] == [Type.INVOKE, Type.INFO] * 2
    assert [e.error[0] for e in history if e.error] == ["not-json"] * 2
    assert len((tmp_path / "history.jsonl").read_bytes().splitlines()) == 4


def test_4_observer_that_fails_leaves_no_event_twice(bench) -> None:
    def record(event):
        bench.events.append(event)
        if event.index == 3:
            raise ValueError("no screen")

    with pytest.raises(ValueError, match="no screen"):
        bench.run(repeat(READ), agree, record=record)

    assert [e.index for e in bench.events] == [0, 1, 2, 3]


def test_4_nemesis_says_info_whatever_it_says(bench, make_nemesis) -> None:
    async def boast(invocation):
        return invocation.ok("done")

    history = bench.run(
        Invocation("cut", process="net"), agree, nemeses={"net": make_nemesis(boast)}
    )

    assert (history.events[1].type, history.events[1].value) == (Type.INFO, "done")


def test_4_nemesis_exception_is_info_and_the_run_goes_on(bench, make_nemesis) -> None:
    async def break_down(_):
        raise OSError("no such table")

    history = bench.run(
        phases(Invocation("cut", process="net"), READ, Invocation("cut", process="net")),
        agree,
        nemeses={"net": make_nemesis(break_down)},
    )

    faults = [operation.completion for operation in history.faults]
    assert [(e.process, e.type, e.error) for e in faults] == [
        ("net", Type.INFO, ["OSError", "no such table"])
    ] * 2
    assert [operation.type for operation in history.operations] == [Type.OK]


# 5: time limits.


def test_5_hung_operation_is_info_at_its_limit(bench) -> None:
    history = bench.run(READ, hang, limits=SHORT)

    completion = history.events[1]
    assert (completion.type, completion.error) == (
        Type.INFO,
        ["time-limit", "no answer after 0.05 s"],
    )
    assert completion.time - history.events[0].time >= 50_000_000 - 1_000_000
    if bench.is_virtual:
        assert completion.time == 50_000_000


def test_5_worker_goes_on_after_a_hung_operation(bench) -> None:
    async def hang_first(invocation):
        return await (hang if invocation.process == 0 else agree)(invocation)

    history = bench.run([READ, WRITE], hang_first, limits=SHORT)

    assert lines(history) == ["0 invoke read", "0 info read", "1 invoke write", "1 ok write"]
    assert sorted(bench.opened) == ["close n1 1", "close n1 2", "open n1 1", "open n1 2"]


def test_5_late_answer_of_a_client_that_ignores_its_cancellation_is_dropped(bench) -> None:
    late = []

    async def stubborn(invocation):
        if invocation.process != 0:
            await asyncio.sleep(0.01)
            return invocation.ok("new")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(0.01)
        late.append(invocation.process)
        return invocation.ok("late")

    history = bench.run(repeat(READ, 6), stubborn, limits=SHORT)

    assert late == [0]
    assert [o.type for o in history.operations] == [Type.INFO] + [Type.OK] * 5
    assert {e.value for e in history if e.type is Type.OK} == {"new"}


def test_5_open_that_hangs_is_fail(bench) -> None:
    opened = []

    async def hang_once(node):
        opened.append(node)
        await asyncio.Event().wait()

    history = bench.run(READ, agree, open_client=hang_once, limits=SHORT)

    assert [e.type for e in history] == [Type.INVOKE, Type.FAIL]
    assert history.events[1].error == ["no-client", "not open after 0.05 s"]


def test_5_what_was_given_up_while_opening_is_never_sent(bench) -> None:
    sent = []

    class Late:
        async def invoke(self, invocation):
            sent.append(invocation.value)
            return invocation.ok()

        async def close(self):
            sent.append("closed")

    first = True

    async def stubborn(_):
        nonlocal first
        if first:
            first = False
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return Late()

    history = bench.run(
        [Invocation("w", 1), Invocation("w", 2)], agree, open_client=stubborn, limits=SHORT
    )

    assert [e.type for e in history] == [Type.INVOKE, Type.FAIL, Type.INVOKE, Type.OK]
    assert sorted(sent, key=str) == [2, "closed", "closed"]


def test_5_limits_hold_for_each_operation_of_many(virtual_bench) -> None:
    async def alternate(invocation):
        await asyncio.sleep(0.02 if invocation.value % 3 else 10)
        return invocation.ok()

    source = (Invocation("w", i) for i in range(90))
    history = virtual_bench.run(source, alternate, concurrency=9, limits=SHORT)

    for operation in history.operations:
        took = operation.completion.time - operation.invocation.time
        is_hung = operation.invocation.value % 3 == 0
        assert took == pytest.approx(50_000_000 if is_hung else 20_000_000, abs=10)
        assert (operation.type is Type.INFO) == is_hung


def test_5_nemesis_that_hangs_and_ignores_its_cancellation_is_info(bench, make_nemesis) -> None:
    async def stubborn(invocation):
        if invocation.f == "heal":
            return invocation.info(value="healed")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return invocation.info(value="late")

    source = [Invocation("cut", process="net"), Invocation("heal", process="net")]
    net = make_nemesis(stubborn)
    history = bench.run(source, agree, nemeses={"net": net}, limits=SHORT)

    assert lines(history) == [
        "net invoke cut",
        "net info cut",
        "net invoke heal",
        "net info heal",
    ]
    assert history.events[1].error == ["time-limit", "no answer after 0.05 s"]
    assert history.events[3].value == "healed"
    assert net.healed == 1


# 6: indices and times.


def test_6_index_is_position_and_times_never_decrease(bench) -> None:
    async def vary(invocation):
        await asyncio.sleep(invocation.value % 3 * 0.001)
        return invocation.ok()

    history = bench.run((Invocation("w", i) for i in range(90)), vary, concurrency=8)

    assert [e.index for e in history] == list(range(180))
    assert all(a.time <= b.time for a, b in itertools.pairwise(history))
    assert history.events[0].time >= 0


# 7: faults and healing.


def test_7_faults_overlap(bench, make_nemesis) -> None:
    both = asyncio.Event()
    inside = set()

    async def meet(invocation):
        inside.add(invocation.process)
        if len(inside) == 2:
            both.set()
        await both.wait()
        return invocation.info()

    source = [Invocation("cut", process="net"), Invocation("kill", process="axe")]
    nemeses = {"net": make_nemesis(meet), "axe": make_nemesis(meet)}
    history = bench.run(source, agree, nemeses=nemeses)

    assert [e.type for e in history] == [Type.INVOKE] * 2 + [Type.INFO] * 2


def test_7_heals_when_the_generator_is_exhausted(bench, make_nemesis) -> None:
    nemeses = {"net": make_nemesis(), "axe": make_nemesis()}

    bench.run(READ, agree, nemeses=nemeses)

    assert [nemesis.healed for nemesis in nemeses.values()] == [1, 1]


def test_7_heals_when_the_generator_fails(bench, make_nemesis) -> None:
    net = make_nemesis()

    def fail_third():
        if len(bench.events) >= 4:
            raise KeyError("broken")
        return READ

    with pytest.raises(GeneratorError, match=r"Function\.next raised KeyError"):
        bench.run(fail_third, agree, nemeses={"net": net})

    assert net.healed == 1
    assert len(bench.events) == 4


def test_7_heals_when_an_update_fails(bench, make_nemesis) -> None:
    net = make_nemesis()

    def react(this, _, event):
        if event.type is Type.OK:
            raise KeyError("broken")
        return this

    with pytest.raises(GeneratorError, match=r"OnUpdate\.update raised KeyError"):
        bench.run(on_update(react, repeat(READ)), agree, nemeses={"net": net})

    assert net.healed == 1


@pytest.mark.parametrize("at", [0, 1, 6, 7])
def test_7_heals_when_the_journal_fails(bench, make_nemesis, at) -> None:
    net = make_nemesis()

    def record(event):
        if event.index == at:
            raise OSError("disk full")
        bench.events.append(event)

    with pytest.raises(OSError, match="disk full"):
        bench.run(repeat(READ), agree, nemeses={"net": net}, record=record)

    assert net.healed == 1
    assert len(bench.events) == at


def test_7_heals_when_cancelled_and_again_while_healing(bench, make_nemesis) -> None:
    net = make_nemesis()
    healing = []
    heals = asyncio.Event()

    async def heal():
        healing.append("begin")
        heals.set()
        await asyncio.sleep(0.01)
        healing.append("end")

    net.heal = heal

    async def main():
        begun = asyncio.Event()

        async def work(_):
            begun.set()
            await asyncio.Event().wait()

        run = asyncio.ensure_future(bench.work(READ, work, nemeses={"net": net}))
        await begun.wait()
        run.cancel()
        await heals.wait()
        run.cancel()
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    clock.run(main(), is_virtual=bench.is_virtual)

    assert healing == ["begin", "end"]
    assert bench.opened == ["open n1 1", "close n1 1"]


def test_7_heals_after_the_last_injection_has_ended(bench, make_nemesis) -> None:
    order = []
    begun = asyncio.Event()

    async def inject(_):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.005)
            order.append("injected")

    net = make_nemesis(inject)

    async def heal():
        order.append("healed")

    net.heal = heal

    async def main():
        source = Invocation("cut", process="net")
        run = asyncio.ensure_future(bench.work(source, agree, nemeses={"net": net}))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    clock.run(main(), is_virtual=bench.is_virtual)

    assert order == ["injected", "healed"]


def test_7_healing_that_fails_does_not_keep_others_from_healing(
    bench, make_nemesis, caplog
) -> None:
    bad, good = make_nemesis(), make_nemesis()

    async def heal():
        raise OSError("no such table")

    bad.heal = heal

    bench.run(READ, agree, nemeses={"bad": bad, "good": good})

    assert good.healed == 1
    assert "bad: healing failed" in caplog.text


# The rest of a run's life.


def test_worker_talks_to_its_own_node(bench) -> None:
    history = bench.run(each_thread(READ), agree, concurrency=5)

    assert {e.process: e.node for e in history} == {0: "n1", 1: "n2", 2: "n3", 3: "n1", 4: "n2"}


def test_sleep_keeps_a_worker_busy_without_an_event(virtual_bench) -> None:
    history = virtual_bench.run([READ, sleep(2), WRITE], agree)

    assert [e.time for e in history] == [0, 0, 2_000_000_000, 2_000_000_000]


def test_log_lines_go_to_the_log(bench, caplog) -> None:
    with caplog.at_level(logging.INFO):
        bench.run([log("hello"), READ], agree)

    assert "hello" in caplog.text


def test_endless_log_does_not_keep_a_run_from_being_cancelled(bench) -> None:
    async def main():
        run = asyncio.ensure_future(bench.work(cycle(log("again")), agree))
        for _ in range(50):
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    clock.run(main(), is_virtual=bench.is_virtual)


def test_step_in_the_future_waits_for_its_time(virtual_bench) -> None:
    history = virtual_bench.run([Invocation("a", time=3_000_000_000), READ], agree)

    assert history.events[0].time == 3_000_000_000


class Late:
    """A world in which every timer comes too late by the same time."""

    def __init__(self, loop, late_ns):
        self._loop, self._late_ns = loop, late_ns

    def advance(self, until_ns):
        return None if until_ns is None else until_ns + self._late_ns


def begun(bench, source, answer, *, late_ns, **options):
    """The times in ms at which operations begin in a loop that wakes up late."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.world = Late(loop, late_ns)
        return await bench.work(source, answer, **options)

    history = clock.run(main(), is_virtual=True)
    return [event.time / 1e6 for event in history if event.type is Type.INVOKE]


def test_loop_that_wakes_up_late_keeps_the_rate(virtual_bench) -> None:
    source = limit(1000, rate(200, repeat(READ)))
    times = begun(virtual_bench, source, agree, late_ns=2_000_000, concurrency=4)

    assert 4.8 < times[-1] / 999 < 5.2


def test_steps_that_nobody_was_free_for_are_lost(virtual_bench) -> None:
    async def slow_at_first(invocation):
        await asyncio.sleep(1 if len(virtual_bench.events) == 1 else 0)
        return invocation.ok()

    source = time_limit(2, rate(200, repeat(READ)))
    times = begun(virtual_bench, source, slow_at_first, late_ns=2_000_000)

    assert 150 < len(times) < 250


def test_limit_of_an_operation_counts_from_when_it_is_given(virtual_bench) -> None:
    source = limit(50, rate(200, repeat(READ)))
    late = begun(virtual_bench, source, hang, late_ns=20_000_000, concurrency=60, limits=SHORT)
    open_ = {}
    taken = []
    for event in virtual_bench.events:
        if event.type is Type.INVOKE:
            open_[event.process] = event.time
        else:
            taken.append(event.time - open_[event.process])

    assert len(late) == 50
    assert min(taken) >= 50_000_000


def test_generator_that_can_never_go_on_is_reported(virtual_bench) -> None:
    with pytest.raises(GeneratorError, match="pending for 120 s though everyone is free"):
        virtual_bench.run(Invocation("a", process=99), agree)


def test_long_operation_does_not_count_as_stuck(virtual_bench) -> None:
    async def slow(invocation):
        await asyncio.sleep(400)
        return invocation.ok()

    limits = TimeLimits(operation_s=1000)
    history = virtual_bench.run(phases(READ, WRITE), slow, concurrency=2, limits=limits)

    assert [o.type for o in history.operations] == [Type.OK, Type.OK]


def test_invocation_that_is_no_json_ends_the_run(bench, tmp_path, make_nemesis) -> None:
    net = make_nemesis()

    with (
        Journal(tmp_path / "history.jsonl") as journal,
        pytest.raises(GeneratorError, match="expected JSON values"),
    ):
        bench.run(Invocation("w", object()), agree, record=journal, nemeses={"net": net})

    assert net.healed == 1


def test_run_of_nothing_ends_at_once(bench) -> None:
    assert len(bench.run(None, agree)) == 0
    assert len(bench.run(None, agree, concurrency=0)) == 0


def test_whole_run_with_faults_pairs_up(virtual_bench, make_nemesis) -> None:
    async def wander(invocation):
        await asyncio.sleep(0.01)
        return invocation.ok()

    nemeses = {"net": make_nemesis(), "axe": make_nemesis()}
    faults = any_of(
        Invocation("cut", process="net", time=500_000_000),
        Invocation("kill", process="axe", time=500_000_000),
    )
    source = time_limit(2, any_of(clients(repeat(READ)), nemesis(faults)))

    history = virtual_bench.run(source, wander, concurrency=3, nemeses=nemeses)

    assert len(history.faults) == 2
    assert 590 <= len(history.operations) <= 600
