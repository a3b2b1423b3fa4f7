"""
The wheel, built from the source distribution and run far from the checkout.

Its environment holds the wheel and what it declares to need, copied from ours: no index is asked,
and a dependency that is used but not declared is missing there.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent

NOT_SOURCES = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "tests"),
    *("*.so", "*.egg-info", "build", "dist"),
)


def run(*command: str | Path, cwd: Path, expected: int = 0) -> str:
    """Run a command that sees neither our checkout nor our environment; return its output."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    done = subprocess.run(
        command,
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name not in hidden},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stdout
    return done.stdout


def build_sdist(source: Path, into: Path) -> Path:
    into.mkdir()
    script = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", script, into, cwd=source)
    (built,) = into.iterdir()
    return built


def build_wheel(source: Path, into: Path) -> Path:
    """Build from a folder, which is written to, or a source distribution; asks no index."""
    into.mkdir()
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", into, source),
        cwd=into,
    )
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, apart: a build leaves folders behind that the next build believes."""
    folder = tmp_path_factory.mktemp("copy") / "dissever"
    return shutil.copytree(ROOT, folder, symlinks=True, ignore=_not_sources)


def _not_sources(folder: str, names: list[str]) -> set[str]:
    """What is no source; `runs` is none at the root alone, because `dissever.runs` is a package."""
    of_root = {"runs"} if Path(folder) == ROOT else set()
    return NOT_SOURCES(folder, names) | of_root


@pytest.fixture(scope="module")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, by way of the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(build_sdist(copy, folder / "sdist"), folder / "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its declared dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", symlinks=True)
    interpreter = folder / "env" / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", interpreter, "install"),
        *("--quiet", "--no-index", "--no-deps", wheel),
        cwd=folder,
    )
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    (installed,) = packages.glob("dissever-*.dist-info")
    for needed in dependencies(PathDistribution(installed)):
        copy_distribution(needed, packages)
    return interpreter


def dependencies(root: Distribution) -> Iterator[Distribution]:
    """Yield all that `root` declares, and what that declares in turn, each once; no extras."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        for line in waiting.pop().requires or ():
            requirement = Requirement(line)
            is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_needed and requirement.name not in seen:
                seen.add(requirement.name)
                found = distribution(requirement.name)
                waiting.append(found)
                yield found


def copy_distribution(found: Distribution, into: Path) -> None:
    for file in found.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            target = into / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found.locate_file(file), target)  # type: ignore[arg-type]


def files(wheel: Path) -> list[ZipInfo]:
    with ZipFile(wheel) as archive:
        return archive.infolist()


def names(wheel: Path) -> set[str]:
    return {file.filename for file in files(wheel)}


def written(folder: Path) -> set[str]:
    """The files of a run to its end that are there: an exit status of 1 alone could be a crash."""
    paths = (folder / "runs").glob("simulated/register/*/*")
    return {path.name for path in paths} & {"history.jsonl", "results.json", "index.html"}


def test_wheel_holds_two_packages_and_nothing_else_at_its_top(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"dissever", "dqlite"}


def test_wheel_holds_every_source_and_page_of_the_rooms(copy: Path, wheel: Path) -> None:
    kinds = {".py", ".html", ".css", ".js", ".typed", ".dockerfile"}
    rooms = [link for link in (copy / "dissever").iterdir() if link.is_symlink()]
    sources = {
        str(PurePosixPath("dissever", room.name, path.relative_to(room.resolve())))
        for room in rooms
        for path in room.resolve().rglob("*")
        if path.suffix in kinds
    }

    assert len(sources) > len(rooms)
    assert sources - names(wheel) == set()


def test_wheel_holds_the_compiled_search(wheel: Path) -> None:
    libraries = [name for name in names(wheel) if name.endswith(".so")]

    assert [Path(name).match("dissever/native/_search*.so") for name in libraries] == [True]


