"""
Disks that fail without being full: slow, with errors, torn writes, flipped bits.

Each node's data goes through faultfs, which fails calls by rules that come and go. Evidence: the
rule's own count of the calls that it hit, after a write of ours through the same disk; healed once
the rule is gone and such a write goes through.

A flipped bit is one that a read gets wrong, the same one every time; what is stored stays right, so
it heals. Since a system may read its files only when it starts, flips come with a restart.

Source: charybdefs and LazyFS for the vocabulary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dissever.harness.cluster import Disks, HostCommands, Hosts, NodeProcesses, NodeState
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.aiming import Ledger
from dissever.nemesis.disks.simulated import (
    CHANCE,
    ERROR,
    RULE_SEED,
    SLOW,
    TORN,
    probability,
)
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Heals, Simulated
from dissever.nemesis.host_commands import run, run_script
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence, revive
from dissever.nemesis.parameters import (
    Draw,
    Parameter,
    Settings,
    choice,
    log_uniform,
    number,
    one_of,
)

__all__ = ["FAULTS", "ask", "probe_write"]

PAGES = 1
"""Few, since each may have to wait."""

TRIES = 200
"""Of a probe that waits for an error: one with a probability of 5 % is missed once in 28,000."""

HIT_LIMIT_S = 3.0
"""A rule must hit something in this time; our own calls count."""


PROBE_WRITE = """
import errno, json, os, sys, time
path, size, tries = sys.argv[1] + "/.probe", int(sys.argv[2]) * 4096, int(sys.argv[3])

def attempt():
    probe = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(probe, 0, size)
        os.write(probe, bytes(size))
        os.fsync(probe)
    finally:
        os.close(probe)

failure, count = None, 0
while count < tries and failure is None:
    count, began = count + 1, time.monotonic()
    try:
        attempt()
    except OSError as error:
        failure = errno.errorcode.get(error.errno, str(error.errno))
took_ms = round((time.monotonic() - began) * 1000, 3)
try:
    os.unlink(path)
except OSError:
    pass
print(json.dumps({"error": failure, "tries": count, "took_ms": took_ms}))
"""
"""
`DIRECTORY PAGES TRIES`: allocates and writes them and syncs, TRIES times or until that fails; which
error that met, after how many tries, and how long the last one took.
"""

READ_ALL = """
import errno, glob, json, sys, time
began, failure, count = time.monotonic(), None, 0
for path in sorted(glob.glob(sys.argv[1] + "/*")):
    try:
        with open(path, "rb", buffering=0) as file:
            while got := file.read(1 << 20):
                count += len(got)
    except FileNotFoundError:
        continue  # It is the system that comes and goes with its files.
    except OSError as error:
        failure = errno.errorcode.get(error.errno, str(error.errno))
took_ms = round((time.monotonic() - began) * 1000, 3)
print(json.dumps({"error": failure, "bytes": count, "took_ms": took_ms}))
"""
"""`DIRECTORY …`: reads every file; which error that met."""


@dataclass(frozen=True, slots=True)
class FaultyDisk:
    """
    A `NodeFault`: a rule, of that name, on the disk of a node.

    `words`: of the rule, from the settings. `tries`: of our own calls until one is hit. `restarts`:
    the node starts again under the rule. `script`: our own calls. `own_hits`: node -> how many of
    them the rule has hit. `ended`: nodes that ended while they were struck. Which of the hits were
    theirs is not known, so the fault may have ended them.
    """

    name: str
    cluster: AbleCluster
    down: Ledger
    words: Callable[[Settings], Sequence[str]]
    tries: int
    restarts: bool
    script: str
    own_hits: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        self.own_hits[node] = 0
        self.ended.discard(node)
        was_up = (await self.cluster.status(node)).state is NodeState.RUNNING
        words = [word.replace("rule_seed=", "seed=") for word in self.words(settings)]
        await ask(self.cluster, node, "rule", self.name, *words)
        if self.restarts and node not in self.down.reasons:
            await self.cluster.kill(node)
            await self.cluster.start(node)
        loop = asyncio.get_running_loop()
        end = loop.time() + HIT_LIMIT_S
        while True:
            before = (await self._rule(node))["hits"]
            probed = await self._probe(node, self.tries)
            rule = await self._rule(node)
            self.own_hits[node] += rule["hits"] - before
            if rule["hits"] or loop.time() > end:
                break
        status = await self.cluster.status(node)
        if was_up and status.state is NodeState.GONE:
            self.ended.add(node)
        facts = {"probe": probed, "rule": rule}
        return NodeEvidence(node, rule["hits"] > 0, status, facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """A rule that hit no call but ours was not met by the node, if it lived on."""
        is_there = self.name in (await ask(self.cluster, node, "counts"))["rules"]
        rule = await self._rule(node)
        hits = rule["hits"] - self.own_hits.get(node, 0)
        status = await self.cluster.status(node)
        facts = {"rule": rule, "hits_of_node": hits}
        return NodeEvidence(
            node, is_there, status, facts, is_idle=hits <= 0 and node not in self.ended
        )

    async def undo(self, node: str) -> NodeEvidence:
        rule = await self._rule(node)
        await self.release(node)
        counts = await ask(self.cluster, node, "counts")
        probed = await self._probe(node)
        is_so = self.name not in counts["rules"] and probed["error"] is None
        facts = {"probe": probed, "rule": rule, **await revive(self.cluster, self.down, node)}
        status = await self.cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_back=True)

    async def release(self, node: str) -> None:
        await ask(self.cluster, node, "clear", self.name)

    async def _rule(self, node: str) -> dict[str, int]:
        """What the rule has seen and hit; nothing once it is gone."""
        rules = (await ask(self.cluster, node, "counts"))["rules"]
        found: dict[str, int] = rules.get(self.name, {"seen": 0, "hits": 0, "bytes": 0})
        return found

    async def _probe(self, node: str, tries: int = 1) -> dict[str, Any]:
        arguments = (self.cluster.disk(node).path, PAGES, tries)
        printed: dict[str, Any] = await run_script(self.cluster, node, self.script, *arguments)
        return printed


async def ask(cluster: AbleCluster, node: str, *words: str) -> dict[str, Any]:
    """
    Ask a node's faultfs; requests and answers are in native/faultfs/faultfs.c.

    Raises:
        OSError: When it does not answer, or refuses.
    """
    said = await run(cluster, node, [*cluster.disk(node).ask, *words])
    answer: dict[str, Any] = msgspec.json.decode(said)
    return answer


async def probe_write(cluster: AbleCluster, node: str, pages: int) -> dict[str, Any]:
    """Write to a node's disk, once: see `PROBE_WRITE`. Raises OSError."""
    printed: dict[str, Any] = await run_script(
        cluster, node, PROBE_WRITE, cluster.disk(node).path, pages, 1
    )
    return printed


