"""
A Toxiproxy server as a set of proxies that should be there: typed, with time limits, awaitable.

toxiproxy-python decodes what the server says; what it lacks is here: one client per server, changes
of toxics, one proxy by itself, and the desired state, which is listed, compared and changed as far
as it differs, because changing a toxic to what it is draws its toxicity anew.

Calls run in threads, each within its time limit.

Source: Shopify/toxiproxy v2.12.0, `api.go`; douglas/toxiproxy-python 0.1.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import toxiproxy.proxy
import toxiproxy.toxic

from dissever.nemesis.toxiproxy.errors import NoSuchThing, ServerFailed, ToxiproxyError
from dissever.nemesis.toxiproxy.toxics import Direction, Effect, Toxic
from dissever.nemesis.toxiproxy.transport import CALL_LIMIT_S, Dial, Transport

__all__ = ["Proxy", "Toxiproxy"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    A proxy as it is, or should be. Addresses are `host:port`; the server resolves that of `listen`.

    Toxics stand in the order in which they act.
    """

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()


class Toxiproxy:
    """One server. Every method raises `ToxiproxyError`."""

    def __init__(self, dial: Dial, limit_s: float = CALL_LIMIT_S) -> None:
        """`limit_s`: how long a call may take."""
        self._transport = Transport(dial, limit_s)

    async def version(self) -> str:
        """The server's version, such as 2.12.0."""
        answer = await self._call("GET", "/version")
        return str(answer["version"])

    async def proxies(self) -> dict[str, Proxy]:
        """Every proxy by its name."""
        answer = await self._call("GET", "/proxies")
        return {name: _decoded(fields) for name, fields in answer.items()}

    async def proxy(self, name: str) -> Proxy:
        """One proxy."""
        return _decoded(await self._call("GET", _path(name)))

    async def create(self, proxy: Proxy) -> Proxy:
        """
        Make a proxy; it takes connections only once its toxics are there.

        Returns:
            It as it is, with the port that it got when it asked for port 0.
        """
        fields = {"name": proxy.name, "listen": proxy.listen, "upstream": proxy.upstream}
        is_quiet = bool(proxy.toxics) or not proxy.enabled
        made = _decoded(await self._call("POST", "/proxies", {**fields, "enabled": not is_quiet}))
        for toxic in proxy.toxics:
            await self.add_toxic(proxy.name, toxic)
        if is_quiet and proxy.enabled:
            made = await self.change(replace(made, enabled=True))
        return replace(made, toxics=proxy.toxics)

    async def change(self, proxy: Proxy) -> Proxy:
        """Move a proxy, or switch it on or off; toxics are left alone. Moving drops connections."""
        fields = {"listen": proxy.listen, "upstream": proxy.upstream, "enabled": proxy.enabled}
        return _decoded(await self._patch(_path(proxy.name), fields))

    async def delete(self, name: str) -> None:
        """Remove a proxy, and drop its connections. Nothing, when it is not there."""
        try:
            await self._call("DELETE", _path(name))
        except NoSuchThing:
            return

    async def add_toxic(self, proxy: str, toxic: Toxic) -> None:
        """Add a toxic behind those that act in its direction."""
        await self._call("POST", f"{_path(proxy)}/toxics", toxic.as_json())

    async def change_toxic(self, proxy: str, toxic: Toxic) -> None:
        """Give the toxic of that name other attributes or another toxicity."""
        fields = {"attributes": dict(toxic.effect.attributes), "toxicity": toxic.toxicity}
        await self._patch(_path(proxy, toxic.name), fields)

    async def remove_toxic(self, proxy: str, name: str) -> None:
        """Remove a toxic. Nothing, when it is not there."""
        try:
            await self._call("DELETE", _path(proxy, name))
        except NoSuchThing:
            return

    async def apply(self, wanted: Iterable[Proxy]) -> tuple[str, ...]:
        """
        See to it that these proxies are as they should be; others are left alone.

        Returns:
            What was changed, a line each; nothing the second time.
        """
        there = await self.proxies()
        done: list[str] = []
        for proxy in wanted:
            if proxy.name not in there:
                await self.create(proxy)
                done.append(f"create {proxy.name}")
            else:
                done += await self._align(there[proxy.name], proxy)
        return tuple(done)

    @asynccontextmanager
    async def kept(self, *names: str) -> AsyncIterator[None]:
        """Put these proxies back, on leaving, to what they were on entering."""
        before = await self.proxies()
        try:
            yield
        finally:
            await self.apply(before[name] for name in names if name in before)
            for name in names:
                if name not in before:
                    await self.delete(name)

    async def _align(self, now: Proxy, wanted: Proxy) -> list[str]:
        """Change one proxy as far as it differs."""
        name, done = wanted.name, []
        if not wanted.enabled and now.enabled:
            now = await self.change(replace(now, enabled=False))
            done.append(f"disable {name}")
        if not _listens_at(now.listen, wanted.listen) or now.upstream != wanted.upstream:
            await self.change(replace(wanted, enabled=now.enabled))
            done.append(f"move {name}")
        done += await self.apply_toxics(name, now.toxics, wanted.toxics)
        if wanted.enabled and not now.enabled:
            await self.change(wanted)
            done.append(f"enable {name}")
        return done

    async def apply_toxics(
        self, proxy: str, now: Iterable[Toxic], wanted: Iterable[Toxic]
    ) -> list[str]:
        """Turn the toxics that are there into those that should be; what was changed."""
        there = {toxic.name: toxic for toxic in now}
        kept = {toxic.name: toxic for toxic in wanted}
        done = []
        for name, toxic in there.items():
            if name not in kept or not _is_changeable(toxic, kept[name]):
                await self.remove_toxic(proxy, name)
                done.append(f"remove {proxy}/{name}")
        for name, toxic in kept.items():
            old = there.get(name)
            if old is None or not _is_changeable(old, toxic):
                await self.add_toxic(proxy, toxic)
                done.append(f"add {proxy}/{name}")
            elif old != toxic:
                await self.change_toxic(proxy, toxic)
                done.append(f"change {proxy}/{name}")
        return done

    async def _patch(self, path: str, fields: dict[str, Any]) -> Any:
        """Change something; servers before 2.6 know POST only."""
        try:
            return await self._call("PATCH", path, fields)
        except ToxiproxyError as error:
            if error.status not in (404, 405):
                raise
        return await self._call("POST", path, fields)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self._transport.call, method, path, body)


