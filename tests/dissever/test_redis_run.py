"""Redis with Sentinel: what an isolated master acknowledged is lost, and the harness sees it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.systems import load

ISOLATED = """
faults:
  - fault: partition:leader
    at: 1
    for: 4
"""


@pytest.mark.cluster
def test_writes_that_an_isolated_master_acknowledged_are_lost(
    dissever: Callable[..., Any], runs: Path, tmp_path: Path
) -> None:
    for program in ("redis-server", "redis-sentinel"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if (missing := load("redis").probe()) is not None:
        pytest.skip(f"redis cannot run here: {missing.reason}")
    plan = tmp_path / "isolated.yaml"
    plan.write_text(ISOLATED)
    ran = dissever("test", "redis", "-w", "set", "-n", "3", "-t", "6", "--plan", str(plan))
    found = json.loads((runs / "latest" / "results.json").read_text())
    anomalies = {each["name"] for result in found["results"] for each in result["anomalies"]}
    verdicts = {result["checker"]: result["verdict"] for result in found["results"]}

    assert ran.status == 1, ran.text
    assert "lost" in anomalies
    assert verdicts["faults"] == "valid", "the cut is evident"
    assert verdicts["nodes"] == "valid", "nobody crashed"