def test_wheel_holds_the_faulty_file_system_where_libfuse_is(wheel: Path) -> None:
    has_fuse = shutil.which("pkg-config") is not None and not (
        subprocess.run(["pkg-config", "--exists", "fuse3"]).returncode
    )
    programs = [file for file in files(wheel) if file.filename.endswith("/faultfs/faultfs")]

    assert [bool(file.external_attr >> 16 & 0o111) for file in programs] == [True] * has_fuse


def test_wheel_without_libfuse_has_all_but_that(
    copy: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKG_CONFIG_LIBDIR", str(tmp_path))
    without = build_wheel(copy, tmp_path / "without")

    assert names(without) == names(wheel) - {"dissever/native/faultfs/faultfs"}


def test_wheel_holds_no_links(wheel: Path) -> None:
    assert [file for file in files(wheel) if file.external_attr >> 28 == 0o12] == []


def test_wheel_of_the_checkout_equals_that_of_the_source_distribution(
    copy: Path, wheel: Path, tmp_path: Path
) -> None:
    direct = build_wheel(copy, tmp_path / "direct")

    assert names(direct) == names(wheel)


def test_installed_packages_come_from_the_wheel(python: Path, tmp_path: Path) -> None:
    script = "import dissever.cli, dqlite; print(dissever.cli.__file__, dqlite.__file__, sep='\\n')"
    lines = run(python, "-c", script, cwd=tmp_path).splitlines()

    assert len(lines) == 2
    assert all(Path(line).is_relative_to(python.parents[1]) for line in lines)


def test_installed_rooms_have_no_bare_names(python: Path, tmp_path: Path) -> None:
    script = "import harness"

    assert "ModuleNotFoundError" in run(python, "-c", script, cwd=tmp_path, expected=1)


def test_installed_command_knows_every_fault_without_the_docker_sdk(
    python: Path, tmp_path: Path
) -> None:
    told = json.loads(run(python.parent / "dissever", "doctor", "--json", cwd=tmp_path))

    cells = [each for each in told["faults"] if each["backend"] == "containers"]
    assert len(cells) > 20
    assert all("no Docker SDK" in each["reason"] for each in cells if not each["available"])


def test_one_wheel_serves_every_python_from_3_11_on(wheel: Path) -> None:
    assert wheel.name.split("-")[2:4] == ["cp311", "abi3"]


@pytest.fixture
def without_compiler(python: Path, tmp_path: Path) -> Callable[..., str]:
    """Run a command in an environment that has the wheel, `ip` and `nft`, and nothing else."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ip", "nft"):
        if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            (tools / name).symlink_to(found)

    def run_without(*command: str, expected: int = 0) -> str:
        path = f"PATH={python.parent}:{tools}"
        return run("/usr/bin/env", "-i", path, f"HOME={tmp_path}", *command, cwd=tmp_path,
                   expected=expected)  # fmt: skip

    return run_without


def test_installed_command_needs_no_compiler(
    without_compiler: Callable[..., str], tmp_path: Path
) -> None:
    script = "import shutil, sys; sys.exit(any(map(shutil.which, ('cc', 'gcc', 'clang'))))"
    without_compiler("python", "-c", script)
    without_compiler("dissever", "test", "simulated", "--time-limit", "2", "--seed", "1")
    without_compiler("dissever", "check", "runs/latest")
    told = json.loads(without_compiler("dissever", "doctor", "--json"))

    assert written(tmp_path) == {"history.jsonl", "results.json", "index.html"}
    assert {each["what"]: each["available"] for each in told["machine"]}["native search"]


def test_installed_command_finds_a_bug(python: Path, tmp_path: Path) -> None:
    command = "test simulated --workload register --bug stale-read --time-limit 2 --seed 1"
    run(python.parent / "dissever", *command.split(), cwd=tmp_path, expected=1)

    assert written(tmp_path) == {"history.jsonl", "results.json", "index.html"}
