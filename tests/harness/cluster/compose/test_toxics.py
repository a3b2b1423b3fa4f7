"""Toxics on a service that is killed, and started again, while they are in force."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster.compose import tool
from dissever.harness.cluster.compose.cluster import ComposeCluster
from dissever.harness.cluster.compose.project import read
from dissever.nemesis.host_commands import counted
from dissever.nemesis.toxiproxy import server
from tests.harness.cluster.compose.conftest import IMAGE
from tests.harness.cluster.compose.test_cluster import NODES, source
from tests.nemesis.test_toxics_on_real_nodes import DELAY_S, Deployment

pytestmark = pytest.mark.docker

FILE = f"""
services:
  db1: &db
    image: {IMAGE}
    entrypoint: [/talk]
    restart: always
  db2: *db
  db3: *db
"""


WATCH = """
table ip watch {{
  chain input {{
    type filter hook input priority 10; policy accept;
    ip saddr {} tcp dport 7000 tcp flags & psh == psh counter comment "heard"
  }}
}}
"""
"""Counts data from an address, unless rules of ours have dropped them."""


@pytest.fixture(autouse=True)
def proxies_work() -> None:
    if not isinstance(missing := server.find(), Path):
        pytest.skip(f"{missing.reason} ({missing.remedy})")


def test_toxics_hold_for_a_service_that_talks_from_its_first_instruction_on(
    file: Path, engine: Any, tmp_path: Path
) -> None:
    file.write_text(FILE)
    found = tool.find()
    assert found is not None
    project = read(file, found.config(file))

    async def main() -> None:
        async with await ComposeCluster.open(NODES, tmp_path, source(project)) as cluster:
            at = Deployment(cluster, "latency", "black-hole")
            await at.nemeses["latency"].prepare()  # type: ignore[attr-defined]
            told = {"spec": "all", "delay_ms": 150, "jitter_ms": 0}
            started = await at.start("latency", told)
            await cluster.kill("db2")
            await cluster.start("db2")
            times = [(await at.ask(*pair))[1] for pair in (("db2", "db1"), ("db3", "db2"))]
            stopped = await at.stop("latency")
            is_fast = await at.is_fast("db2", "db1")
            await at.start("black-hole", {"spec": "all"})
            watch = WATCH.format(cluster.address("db2"))
            await cluster.command("db1", ["nft", "-f", "-"], watch)
            for _ in range(2):
                await cluster.kill("db2")
                await cluster.start("db2")
            listed = await cluster.command("db1", ["nft", "-j", "list", "table", "ip", "watch"])
            released = await at.stop("black-hole")

            assert started.value["evidence"]["held"] is True, started.value
            evidence = stopped.value["evidence"]
            assert evidence["still_held"] is True, evidence
            assert evidence["healed"] is True, evidence
            assert {link: each["past"] for link, each in evidence["packets"].items()} == {
                f"{source}->{to}": 0 for source in NODES for to in NODES if source != to
            }
            assert evidence["in_force"]["crossed"]["db2->db1"]["came"] > 0
            assert min(times) >= 2 * DELAY_S
            assert is_fast
            assert counted(listed.stdout) == [("heard", 0)]
            assert released.value["evidence"]["healed"] is True, released.value

    asyncio.run(main())
