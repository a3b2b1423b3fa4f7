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
        "chmod",
        "comm",
        "cp",
        "cut",
        "dirname",
        "echo",
        "env",
        "find",
        "grep",
        "head",
        "id",
        "mkdir",
        "rm",
        "sed",
        "sort",
        "tee",
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


APT = """#!/bin/bash
# Installs databases. They ask $POLICY whether they may start a service.
echo "apt-get ${*: -1}" >>"$STUB/apt"
[[ "$*" == *" install "*etcd-server* ]] || exit 0
"$POLICY" >/dev/null 2>&1; echo "policy $?" >>"$STUB/apt"
for program in \
  etcd redis-server redis-sentinel nats-server pg_ctlcluster docker-compose chromium; do
  [[ ! -e "$STUB/fail" ]] || exit 100
  printf '#!/bin/bash\\n' >"$STUB/bin/$program"; chmod +x "$STUB/bin/$program"
done
"""
ALLOWED, FORBIDDEN = "policy 0", "policy 101"


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
        # The compiler reads what it is asked: otherwise its pipe breaks now and then.
        stubs = {"python3": PYTHON, "gcc": "#!/bin/bash\ncat >/dev/null\n"}
        for name, text in {**stubs, **dict.fromkeys(("ip", "nft"), "#!/bin/bash\n")}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        for name in ("pyproject.toml", "setup.py", "native/build.py", "scripts/setup.sh"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        shutil.copy2(SETUP, folder / "scripts" / "setup.sh")

    def with_apt(self) -> None:
        """From now on packages can be installed."""
        stubs = {"apt-get": APT, "id": "#!/bin/bash\necho 0\n"}
        for name, text in {**stubs, "apt-cache": "#!/bin/bash\necho known\n"}.items():
            (self._stub / "bin" / name).unlink(missing_ok=True)
            (self._stub / "bin" / name).write_text(text)
            (self._stub / "bin" / name).chmod(0o755)

    def apt(self) -> list[str]:
        path = self._stub / "apt"
        return path.read_text().splitlines() if path.exists() else []

    def fail_in_apt(self) -> None:
        (self._stub / "fail").touch()

    @property
    def policy(self) -> Path:
        return self._stub / "policy-rc.d"

    def setup(self, stop_in: str = "", purpose: str = "run") -> int:
        mark = self._stub / f"stop-in-{stop_in}"
        if stop_in:
            mark.touch()
        # PATH alone is not enough: the script also looks where only root does.
        environment = {
            "PATH": str(self._stub / "bin"),
            "STUB": str(self._stub),
            "HOME": str(self.folder),
            "DQLITE_LIB": "x",
            "POLICY": str(self.policy),
        }
        done = subprocess.run(
            ["bash", "scripts/setup.sh", purpose],
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


def test_databases_are_installed_for_tests_and_none_is_started(project: Project) -> None:
    project.with_apt()
    assert project.setup(purpose="test") == 0

    assert FORBIDDEN in project.apt()
    assert not project.policy.exists()
    count = len(project.apt())
    assert project.setup(purpose="test") == 0
    assert [line for line in project.apt()[count:] if "etcd" in line or "nats" in line] == []


def test_databases_are_not_installed_for_a_run(project: Project) -> None:
    project.with_apt()
    assert project.setup() == 0

    assert not any("etcd" in line for line in project.apt())


def test_policy_of_somebody_else_stays_as_it_is(project: Project) -> None:
    project.with_apt()
    project.policy.write_text("#!/bin/sh\nexit 0\n")
    project.policy.chmod(0o755)
    assert project.setup(purpose="test") == 0

    assert ALLOWED in project.apt()
    assert project.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_databases_that_cannot_be_installed_are_only_a_warning(project: Project) -> None:
    project.with_apt()
    project.fail_in_apt()
    assert project.setup(purpose="test") == 0

    assert not project.policy.exists()
    assert project.is_whole


def test_policy_of_a_call_that_was_killed_allows_everything(project: Project) -> None:
    """The policy is that of the script, with the number of a process that there is not."""
    text = SETUP.read_text()
    line = next(line for line in text.splitlines() if "printf '#!/bin/sh" in line)
    format_ = line.split("'")[1].replace("\\n", "\n")
    dead = 2**22 + 1  # Above every number that a process can have.
    project.policy.write_text(format_.replace("%s", "mark", 1).replace("%s", str(dead)))

    assert subprocess.run(["sh", project.policy]).returncode == 0
    project.policy.write_text(format_.replace("%s", "mark", 1).replace("%s", "self"))
    assert subprocess.run(["sh", project.policy]).returncode == 101
