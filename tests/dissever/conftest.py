"""The command line as a function: arguments in, exit status and what was printed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dissever import cli


@dataclass(frozen=True)
class Ran:
    """What a command did. `text` is what it printed, its lines joined as a reader reads them."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return " ".join(f"{self.stdout} {self.stderr}".split())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where this test's runs are kept."""
    return tmp_path / "runs"


@pytest.fixture
def dissever(capsys: pytest.CaptureFixture[str], runs: Path) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*arguments: str) -> Ran:
        where = ("--runs", str(runs)) if arguments[0] == "test" else ()
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments, *where])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    return run