def _faulty(
    name: str,
    description: str,
    parameters: tuple[Parameter, ...],
    words: Sequence[str],
    *,
    tries: int = TRIES,
    is_damage: bool = False,
    script: str = PROBE_WRITE,
    healed: str = "the rule is gone, and a write goes through",
    simulated: Simulated | None = None,
) -> Fault:
    """
    A record.

    Args:
        words: Of the rule; the parameters follow as KEY=VALUE.
        is_damage: What the node finds on its disk is not what it wrote, so it may refuse to start.
            It starts again under the rule, for it may read its files only then.
    """

    def rule(settings: Settings) -> Sequence[str]:
        return (*words, *(f"{each.name}={settings[each.name]}" for each in parameters))

    def make(fault: Fault, site: Environment) -> PerNode:
        disk = FaultyDisk(name, site.cluster, site.down, rule, tries, is_damage, script)
        notes = {"damages_disk": True} if is_damage else {}
        return PerNode(fault, site, disk, notes, revives=True)

    return Fault(
        name=name,
        description=description,
        parameters=parameters,
        heals=Heals.DISKS,
        group="disks",
        damages=is_damage,
        needs=(NodeProcesses, HostCommands, Disks, Need.FAULTFS),
        hosts=Hosts(faulty_disks=True),
        make=make,
        held="the rule counts calls that it hit",
        healed=healed,
        simulated=simulated,
    )


ERRORS: Final = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EAGAIN", "EINTR", "ENOMEM", "EFBIG")
OPERATIONS: Final = (
    "open", "read", "write", "fsync", "allocate", "truncate", "rename", "unlink", "folder"
)  # fmt: skip
"""Those of `native/faultfs/rules.c`."""

ALL_WRITES: Final = "write,fsync,allocate"


FAULTS: Final[tuple[Fault, ...]] = (
    _faulty(
        "disk-slow",
        "let each write of nodes to their disks wait, each sync and each allocation",
        (number("ms", "delay of each call", 1, 5000, log_uniform(5, 500)),),
        ("do=slow", f"op={ALL_WRITES}"),
        tries=1,
        simulated=SLOW,
    ),
    _faulty(
        "disk-error",
        "let writes, syncs and allocations of nodes fail, or some of them",
        (
            choice(
                "op",
                "the calls that fail",
                OPERATIONS,
                one_of("write", "fsync", "allocate", ALL_WRITES),
                default=ALL_WRITES,
                is_list=True,
            ),
            choice("errno", "their error", ERRORS, one_of("EIO", "ENOSPC"), default="EIO"),
            CHANCE,
            RULE_SEED,
        ),
        ("do=fail",),
        simulated=ERROR,
    ),
    _faulty(
        "disk-torn",
        "let only a part of a write of nodes reach their disks",
        (
            choice(
                "errno",
                "the error of the call; 0: it claims that all went well",
                (*ERRORS, "0"),
                Draw("EIO", lambda _: "EIO"),
                default="EIO",
            ),
            CHANCE,
            RULE_SEED,
        ),
        ("do=tear", "op=write"),
        simulated=TORN,
    ),
    _faulty(
        "disk-flip",
        "start nodes again, and let them read wrong bits from their disks, the same ones each time",
        (probability(log_uniform(0.0005, 0.05, 5)), RULE_SEED),
        ("do=flip", "op=read"),
        tries=1,
        is_damage=True,
        script=READ_ALL,
        healed="the rule is gone, and every file reads without an error",
    ),
)
