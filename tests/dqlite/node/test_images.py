"""The real libraries of three Debians, each in its image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dissever.systems.dqlite import images
from dqlite.node.bindings import Capability

SCRIPT = Path(__file__).with_name("in_image.py")
LIMIT_S = 120

LACKS = {
    "debian12": {each.name for each in Capability},
    "debian13": {"BUSY_TIMEOUT", "SNAPSHOT_PARAMS_V2"},
    "sid": {"DISK_MODE"},
}


@pytest.mark.docker
@pytest.mark.parametrize("version", list(LACKS))
def test_each_library_does_what_it_has_and_names_what_it_lacks(version: str) -> None:
    missing = images.missing([version])
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    program = ["docker", "run", "--rm", "-i", "--network", "none", images.image(version)]
    done = subprocess.run(
        [*program, "python3", "-P", "-"],
        input=SCRIPT.read_text(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "has": sorted({each.name for each in Capability} - LACKS[version]),
        "end": [1, 302],
        "rows": 300,
        "script": None if version == "debian12" else [1, ";", 3],
        "members": 1,
    }
