"""
NATS JetStream's key-value store: three servers of a Compose project, a bucket with three replicas.

Writes are acknowledged by a majority, and a compare-and-set is a write that names the revision that
it replaces. Reads are asked of the leader of the bucket, which answers from what it has, without
asking the others; or they are direct gets, which any replica answers. The documentation of NATS
promises linearizable writes, and no more of reads than that.

Source: NATS ADR-8 (key-value stores), ADR-31 (direct gets); nats-server 2.9.
"""

from __future__ import annotations

from collections.abc import Awaitable
from operator import methodcaller
from typing import Any, ClassVar, Final

from dissever.harness.client import NotApplied
from dissever.harness.forward import Endpoint
from dissever.harness.options import Option
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.compose import Compose

try:
    import nats
    from nats.errors import Error as NatsError
    from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
except ImportError:  # `Nats.driver` says so.
    NatsError = APIError = NoStreamResponseError = NotFoundError = Exception  # type: ignore[assignment, misc]

BUCKET: Final = "dissever"
STREAM: Final = f"KV_{BUCKET}"
ANSWER_S: Final = 2.0
WRONG_REVISION: Final = 10071

OPTIONS: Final = {
    "image": Option("the image of the servers", "dissever/nats:debian13"),
    "reads": Option("who answers reads", "leader", choices=("leader", "direct")),
}


class NatsClient:
    """Registers and a set: a key for each."""

    not_applied = (NoStreamResponseError,)  # No server took the message.

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: Any = None

    async def read(self, key: int) -> int | None:
        last = await self._last(key)
        return None if last is None else int(last.data)

    async def write(self, key: int, value: int) -> None:
        await self._put(f"register.{key}", value)

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        last = await self._last(key)
        if last is None or int(last.data) != old:
            return False
        revision = {"Nats-Expected-Last-Subject-Sequence": str(last.seq)}
        try:
            await self._put(f"register.{key}", new, revision)
        except APIError as error:
            if error.err_code != WRONG_REVISION:
                raise
            return False
        return True

    async def add(self, element: int) -> None:
        await self._put(f"element.{element}", element)

    async def elements(self) -> list[int]:
        info = await self._stream(f"$KV.{BUCKET}.element.>")
        return [int(subject.rpartition(".")[2]) for subject in info.state.subjects or ()]

    async def ping(self) -> None:
        await self._js()
        await self._connection.flush(1)

    async def tick(self) -> None:
        await self._put("tick", 0)

    async def is_leader(self) -> bool:
        cluster = (await self._stream()).cluster
        return bool(cluster and cluster.leader == self._endpoint.node)

    async def make_bucket(self, replicas: int) -> None:
        await (await self._js()).create_key_value(bucket=BUCKET, replicas=replicas, direct=True)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _put(self, key: str, value: int, headers: dict[str, str] | None = None) -> None:
        js = await self._js()
        await js.publish(f"$KV.{BUCKET}.{key}", str(value).encode(), headers=headers)

    async def _last(self, key: int) -> Any:
        """The last message of a register, None if there is none."""
        js, subject = await self._js(), f"$KV.{BUCKET}.register.{key}"
        is_direct = self._endpoint.options["reads"] == "direct"
        try:
            return await _unchanging(js.get_msg(STREAM, subject=subject, direct=is_direct))
        except NotFoundError:
            return None

    async def _stream(self, subjects: str | None = None) -> Any:
        return await _unchanging((await self._js()).stream_info(STREAM, subjects))

    async def _js(self) -> Any:
        if self._connection is None or self._connection.is_closed:
            url = f"nats://{self._endpoint.address}"
            connect = nats.connect(url, allow_reconnect=False, error_cb=_ignore)
            self._connection = await _unchanging(connect)
        return self._connection.jetstream(timeout=ANSWER_S)


class Nats(Compose):
    """NATS JetStream: a key-value store of three servers, by Docker Compose."""

    nodes = ("n1", "n2", "n3")
    client_ports = (4222,)
    peer_ports = (6222,)
    client = NatsClient
    driver = "nats"
    variables: ClassVar = {"NATS_IMAGE": "image"}
    options = OPTIONS

    async def form(self, deployment: ClientsDeployment) -> None:
        """Make the bucket, once the servers have chosen who leads them."""
        first, *others = deployment.cluster.nodes
        make = methodcaller("make_bucket", 1 + len(others))
        await deployment.insist(first, make, self.start_limit_s)


async def _unchanging(ask: Awaitable[Any]) -> Any:
    """What is answered to a question that changes nothing, so that an error has no effect."""
    try:
        return await ask
    except NotFoundError:
        raise
    except NatsError as error:
        raise NotApplied(f"{type(error).__name__}: {error}") from error


async def _ignore(_: Exception) -> None:
    """What goes wrong is an exception of the operation."""