def _path(proxy: str, toxic: str | None = None) -> str:
    path = f"/proxies/{quote(proxy, safe='')}"
    return path if toxic is None else f"{path}/toxics/{quote(toxic, safe='')}"


def _listens_at(now: str, wanted: str) -> bool:
    """Whether who listens there is where it should be: the server has its own words for 'any'."""
    now_host, _, now_port = now.rpartition(":")
    host, _, port = wanted.rpartition(":")
    return (_ANY_HOST.get(now_host, now_host), now_port) == (
        _ANY_HOST.get(host, host),
        port if int(port) else now_port,
    )


_ANY_HOST = {"0.0.0.0": "", "[::]": ""}


def _is_changeable(now: Toxic, wanted: Toxic) -> bool:
    """Whether the server can turn one into the other: type and direction are fixed."""
    return (now.effect.type, now.direction) == (wanted.effect.type, wanted.direction)


def _decoded(fields: dict[str, Any]) -> Proxy:
    """What toxiproxy-python makes of an answer, which passes over stray fields, and its toxics."""
    try:
        proxy = toxiproxy.proxy.Proxy(**fields)
        toxics = [toxiproxy.toxic.Toxic(**each) for each in fields.get("toxics") or ()]
        return Proxy(
            name=proxy.name,
            listen=proxy.listen,
            upstream=proxy.upstream,
            enabled=proxy.enabled,
            toxics=tuple(
                Toxic(
                    Effect(each.type, each.attributes or {}),
                    Direction(each.stream),
                    each.toxicity,
                    each.name,
                )
                for each in toxics
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFailed(f"expected a proxy, got {fields!r}") from error
