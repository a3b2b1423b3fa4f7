"""The probe: None where clusters work, and otherwise a reason and a remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dissever.harness.cluster import trial

FORBIDDEN = """
echo 0 > /proc/sys/user/max_user_namespaces || exit 77
exec setpriv --bounding-set=-all --inh-caps=-all "$@"
"""
ASK = "from dissever.harness.cluster.trial import probe; print(probe())"


def test_missing_tool_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, **_: None)

    missing = trial.probe()

    assert missing is not None
    assert (missing.reason, missing.remedy) == ("ip is not installed", "apt-get install iproute2")
    assert not list(tmp_path.iterdir())


@pytest.mark.cluster
@pytest.mark.usefixtures("namespaces_work")
def test_forbidden_namespaces_are_a_reason_with_a_remedy() -> None:
    argv = ["unshare", "-Ur", "sh", "-c", FORBIDDEN, "sh", sys.executable, "-c", ASK]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("user namespaces cannot be forbidden from within here")

    assert "cannot make namespaces: unshare" in done.stdout, done.stderr
    assert "user.max_user_namespaces=" in done.stdout
