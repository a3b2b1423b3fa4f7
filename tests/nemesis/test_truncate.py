"""Files that were cut are dropped once the node serves on what is left, and put back if it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.cluster import NodeState
from dissever.nemesis import Environment
from dissever.nemesis.disks import truncate


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch, make_cluster: Any, run: Callable[..., Any]) -> Any:
    """What healing does with the whole files of n1, which ends or serves after so long."""

    def heal(
        *, ends_after_s: float | None = None, serves_after_s: float = 0.0, other: str = ""
    ) -> str:
        cluster = make_cluster(3)
        cluster.disk = lambda node: SimpleNamespace(path=f"/{node}")
        verbs: list[str] = []

        async def run_script(_: Any, node: str, script: str, *arguments: Any) -> Any:
            if script == truncate.MEND_ENDS:
                verbs.append(arguments[1])
            return {"files": {}, "restored": []}

        async def answers(node: str) -> bool:
            is_up = cluster.states[node].state is NodeState.RUNNING
            return is_up and asyncio.get_running_loop().time() >= serves_after_s

        async def end() -> None:
            if ends_after_s is not None:
                await asyncio.sleep(ends_after_s)
                gone = replace(cluster.states["n1"], state=NodeState.GONE, pid=None)
                cluster.states["n1"] = gone

        async def main() -> None:
            site = Environment(cluster, cluster, 1, answers=answers)
            if other:
                site.down.take(other, ["n1"])
            fault = truncate.DiskTruncate(site)
            await asyncio.gather(end(), fault.undo("n1"))

        monkeypatch.setattr(truncate, "run_script", run_script)
        run(main())
        return verbs[0]

    return heal


@pytest.mark.parametrize("ends_after_s", [0.0, 0.4, 1.2, 4.0])
def test_a_node_that_refuses_its_files_after_a_while_gets_them_back(
    mended: Any, ends_after_s: float
) -> None:
    assert mended(ends_after_s=ends_after_s, serves_after_s=60) == "restore"


@pytest.mark.parametrize("serves_after_s", [0.0, 1.0, 4.0])
def test_a_node_that_serves_goes_on_with_what_is_left(mended: Any, serves_after_s: float) -> None:
    assert mended(serves_after_s=serves_after_s) == "forget"


def test_a_node_that_another_fault_holds_is_not_waited_for(mended: Any) -> None:
    assert mended(serves_after_s=60, other="pause") == "forget"


def test_whole_files_are_kept_outside_of_the_disk_which_may_be_full(tmp_path: Path) -> None:
    def script(text: str, *arguments: object) -> None:
        words = [sys.executable, "-c", text, str(data), *map(str, arguments)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    data = tmp_path / "data"
    data.mkdir()
    (data / "segment").write_bytes(b"x" * 1000)

    script(truncate.CUT_ENDS, 0.5, 1)

    assert [(each.name, each.stat().st_size) for each in data.iterdir()] == [("segment", 500)]

    script(truncate.MEND_ENDS, "restore")

    assert (data / "segment").read_bytes() == b"x" * 1000
    assert [each.name for each in tmp_path.iterdir()] == ["data"]
