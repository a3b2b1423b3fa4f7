from __future__ import annotations

import asyncio

import pytest

from dissever.harness.clock import run
from dissever.harness.waiting import NotYet, Wait, first_acknowledged, heard, until, waiting

LEADER = Wait("waiting for a leader", 30)


def test_it_is_asked_until_it_answers() -> None:
    answers = iter([NotYet("no leader"), NotYet("no write"), "n1"])

    async def ask() -> str:
        answer = next(answers)
        if isinstance(answer, NotYet):
            raise answer
        return str(answer)

    async def wait() -> tuple[str, float]:
        found = await until(ask, 10, 0.5, late="not ready")
        return found, asyncio.get_running_loop().time()

    assert run(wait(), is_virtual=True) == ("n1", 1.0)


def test_time_that_is_up_names_what_was_missing_last() -> None:
    missing = iter(["no leader", "no write"])

    async def ask() -> None:
        raise NotYet(next(missing))

    with pytest.raises(TimeoutError, match=r"^not ready after 1 s: no write$"):
        run(until(ask, 1, 0.5, late="not ready after 1 s"), is_virtual=True)


def test_any_other_error_ends_the_waiting() -> None:
    async def ask() -> None:
        raise RuntimeError("n1 ended")

    with pytest.raises(RuntimeError, match="n1 ended"):
        run(until(ask, 10, 0.5, late="not ready"), is_virtual=True)


def test_the_first_node_that_acknowledges_is_named_and_a_refusal_is_told() -> None:
    asked: list[str] = []

    async def write(node: str) -> None:
        asked.append(node)
        if node != "n2":
            raise ConnectionRefusedError(111, "refused")

    def ask(*nodes: str) -> dict[str, str]:
        return asyncio.run(
            first_acknowledged(nodes, write, lambda error: isinstance(error, OSError))
        )

    assert ask("n1", "n2", "n3") == {"by": "n2"}
    assert asked == ["n1", "n2"]
    with pytest.raises(NotYet, match=r"^n1: .*refused.*; n3: .*refused"):
        ask("n1", "n3")


def test_a_refusal_that_names_its_node_does_not_name_it_twice() -> None:
    async def write(node: str) -> None:
        raise OSError(f"{node} knows no leader")

    with pytest.raises(NotYet, match=r"^n1 knows no leader; n2 knows no leader$"):
        asyncio.run(
            first_acknowledged(["n1", "n2"], write, lambda error: isinstance(error, OSError))
        )


def test_what_is_no_refusal_ends_the_asking() -> None:
    async def write(node: str) -> None:
        raise KeyError(node)

    with pytest.raises(KeyError):
        asyncio.run(first_acknowledged(["n1"], write, lambda error: isinstance(error, OSError)))


def test_who_watches_hears_the_wait_that_began_last() -> None:
    said: list[Wait | None] = []

    async def ask() -> None:
        if said[-1] == LEADER:
            return
        raise AssertionError("nobody said what is waited for")

    async def wait() -> None:
        with heard(said.append), waiting("restarting n1"):
            await asyncio.create_task(until(ask, 30, 1, late="", what=LEADER.what))

    run(wait(), is_virtual=True)

    restart = Wait("restarting n1")
    assert said == [restart, LEADER, restart, None]


def test_what_nobody_watches_is_waited_for_all_the_same() -> None:
    async def ask() -> str:
        return "n1"

    assert run(until(ask, 30, 1, late="", what=LEADER.what), is_virtual=True) == "n1"
