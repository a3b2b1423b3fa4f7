"""docker/build leaves nothing half-made that its next call would trust; with a stub of docker."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[1] / "docker" / "build"
TOOLS = ("awk", "bash", "cat", "cut", "env", "grep", "mktemp", "rm", "sha256sum", "touch")

DOCKER = """#!/bin/bash
# Images are files in $STUB/images, named by their tags; those that are broken hold "broken".
echo "$*" >>"$STUB/calls"
folder="$STUB/images"
file() { echo "$folder/$(echo "$1" | tr / _)"; }
case "$1" in
  version) exit 0 ;;
  pull) exit 1 ;;
  image) [[ -e "$(file "$3")" ]] ;;
  run) while [[ "$2" == -* || "$2" == none ]]; do shift; done
    [[ -e "$(file "$2")" && "$(cat "$(file "$2")")" != broken ]] && echo 1.0 ;;
  import) cat "$2" >"$(file sha256:1)"; echo sha256:1 ;;
  tag) mv "$(file "$2")" "$(file "$3")" ;;
  rmi) rm -f "$(file "$2")" ;;
  build) while [[ "$2" != --tag ]]; do shift; done
    [[ ! -e "$STUB/no-build" ]] && echo whole >"$(file "$3")" ;;
esac
"""


class Stub:
    """A machine with docker, and with what else is put into its folder of programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        (folder / "images").mkdir()
        for name in (*TOOLS, "dirname", "tr", "mv"):
            found = shutil.which(name)
            assert found is not None
            (self._programs / name).symlink_to(found)
        self.program("docker", DOCKER)
        self.program("id", "#!/bin/bash\necho 0\n")

    def program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)

    def mmdebstrap(self, content: str = "whole", exit_status: int = 0) -> None:
        words = f'#!/bin/bash\necho {content} >"${{@: -2:1}}"\nexit {exit_status}\n'
        self.program("mmdebstrap", words)

    def image(self, name: str, content: str = "whole") -> None:
        (self.folder / "images" / name.replace("/", "_")).write_text(f"{content}\n")

    def build(self, *names: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", BUILD, *names],
            env={"PATH": str(self._programs), "STUB": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def images(self) -> list[str]:
        return sorted(each.name for each in (self.folder / "images").iterdir())

    @property
    def calls(self) -> list[str]:
        return [line.split()[0] for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


def test_image_is_made_of_what_mmdebstrap_made(stub: Stub) -> None:
    stub.mmdebstrap()
    done = stub.build("host", "debian12")

    assert done.returncode == 0, done.stderr
    assert stub.images == ["dissever_debian:bookworm", "dissever_dqlite:debian12", "dissever_host"]


def test_without_mmdebstrap_nothing_is_imported_however_often(stub: Stub) -> None:
    for _ in range(2):
        done = stub.build("debian12")

        assert done.returncode == 1
        assert "expected mmdebstrap" in done.stderr
        assert "apt-get install mmdebstrap" in done.stderr
        assert stub.images == []
        assert "import" not in stub.calls


def test_mmdebstrap_that_fails_leaves_nothing_and_the_next_call_succeeds(stub: Stub) -> None:
    stub.mmdebstrap(exit_status=25)

    assert stub.build("host").returncode == 25
    assert stub.images == []
    stub.mmdebstrap()
    assert stub.build("host").returncode == 0


def test_import_in_which_nothing_runs_is_removed_again(stub: Stub) -> None:
    stub.mmdebstrap("broken")
    done = stub.build("host")

    assert done.returncode == 1
    assert "nothing runs" in done.stderr
    assert stub.images == []


def test_base_image_in_which_nothing_runs_is_made_again(stub: Stub) -> None:
    stub.image("dissever/debian:bookworm", "broken")
    stub.mmdebstrap()

    assert stub.build("host").returncode == 0
    assert (stub.folder / "images" / "dissever_debian:bookworm").read_text() == "whole\n"


def test_build_that_fails_names_no_image(stub: Stub) -> None:
    stub.mmdebstrap()
    (stub.folder / "no-build").touch()

    assert stub.build("debian12").returncode != 0
    assert stub.images == ["dissever_debian:bookworm"]


def test_unknown_name_is_refused_before_anything_is_built(stub: Stub) -> None:
    stub.mmdebstrap()
    done = stub.build("host", "debian99")

    assert done.returncode == 64
    assert "debian99" in done.stderr
    assert stub.images == []


def test_ordinary_user_is_told_that_it_takes_root(stub: Stub) -> None:
    stub.mmdebstrap()
    stub.program("id", "#!/bin/bash\necho 1000\n")
    done = stub.build("host")

    assert done.returncode == 1
    assert "expected root" in done.stderr
    assert stub.images == []


def test_machine_without_docker_says_so(stub: Stub) -> None:
    (stub.folder / "bin" / "docker").unlink()
    done = stub.build()

    assert done.returncode == 1
    assert "docker.io" in done.stderr
