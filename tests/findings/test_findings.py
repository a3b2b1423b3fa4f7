"""Each plan of docs/findings shows its finding in the simulated library, by the command there."""

from pathlib import Path

import pytest

from dissever.attempts import attempt
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.reproduction import Outcome, Target, search
from dissever.systems import load
from dissever.systems.dqlite.bugs import BUGS
from dissever.systems.raft.programs import program

FINDINGS = Path(__file__).parents[2] / "docs" / "findings"
LIBRARY = "0.22.1"
LIMIT_S = 60.0


@pytest.fixture
def libraft() -> None:
    if isinstance(found := program(f"raft-{LIBRARY}"), Missing):
        pytest.skip(f"{found.reason}; {found.remedy}")


def options(name: str, seed: int) -> Options:
    path = FINDINGS / f"{name}.yaml"
    return Options(
        system="raft",
        workload="set",
        backend=SIMULATED,
        nodes=("n1", "n2", "n3"),
        script=path.read_text(encoding="utf-8"),
        script_path=str(path),
        faults=("disk-slow",),
        seed=seed,
        rate=100,
        concurrency=3,
        time_limit_s=3,
        system_options={"timings": "exaggerated", "library": LIBRARY},
    )


@pytest.mark.usefixtures("libraft")
@pytest.mark.parametrize(
    ("name", "seed", "sign"),
    [
        ("snapshot-on-hold", 7, "legacyPersistSnapshotStart"),
        ("commit-goes-back", 5, "commit-goes-back"),
    ],
)
def test_plan_shows_its_finding(name: str, seed: int, sign: str) -> None:
    tried = attempt(options(name, seed))

    assert tried.is_invalid, tried.why
    assert sign in tried.signature


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
