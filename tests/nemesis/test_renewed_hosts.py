"""A server of proxies that goes with its host while it is asked: the next is told, and asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from dissever.nemesis.connections.proxies import Proxies
from dissever.nemesis.toxiproxy import Direction, NoAnswer, Proxy, Toxic, ToxiproxyError
from tests.nemesis.conftest import FakeCluster

SLOW = Toxic("slow", "latency", {"latency": 9, "jitter": 0}, Direction.UPSTREAM)
LOST = [ToxiproxyError("404 proxy not found", 404), NoAnswer("the host is gone"), None]


class Server:
    """Forgets all when its host becomes another one, which is during the next call if `is_due`."""

    def __init__(self, proxies: Proxies, error: OSError | None) -> None:
        self.is_due = False
        self._proxies = proxies
        self._error = error
        self._held: dict[str, Proxy] = {}
        self._telling: asyncio.Task[None] | None = None

    async def proxies(self) -> dict[str, Proxy]:
        await self._renew()
        return dict(self._held)

    async def apply(self, wanted: Iterable[Proxy]) -> None:
        await self._renew()
        self._held = {each.name: each for each in wanted}

    async def _renew(self) -> None:
        if not self.is_due:
            return
        self.is_due = False
        self._held = {}
        self._telling = asyncio.create_task(self._proxies._tell_again("n1"))
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error


def made(error: OSError | None) -> tuple[Proxies, Server]:
    proxies = Proxies(FakeCluster(("n1", "n2")), [7000])  # type: ignore[arg-type]
    server = Server(proxies, error)
    proxies._servers["n1"] = server  # type: ignore[assignment]
    proxies._proxies["n1"]["link"] = Proxy("link", "n1:1", "n2:1")
    return proxies, server


@pytest.mark.parametrize("error", LOST, ids=str)
def test_toxics_are_on_the_next_server_and_nothing_was_replaced(
    error: OSError | None, run: Any
) -> None:
    async def main() -> None:
        proxies, server = made(error)
        server.is_due = True
        await proxies.put("n1", "latency", {"link": (SLOW,)})
        there = await proxies.there("n1")

        assert there["link"].toxics == (SLOW,)
        assert proxies.replaced["n1"] == 0

    run(main())


@pytest.mark.parametrize("error", LOST, ids=str)
def test_what_a_server_holds_is_said_by_one_that_was_told(error: OSError | None, run: Any) -> None:
    async def main() -> None:
        proxies, server = made(error)
        await proxies.put("n1", "latency", {"link": (SLOW,)})
        server.is_due = True
        there = await proxies.there("n1")

        assert there["link"].toxics == (SLOW,)

    run(main())


def test_an_error_of_a_host_that_stays_is_raised(run: Any) -> None:
    async def main() -> None:
        proxies, server = made(None)

        async def refuse() -> None:
            raise ToxiproxyError("409", 409)

        with pytest.raises(ToxiproxyError, match="409"):
            await proxies._asked("n1", refuse)
        assert await proxies.there("n1") == {}
        assert server.is_due is False

    run(main())
