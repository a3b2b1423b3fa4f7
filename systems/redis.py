"""
Redis with Sentinel: a server and a sentinel on every node; the programs of Debian's packages.

The sentinels agree by majority who the master is, and the others copy it asynchronously. A client
asks the sentinel of its node, and stays with the master until an error. A master that is cut off
goes on acknowledging writes; when the cut heals, it copies the new master, and they are gone.

Source: Redis 7.0, `sentinel.c`; redis.io, "High availability with Redis Sentinel".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import methodcaller
from time import sleep
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.cluster import Clocks
from dissever.harness.forward import Endpoint
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.processes import Processes

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_COMPARE_AND_SET: Final = (
    "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('SET', KEYS[1], ARGV[2]) and 1"
)

_SERVER: Final = f"""
bind {{address}}
port {PORT}
protected-mode no
dir {{data}}
appendonly yes
appendfsync always
min-replicas-to-write {{min-replicas}}
min-replicas-max-lag 1
repl-diskless-sync-delay 0
enable-debug-command yes
"""

_SENTINEL: Final = f"""
bind {{address}}
port {SENTINEL_PORT}
sentinel monitor main {{first}} {PORT} {{majority}}
sentinel down-after-milliseconds main {{down-after-ms}}
sentinel failover-timeout main 3000
sentinel parallel-syncs main 5
"""


class RedisClient:
    """
    Registers, a set and lists, at the master that the sentinel of a node names. Between `begin` and
    `commit`, what is read is watched, and what is appended is kept back. The commit is one MULTI …
    EXEC, which Redis refuses if something that was watched has changed.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._own = _connection(endpoint.host, endpoint.port)
        self._sentinel = _connection(endpoint.host, endpoint.port_of(SENTINEL_PORT))
        self._master: Any = None
        self._watching: Any = None
        self._appended: list[tuple[str, int]] = []

    def begin(self) -> None:
        self.rollback()
        self._watching = self._leading().pipeline()

    def read_list(self, key: int) -> list[int]:
        name = f"list:{key}"
        held = self._told(lambda: self._watching.watch(name) and self._watching.lrange(name, 0, -1))
        return [int(each) for each in held] + [v for at, v in self._appended if at == name]

    def append(self, key: int, value: int) -> None:
        self._appended.append((f"list:{key}", value))

    def commit(self) -> None:
        from redis.exceptions import WatchError

        self._watching.multi()
        for name, value in self._appended:
            self._watching.rpush(name, value)
        self._watching.ping()  # Without a command, nothing that is watched would be looked at.
        try:
            self._told(self._watching.execute)
        except WatchError as error:
            # The driver raises it for a connection that broke, too; that one has a context.
            if error.__context__ is not None:
                raise
            raise NotApplied(str(error), "conflict") from error
        finally:
            self.rollback()

    def rollback(self) -> None:
        self._appended = []
        if self._watching is not None:
            self._watching.close()
            self._watching = None

    def read(self, key: int) -> int | None:
        value = self._ask("GET", f"register:{key}")
        return None if value is None else int(value)

    def write(self, key: int, value: int) -> None:
        self._ask("SET", f"register:{key}", value)

    def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return bool(self._ask("EVAL", _COMPARE_AND_SET, 1, f"register:{key}", old, new))

    def add(self, element: int) -> None:
        self._ask("SADD", "elements", element)

    def elements(self) -> list[int]:
        return [int(element) for element in self._ask("SMEMBERS", "elements")]

    def ping(self) -> None:
        self._own.ping()

    def is_leader(self) -> bool:
        return bool(self._own.role()[0] == "master")

    def digest(self) -> str:
        return str(self._own.execute_command("DEBUG", "DIGEST"))

    def follow(self, node: str) -> None:
        """Have this node copy another."""
        self._own.replicaof(self._endpoint.cluster_address(node), PORT)

    def meet(self, others: int) -> None:
        """Raise until this sentinel knows the others; of replicas it asks only every 10 s."""
        known = self._sentinel.sentinel_master("main")
        if known["num-slaves"] < others:
            self._sentinel.sentinel_reset("main")
            sleep(0.5)
        if min(known["num-slaves"], known["num-other-sentinels"]) < others:
            raise ConnectionError("a sentinel does not know all the others")

    def close(self) -> None:
        for each in filter(None, (self._own, self._sentinel, self._master)):
            each.close()

    def _ask(self, *command: Any) -> Any:
        leading = self._leading()
        return self._told(lambda: leading.execute_command(*command))

    def _leading(self) -> Any:
        """The connection to the master."""
        if self._master is None:
            named = self._sentinel.sentinel_get_master_addr_by_name("main")
            self._master = _connection(*self._endpoint.translate(named[0], int(named[1])))
        return self._master

    def _told(self, ask: Callable[[], Any]) -> Any:
        """What the master answers; NotApplied where it refuses."""
        from redis import exceptions as errors

        try:
            return ask()
        except (errors.ResponseError, errors.BusyLoadingError) as error:
            self._master = None  # It may be the master no more.
            told = (errors.ReadOnlyError, errors.BusyLoadingError, errors.OutOfMemoryError)
            if isinstance(error, told) or str(error).startswith(("NOREPLICAS", "MISCONF")):
                raise NotApplied(str(error)) from error
            raise


class Redis(Processes):
    """Redis with Sentinel, replicated asynchronously: this machine's redis-server."""

    command = "redis-server redis.conf"
    beside = ("redis-sentinel sentinel.conf",)
    files = {"redis.conf": _SERVER, "sentinel.conf": _SENTINEL}  # noqa: RUF012 - As in its base.
    keeps_files = True  # Both write there who the master is.
    client_ports = peer_ports = (PORT, SENTINEL_PORT)
    client, driver = RedisClient, "redis"
    version = "redis-server --version"
    install = "apt-get install redis-server redis-sentinel"
    options = {  # noqa: RUF012 - As in its base.
        "down-after-ms": Option("silence that makes a server down", 1000, least=100, most=60_000),
        "min-replicas": Option("replicas in touch that a write needs", 0, least=0, most=10),
    }

    def lacks(self, options: Options) -> Mapping[type, str]:
        """
        Clocks, too: jemalloc asks for the time while libfaketime starts, which needs memory then.

        Debian's `redis-server` then hangs before it serves. "Cannot recover from unexpected
        recursive calls to clock_gettime()" is the last that libfaketime 0.9.10 says.
        """
        why = "redis-server does not start under libfaketime, because its jemalloc clashes with it"
        return {**super().lacks(options), Clocks: why}

    async def form(self, deployment: ClientsDeployment) -> None:
        """Have all copy the first, and wait until every sentinel knows all the others."""
        first, *others = deployment.cluster.nodes
        for node in others:
            await deployment.insist(node, methodcaller("follow", first), self.start_limit_s)
        for node in (first, *others):
            await deployment.insist(node, methodcaller("meet", len(others)), self.start_limit_s)


def _connection(host: str, port: int) -> Any:
    """A server or a sentinel; it is connected to when it is first asked. Nothing is sent twice."""
    import redis

    make: Any = redis.Redis  # Its types do not know that `retry` may be None: no retries.
    return make(host, port, decode_responses=True, retry=None)
