"""
Redis with Sentinel: a server and a sentinel on every node; the programs of Debian's packages.

The sentinels agree by majority who the master is, and the others copy it asynchronously. A client
asks the sentinel of its node, and stays with the master that it names until an error. A master that
a partition cuts off goes on acknowledging writes to the clients on its side. When the partition
ends, it becomes a replica of the new master, and these writes are gone.

Source: Redis 7.0, `sentinel.c`; redis.io, "High availability with Redis Sentinel".
"""

from __future__ import annotations

from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.forward import Endpoint
from dissever.harness.options import Option
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.processes import Processes

__all__ = ["Redis", "RedisClient"]

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_COMPARE_AND_SET: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

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
protected-mode no
sentinel monitor main {{first}} {PORT} {{majority}}
sentinel down-after-milliseconds main {{down-after-ms}}
sentinel failover-timeout main 3000
sentinel parallel-syncs main 5
"""


class RedisClient:
    """Registers and a set, at the master that the sentinel of a node names."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._own = _connection(endpoint.host, endpoint.port)
        self._sentinel = _connection(endpoint.host, endpoint.port_of(SENTINEL_PORT))
        self._master: Any = None

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

    def check_quorum(self) -> None:
        """Raise unless this sentinel sees enough of the others to replace a master."""
        self._sentinel.execute_command("SENTINEL", "CKQUORUM", "main")

    def close(self) -> None:
        for each in (self._own, self._sentinel, self._master):
            if each is not None:
                each.close()

    def _ask(self, *command: Any) -> Any:
        from redis import exceptions as errors

        if self._master is None:
            named = self._sentinel.sentinel_get_master_addr_by_name("main")
            self._master = _connection(*self._endpoint.translate(named[0], int(named[1])))
        try:
            return self._master.execute_command(*command)
        except (errors.ReadOnlyError, errors.BusyLoadingError, errors.MasterDownError) as error:
            self._master = None  # It is the master no more, or not yet.
            raise NotApplied(str(error)) from error
        except errors.ResponseError as error:
            if str(error).startswith(("NOREPLICAS", "MISCONF", "OOM")):
                raise NotApplied(str(error)) from error
            raise


class Redis(Processes):
    """Redis with Sentinel, replicated asynchronously: this machine's redis-server."""

    command = "redis-server redis.conf"
    beside = ("redis-sentinel sentinel.conf",)
    files = {"redis.conf": _SERVER, "sentinel.conf": _SENTINEL}  # noqa: RUF012 - As in its base.
    keeps_files = True  # Both write there who the master is.
    client_ports = peer_ports = (PORT, SENTINEL_PORT)
    client = RedisClient
    driver = "redis"
    version = "redis-server --version"
    install = "apt-get install redis-server redis-sentinel"
    options = {  # noqa: RUF012 - As in its base.
        "down-after-ms": Option(
            "silence after which a sentinel calls a server down",
            default=1000,
            least=100,
            most=60_000,
        ),
        "min-replicas": Option(
            "replicas that must have been heard within a second, or writes are refused",
            default=0,
            least=0,
            most=10,
        ),
    }

    async def form(self, deployment: ClientsDeployment) -> None:
        """Have all copy the first, and wait until every sentinel has found the others."""
        first, *others = deployment.cluster.nodes
        for node in others:
            await deployment.insist(node, lambda client: client.follow(first), self.start_limit_s)
        for node in (first, *others):
            await deployment.insist(node, lambda client: client.check_quorum(), self.start_limit_s)


def _connection(host: str, port: int) -> Any:
    """One connection to a server or a sentinel. Nothing is sent twice."""
    from redis import Redis as Driver
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    retry = Retry(NoBackoff(), 0)
    return Driver(host, port, single_connection_client=True, decode_responses=True, retry=retry)
