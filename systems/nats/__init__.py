"""
NATS JetStream's key-value store: three servers of a Compose project, a bucket with three replicas.

Writes are acknowledged by a majority, and a compare-and-set is a write that names the revision that
it replaces. Reads are asked of the leader of the bucket, which answers from what it has, without
asking the others; or they are direct gets, which any replica answers. The documentation of NATS
promises linearizable writes, and no more of reads than that.

Source: NATS ADR-8 (key-value stores), ADR-31 (direct gets); nats-server 2.9.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.forward import Endpoint
from dissever.harness.missing import Missing
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.systems.clients import ClientKind
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.clients.kinds import kind_of
from dissever.systems.compose import OPTIONS, Compose

try:
    import nats
    from nats.errors import Error as NatsError
    from nats.js.errors import NoStreamResponseError, NotFoundError
except ImportError:  # `probe` says so.
    nats = None  # type: ignore[assignment]

__all__ = ["Direct", "Nats", "NatsClient"]

BUCKET: Final = "dissever"
STREAM: Final = f"KV_{BUCKET}"
ANSWER_S: Final = 2.0
WRONG_REVISION: Final = 10071
LAST: Final = "Nats-Expected-Last-Subject-Sequence"


class NatsClient:
    """Registers and a set: a key for each. Reads are asked of the leader of the bucket."""

    is_direct = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: Any = None

    async def read(self, key: int) -> int | None:
        found = await self._last(f"register.{key}")
        return None if found is None else int(found.data)

    async def write(self, key: int, value: int) -> None:
        await self._put(f"register.{key}", value)

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        found = await self._last(f"register.{key}")
        if found is None or int(found.data) != old:
            return False
        return await self._put(f"register.{key}", new, headers={LAST: str(found.seq)})

    async def add(self, element: int) -> None:
        await self._put(f"element.{element}", element)

    async def elements(self) -> list[int]:
        every = f"$KV.{BUCKET}.element.>"
        info = await self._unchanging((await self._js()).stream_info(STREAM, every))
        return [int(subject.rpartition(".")[2]) for subject in info.state.subjects or ()]

    async def ping(self) -> None:
        await (await self._connected()).flush(1)

    async def tick(self) -> None:
        await self._put("tick", 0)

    async def is_leader(self) -> bool:
        info = await self._unchanging((await self._js()).stream_info(STREAM))
        return bool(info.cluster and info.cluster.leader == self._endpoint.node)

    async def make_bucket(self, replicas: int) -> None:
        js = await self._js()
        await js.create_key_value(bucket=BUCKET, replicas=replicas, direct=True)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _put(self, key: str, value: int, headers: Any = None) -> bool:
        """Whether it was put; not if the last revision is another than the headers say."""
        js = await self._js()
        try:
            await js.publish(f"$KV.{BUCKET}.{key}", str(value).encode(), headers=headers)
        except NoStreamResponseError as error:  # Nobody has heard it.
            raise NotApplied("no server takes messages of the bucket") from error
        except NatsError as error:
            if getattr(error, "err_code", None) == WRONG_REVISION:
                return False
            raise
        return True

    async def _last(self, key: str) -> Any:
        """The last message of a key, None if there is none."""
        js = await self._js()
        subject = f"$KV.{BUCKET}.{key}"
        try:
            ask = js.get_msg(STREAM, subject=subject, direct=self.is_direct)
            return await self._unchanging(ask)
        except NotFoundError:
            return None

    async def _unchanging(self, ask: Any) -> Any:
        """What is answered to a question that changes nothing, so that it fails without effect."""
        try:
            return await ask
        except NotFoundError:
            raise
        except NatsError as error:
            raise NotApplied(f"{type(error).__name__}: {error}") from error

    async def _js(self) -> Any:
        return (await self._connected()).jetstream(timeout=ANSWER_S)

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed:
            url = f"nats://{self._endpoint.address}"
            connect = nats.connect(url, allow_reconnect=False, error_cb=_ignore)
            self._connection = await self._unchanging(connect)
        return self._connection


class Direct(NatsClient):
    """Reads are direct gets."""

    is_direct = True


class Nats(Compose):
    """NATS JetStream: a key-value store of three servers, by Docker Compose."""

    nodes = ("n1", "n2", "n3")
    client_ports = (4222,)
    peer_ports = (6222,)
    client = NatsClient
    options = {  # noqa: RUF012 - The attribute of the class that it extends.
        **OPTIONS,
        "reads": Option(
            "who answers reads: the leader of the bucket, or any replica (direct)",
            default="leader",
            choices=("leader", "direct"),
        ),
    }

    def clients(self, options: Options) -> ClientKind:
        is_direct = options.system_options.get("reads") == "direct"
        return kind_of(Direct if is_direct else NatsClient, self.here)

    def probe(self, options: Options | None = None) -> Missing | None:
        if nats is None:
            return Missing("no driver of NATS", "pip install 'dissever[nats]'")
        return super().probe(options)

    async def form(self, deployment: ClientsDeployment) -> None:
        """Make the bucket, once the servers have chosen who leads them."""
        node, loop = deployment.cluster.nodes[0], asyncio.get_running_loop()
        end = loop.time() + self.start_limit_s
        while True:
            client = NatsClient(deployment.forwarders(node).endpoint)
            try:
                await client.make_bucket(len(deployment.cluster.nodes))
            except (NotApplied, NatsError) as error:
                if loop.time() > end:
                    raise TimeoutError(f"no bucket: {error}") from error
                await asyncio.sleep(0.2)
            else:
                return
            finally:
                await client.close()


async def _ignore(_: Exception) -> None:
    """What goes wrong is an exception of the operation."""
