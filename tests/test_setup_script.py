"""scripts/setup.sh trusts nothing that an interrupted call left; with a stub of Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / "scripts" / "setup.sh"
TOOLS = (
    *(
        "bash",
        "cat",
        "cp",
        "dirname",
        "echo",
        "env",
        "find",
        "grep",
        "head",
        "id",
        "mkdir",
        "rm",
        "touch",
    ),
    "xargs",
)

PYTHON = """#!/bin/bash
# An environment is whole with the files `pip` and `packages`; $STUB/stop-in-STEP ends a step early.
echo "$1 $2 $3" >>"$STUB/calls"
stop() { [[ ! -e "$STUB/stop-in-$1" ]] || exit 137; }
here="$(dirname "$0")/.."
case "$1 $2" in
  "-c "*) [[ "$2" != *print* ]] || echo python3.11 ;;
  "-m venv") rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; stop venv; touch "$4/pip" ;;
  "-m pip") [[ -e "$here/pip" ]] || exit 1
    [[ "$3" != --version ]] || exit 0
    [[ -e "$here/metadata" ]] && exit 0  # As pip does where it finds metadata.
    touch "$here/metadata"; stop pip; touch "$here/packages" native/_search.abi3.so ;;
  "native/build.py "*) stop build; touch native/_search.abi3.so ;;
esac
"""


class Project:
    """The script and what it looks at, on a machine that lacks only what is optional."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stub = folder / "stub"
        programs = self._stub / "bin"
        programs.mkdir(parents=True)
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (programs / name).symlink_to(found)
        for name, text in {"python3": PYTHON, **dict.fromkeys(("gcc", "ip", "nft"), "")}.items():
            (programs / name).write_text(text or "#!/bin/bash\n")
            (programs / name).chmod(0o755)
        for name in ("pyproject.toml", "setup.py", "native/build.py", "scripts/setup.sh"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        shutil.copy2(SETUP, folder / "scripts" / "setup.sh")

    def setup(self, stop_in: str = "") -> int:
        mark = self._stub / f"stop-in-{stop_in}"
        if stop_in:
            mark.touch()
        # PATH alone is not enough: the script also looks where only root does.
        environment = {"PATH": str(self._stub / "bin"), "STUB": str(self._stub), "DQLITE_LIB": "x"}
        done = subprocess.run(
            ["bash", "scripts/setup.sh"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stderr)
        mark.unlink(missing_ok=True)
        return done.returncode

    @property
    def is_whole(self) -> bool:
        wanted = (".venv/pip", ".venv/packages", "native/_search.abi3.so")
        return all((self.folder / name).exists() for name in wanted)

    def calls(self) -> list[str]:
        """The steps that were made since the last call of this."""
        path = self._stub / "calls"
        lines = path.read_text().splitlines()
        path.unlink()
        return [line for line in lines if line.startswith(("-m venv", "-m pip install"))]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_second_call_does_nothing(project: Project) -> None:
    assert project.setup() == 0
    assert project.is_whole
    assert len(project.calls()) == 2
    assert project.setup() == 0
    assert project.calls() == []


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_call_after_an_interrupted_one_makes_it_whole(project: Project, step: str) -> None:
    for _ in range(2):
        assert project.setup(stop_in=step) != 0
        assert not project.is_whole

    assert project.setup() == 0
    assert project.is_whole


def test_environment_of_before_is_not_trusted_after_an_update_was_interrupted(
    project: Project,
) -> None:
    assert project.setup() == 0
    (project.folder / ".venv" / "metadata").unlink()
    (project.folder / ".venv" / "packages").unlink()
    (project.folder / "pyproject.toml").touch()
    assert project.setup(stop_in="pip") != 0
    assert project.setup() == 0

    assert project.is_whole


def test_library_that_was_not_built_is_built_by_the_next_call(project: Project) -> None:
    assert project.setup() == 0
    (project.folder / "native" / "_search.abi3.so").unlink()
    assert project.setup(stop_in="build") != 0
    assert project.setup() == 0

    assert project.is_whole
