"""
SQLAlchemy's own suite for dialects, in a process of its own. It takes minutes, so it is asked for:

    DQLITE_SQLALCHEMY_SUITE=1 pytest tests/dqlite/sqlalchemy/test_dialect_suite.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

SUITE = Path(__file__).parent / "suite"
ROOT = Path(__file__).resolve().parents[3]

PASSED_MIN = 900
"""SQLAlchemy 2.1.9 has 967 that apply; far fewer mean that requirements.py leaves out too much."""


@pytest.mark.cluster
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    "DQLITE_SQLALCHEMY_SUITE" not in os.environ, reason="DQLITE_SQLALCHEMY_SUITE asks for it"
)
@pytest.mark.parametrize("dialect", ["sync", "asyncio"])
def test_dialect_passes_the_suite_of_sqlalchemy(node: str, dialect: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", "setup.cfg", "suite_dialect.py"),
            *("--dburi", f"dqlite+{dialect}://{node}/{dialect}?busy_timeout_s=1"),
        ],
        cwd=SUITE,
        env={**os.environ, "PYTHONPATH": f"{SUITE}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= PASSED_MIN
