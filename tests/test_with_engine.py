"""scripts/with-engine starts an engine only where it may, and stops what it started; with stubs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "with-engine"
TOOLS = ("bash", "cat", "dirname", "mktemp", "rm", "setsid", "sleep", "tail", "timeout", "touch")
WAIT_S = 10.0

DOCKER = '#!/bin/bash\n[[ -e "$STUB/answers" ]]\n'
DOCKERD = """#!/bin/bash
echo $$ >>"$STUB/started"
if [[ -e "$STUB/broken" ]]; then echo "failed to mount overlay" >&2; exit 1; fi
trap 'rm "$STUB/answers"; touch "$STUB/stopped"; exit 0' TERM
touch "$STUB/answers"
while :; do sleep 0.05; done
"""
BUILD = '#!/bin/bash\ntouch "$STUB/built"\n[[ ! -e "$STUB/no-build" ]]\n'


class Machine:
    """A folder with the script, and the programs that it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stub = folder / "stub"
        (self.stub / "bin").mkdir(parents=True)
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (self.stub / "bin" / name).symlink_to(found)
        self.program("docker", DOCKER)
        self.program("dockerd", DOCKERD)
        self.program("mmdebstrap", "#!/bin/bash\n")
        self.program("id", "#!/bin/bash\necho 0\n")
        for name in ("scripts", "docker"):
            (folder / name).mkdir()
        shutil.copy2(SCRIPT, folder / "scripts" / "with-engine")
        (folder / "docker" / "build").write_text(BUILD)
        (folder / "docker" / "build").chmod(0o755)

    def program(self, name: str, text: str) -> None:
        path = self.stub / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def has(self, name: str) -> bool:
        return (self.stub / name).exists()

    def start(self, script: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", self.folder / "scripts" / "with-engine", "bash", "-c", script],
            env={"PATH": str(self.stub / "bin"), "STUB": str(self.stub), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str = 'touch "$STUB/ran"', **environment: str) -> tuple[int, list[str]]:
        """The exit status, and the lines on stderr."""
        with self.start(script, **environment) as process:
            _, said = process.communicate(timeout=60)
        return process.returncode, said.splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_engine_that_answers_is_used_and_not_stopped(machine: Machine) -> None:
    (machine.stub / "answers").touch()
    status, _ = machine.run('[[ -e "$STUB/built" ]] && exit 7')

    assert status == 7
    assert machine.has("answers")
    assert not machine.has("started")


def test_engine_is_started_for_the_command_and_stopped_after_it(machine: Machine) -> None:
    status, _ = machine.run('[[ -e "$STUB/answers" && -e "$STUB/built" ]] && exit 7')

    assert status == 7
    assert machine.has("stopped")
    assert not machine.has("answers")
    assert len((machine.stub / "started").read_text().split()) == 1


def test_engine_is_stopped_when_the_script_is(machine: Machine) -> None:
    with machine.start('echo $$ >"$STUB/pid"; touch "$STUB/ran"; exec sleep 60') as process:
        deadline = time.monotonic() + WAIT_S
        while not machine.has("ran"):
            assert time.monotonic() < deadline, "the command does not begin"
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        os.kill(
            int((machine.stub / "pid").read_text()), signal.SIGTERM
        )  # As a terminal or a CI system signals the whole group.
        process.communicate(timeout=60)

    assert process.returncode != 0
    assert machine.has("stopped")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("dockerd", "failed to mount overlay"),
        ("user", "only root"),
        ("elsewhere", "tcp://192.0.2.1:1"),
        ("apt", "cannot be installed"),
    ],
)
def test_machine_without_an_engine_says_why_in_one_line_and_goes_on(
    machine: Machine, broken: str, reason: str
) -> None:
    environment = {}
    match broken:
        case "dockerd":
            (machine.stub / "broken").touch()
        case "user":
            machine.program("id", "#!/bin/bash\necho 1000\n")
        case "elsewhere":
            environment["DOCKER_HOST"] = "tcp://192.0.2.1:1"
        case "apt":
            (machine.stub / "bin" / "mmdebstrap").unlink()
    status, said = machine.run('touch "$STUB/ran"; exit 5', **environment)

    assert (status, machine.has("ran"), machine.has("built")) == (5, True, False)
    assert len(said) == 1
    assert "containers are not tested" in said[0]
    assert reason in said[0]


def test_images_that_cannot_be_built_are_said_and_the_command_runs(machine: Machine) -> None:
    (machine.stub / "no-build").touch()
    status, said = machine.run()

    assert (status, machine.has("ran"), machine.has("stopped")) == (0, True, True)
    assert said[-1] == "with-engine: containers are not tested: docker/build failed"
