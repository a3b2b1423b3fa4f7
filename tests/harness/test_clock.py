"""The virtual clock jumps; the real one does not go back."""

from __future__ import annotations

import asyncio
import time

import pytest

from dissever.harness import clock
from dissever.harness.clock import NothingWillHappen, clock_ns


def test_virtual_hours_take_no_time() -> None:
    async def sleep():
        begin = clock_ns()()
        await asyncio.sleep(3600 * 24)
        return clock_ns()() - begin

    before = time.monotonic()

    assert clock.run(sleep(), is_virtual=True) == 3600 * 24 * 10**9
    assert time.monotonic() - before < 5


def test_virtual_timers_fire_in_order_and_on_time() -> None:
    fired = []

    async def main():
        now = clock_ns()

        async def at(delay_s):
            await asyncio.sleep(delay_s)
            fired.append((delay_s, now()))

        await asyncio.gather(*(at(delay_s) for delay_s in (0.3, 0.1, 0.2)))

    clock.run(main(), is_virtual=True)

    assert [delay_s for delay_s, _ in fired] == [0.1, 0.2, 0.3]
    assert all(now == pytest.approx(delay_s * 1e9, abs=2) for delay_s, now in fired)


def test_virtual_run_that_waits_for_nothing_is_reported() -> None:
    async def wait():
        await asyncio.Event().wait()

    with pytest.raises(NothingWillHappen):
        clock.run(wait(), is_virtual=True)


def test_virtual_loop_hears_other_threads() -> None:
    async def main():
        loop = asyncio.get_running_loop()
        heard = loop.create_future()
        loop.call_soon_threadsafe(heard.set_result, "heard")
        return await heard

    assert clock.run(main(), is_virtual=True) == "heard"


def test_real_clock_is_monotonic() -> None:
    async def main():
        now = clock_ns()
        first = now()
        await asyncio.sleep(0)
        return first, now()

    first, second = clock.run(main(), is_virtual=False)

    assert 0 < first <= second
