"""Each page of docs/findings shows its finding, in the simulated library or on a real node."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import structs

from dissever.attempts import attempt
from dissever.harness.cluster import faultfs
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.reproduction import Outcome, Target, search
from dissever.shrinking.shrink import read_original
from dissever.systems import load
from dissever.systems.dqlite.bugs import BUGS
from dissever.systems.raft import calls
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT
from dissever.systems.raft.programs import program
from tests.systems.test_raft_nodes import ADDRESS, asked

FINDINGS = Path(__file__).parents[2] / "docs" / "findings"
LIMIT_S = 60.0
WRITES = 100

OTHERWISE: dict[str, dict[str, Any]] = {
    "left-behind": {
        "workload": "register",
        "nodes": ("n1", "n2", "n3", "n4", "n5"),
        "rate": 40,
        "time_limit_s": 4.8,
    },
    "old-entries-counted": {"time_limit_s": 4, "ok_min": 0},
    "refused-snapshot": {"time_limit_s": 4.5, "ok_min": 0},
    "pre-vote-deadlock": {"concurrency": 1, "time_limit_s": 2.1, "ok_min": 0},
}
"""What the command of a page has that those of others have not."""


def built(variant: str) -> Path:
    """A simulator or a node; the test is skipped where it cannot be built."""
    if isinstance(found := program(variant), Missing):
        pytest.skip(f"{found.reason}; {found.remedy}")
    return found


def options(name: str, seed: int, library: str) -> Options:
    path = FINDINGS / f"{name}.yaml"
    plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = Options(
        system="raft",
        workload="set",
        backend=SIMULATED,
        nodes=("n1", "n2", "n3"),
        script=path.read_text(encoding="utf-8"),
        script_path=str(path),
        faults=tuple({step["fault"].partition(":")[0] for step in plan["faults"]}),
        seed=seed,
        rate=100,
        concurrency=3,
        time_limit_s=3,
        system_options={"timings": "exaggerated", "library": library},
    )
    return structs.replace(found, **OTHERWISE.get(name, {}))


@pytest.mark.parametrize(
    ("name", "seed", "library", "sign"),
    [
        ("snapshot-on-hold", 7, "0.22.1", "nodes/crash/SIGSEGV/legacyPersistSnapshotStart"),
        ("commit-goes-back", 5, "0.22.1", "invariants/commit-goes-back"),
        ("apply-out-of-memory", 1, "1.18.7", "nodes/crash/SIGABRT"),
        ("left-behind", 23, "1.18.7", "liveness/diverged"),
        ("old-entries-counted", 8, "0.15.0", "set/lost"),
        ("old-entries-counted", 8, "0.15.0", "invariants/durability"),
        ("refused-snapshot", 13, "1.18.7", "invariants/stored-index"),
        ("pre-vote-deadlock", 146, "0.22.1", "liveness/no-progress"),
    ],
)
def test_plan_shows_its_finding(name: str, seed: int, library: str, sign: str) -> None:
    built(f"raft-{library}")

    tried = attempt(options(name, seed, library))

    assert tried.is_invalid, tried.why
    assert any(each.startswith(sign) for each in tried.signatures), tried.signatures


def test_a_node_that_installed_a_snapshot_is_left_behind_with_sizes_of_dqlite() -> None:
    built("raft-1.18.7")
    settings = options("left-behind-defaults", 1, "1.18.7")
    sizes = {"snapshot-threshold": 128, "snapshot-trailing": 128}
    own = {**settings.system_options, **sizes}

    tried = attempt(
        structs.replace(
            settings, rate=150, concurrency=6, time_limit_s=5, ok_min=0, system_options=own
        )
    )

    assert tried.signatures == ("liveness/diverged",), tried.why


@pytest.mark.parametrize(
    ("name", "seed", "fails_s", "lasts_s"),
    [("snapshot-on-hold", 7, 1.287, 1.0), ("commit-goes-back", 5, 2.107, 0.6)],
)
def test_shrink_knows_when_it_failed_and_how_long_its_fault_was_to_last(
    tmp_path: Path, name: str, seed: int, fails_s: float, lasts_s: float
) -> None:
    built("raft-0.22.1")
    attempt(options(name, seed, "0.22.1"), keep=tmp_path / "run")

    original = read_original(tmp_path / "run")

    assert original.guilty_s == pytest.approx(fails_s, abs=0.001)
    assert [step.for_s for step in original.candidate.faults] == [pytest.approx(lasts_s, abs=0.05)]


def test_a_node_takes_no_snapshot_where_there_is_no_tmpfile(tmp_path: Path) -> None:
    node = built("node-0.22.1")
    if missing := faultfs.missing_here():
        pytest.skip(f"{missing.reason}; {missing.remedy}")
    on_fuse, beside = tmp_path / "fuse", tmp_path / "beside"
    on_fuse.mkdir()
    beside.mkdir()
    if not has_tmpfile(beside):
        pytest.skip(f"the file system of {tmp_path} has no O_TMPFILE either")

    mounted = faultfs.Mounted(on_fuse, tmp_path / "socket")
    try:
        taken = {folder.name: snapshots_after_writes(node, folder) for folder in (on_fuse, beside)}
    finally:
        mounted.close()

    assert taken["fuse"] == 0
    assert taken["beside"] > 0


def has_tmpfile(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError:
        return False
    return True


def snapshots_after_writes(node: Path, folder: Path) -> int:
    """How many files of snapshots there are once one real node has served `WRITES` writes."""
    settings = ("election_ms=100", "heartbeat_ms=20", "snapshot_threshold=16")
    words = [str(node), str(folder), "1", ADDRESS, *settings, "snapshot_trailing=4"]
    with subprocess.Popen(words) as process:
        try:
            asyncio.run(write())
        finally:
            process.kill()
    return len(list(folder.glob("snapshot-*")))


async def write() -> None:
    await asked(calls.write(1, 0))  # It serves.
    _, link = await asyncio.get_running_loop().create_connection(Link, ADDRESS, CLIENT_PORT)
    for value in range(WRITES):
        await link.ask(calls.write(1, value))
    link.close()


def test_hostile_header_makes_a_simulated_node_loop(tmp_path: Path) -> None:
    bug, target = BUGS["hostile-header"], Target(SIMULATED)
    if missing := load("dqlite").probe(target.of(bug.test.options[0])):
        pytest.skip(f"{missing.reason}; {missing.remedy}")

    found = search(bug, target, LIMIT_S, tmp_path, say=lambda _: None, observe=lambda *_: None)

    assert found.outcome is Outcome.SHOWN, found.seen
    assert "signal 24" in found.seen[-1]


def test_every_finding_is_listed() -> None:
    listed = (FINDINGS / "README.md").read_text(encoding="utf-8")

    pages = [page for page in FINDINGS.glob("*.md") if page.name != "README.md"]
    assert len(pages) >= 3
    assert all(f"({page.name})" in listed for page in pages)
