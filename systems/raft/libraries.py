"""
The real libraries that the simulator runs: fetched from Debian, verified, and built into a program.

A package is named by its path in Debian's pool and its SHA-256, and kept in the user's cache. A
simulator is built there too, under a name that says what it was made of; so a change of a source,
of a package or of the compiler makes another one. Nothing is installed, and no rights are needed.
"""

from __future__ import annotations

import hashlib
import http.client
import lzma
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

from dissever.harness.missing import Missing

__all__ = ["VARIANTS", "Package", "Variant", "cache", "simulator", "unpack"]

_MIRRORS: Final = (
    "http://deb.debian.org/debian",
    "http://snapshot.debian.org/archive/debian/20261130T000000Z",
)
"""The second keeps what has left the first. What comes is verified, so neither is trusted."""

_MIRROR_VARIABLE: Final = "DISSEVER_DEBIAN_MIRROR"
_FETCH_LIMIT_S: Final = 60.0
_PACKAGE_BYTES_MAX: Final = 32 << 20
_UNPACKED_BYTES_MAX: Final = 256 << 20
_BUILD_LIMIT_S: Final = 600.0
_BUILDS_KEPT: Final = 4
_UNUSED_S: Final = 7 * 86_400.0
"""
Of each variant so many simulators are kept, those that were found last; of the others those that
were found in this time, since another checkout or a long campaign may need them.
"""

_TAKEN: Final = frozenset({".a", ".c", ".h"})
"""What is unpacked of a package; the rest (documents, links) is of no use here."""

_BUILD_REMEDY: Final = (
    "the first run fetches its packages from Debian and builds it in some 10 s; so does"
    " `dissever doctor --fetch`"
)

_FLAGS: Final = ("-std=c11", "-O2", "-g1", "-fno-omit-frame-pointer", "-fno-pie")
_DIGEST_CHARACTERS: Final = 16
_INCLUDE: Final = "usr/include"
_ARCHIVES: Final = "usr/lib/x86_64-linux-gnu"

_NODE: Final = (
    "real/*.c",
    *("machine.c", "output.c", "digest.c", "options.c", "compatibility.c"),
)
"""What a real node is made of: the service of simulated ones, and what that needs."""


@dataclass(frozen=True, slots=True)
class Package:
    """A file of Debian's pool: a binary package (.deb) or a source (.tar.gz)."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Variant:
    """
    A program that runs one library: a simulator, or a real node.

    `library`: what it runs, for people. `packages`: by the name that the paths below begin with.
    `header`: the variant's of `native/simulation/`. `includes`, `archives`: paths in the unpacked
    packages. `sources`: patterns of C files in `native/simulation/`. `is_simulator`: the files of
    all simulators are among its sources. `links`: words for the linker after the archives.
    """

    library: str
    packages: Mapping[str, Package]
    header: str
    includes: Sequence[str]
    archives: Sequence[str]
    sources: Sequence[str] = ("machine.c",)
    is_simulator: bool = True
    links: Sequence[str] = ()
    flags: Sequence[str] = field(default=())


LIBRAFT_0_15: Final = Package(
    "pool/main/r/raft/libraft-dev_0.15.0-1_amd64.deb",
    "d0883ccee61281e1f406dcef1a6a296d6bd80f81abd725d24c704d7950ed4fcc",
)
LIBRAFT_0_22: Final = Package(
    "pool/main/r/raft/libraft-dev_0.22.1-1+b1_amd64.deb",
    "4f8e634ae8a32967fc5e8d53b33606be9b3cf2677de6871dc6f2e1a91213b900",
)
LIBDQLITE_1_18_1: Final = Package(
    "pool/main/d/dqlite/libdqlite-dev_1.18.1-1_amd64.deb",
    "c39a1e2a5936431dcd57376ba28726ddd240af204b503c7db1913e5172985dc4",
)
LIBDQLITE_1_18_7: Final = Package(
    "pool/main/d/dqlite/libdqlite-dev_1.18.7-1_amd64.deb",
    "f2d6f8055605e4091a236be9a54f05b9fbcab146783abda2599ea031364ec4db",
)
DQLITE_SOURCE_1_18_1: Final = Package(
    "pool/main/d/dqlite/dqlite_1.18.1.orig.tar.gz",
    "80edae12d9df1d01df31aae83a76333b2dfc5119a28f165921a752bb876569a6",
)
DQLITE_SOURCE_1_18_7: Final = Package(
    "pool/main/d/dqlite/dqlite_1.18.7.orig.tar.gz",
    "cf244ef937d419edd93aed3960d8222b38f09af82acca78fde586c3d04c35a52",
)
LIBUV: Final = Package(
    "pool/main/libu/libuv1/libuv1-dev_1.50.0-2_amd64.deb",
    "a638490607f08b4369b2515c013ced6b33dabecbf985b0a1629d4ad53ec9c9d2",
)
LIBSQLITE: Final = Package(
    "pool/main/s/sqlite3/libsqlite3-dev_3.46.1-7+deb13u2_amd64.deb",
    "56e1945d52292b506c1f0bcb77543fea289ccee857c478dcddded40226e1594d",
)


def _of_dqlite(version: str, archive: Package, source: Package) -> Variant:
    """The raft inside libdqlite, with the headers of its source."""
    top = f"source/dqlite-{version}/src"
    return Variant(
        library=f"raft of libdqlite {version}",
        packages={"dqlite": archive, "source": source, "uv": LIBUV},
        header="variant_1_18.h",
        includes=(top, f"uv/{_INCLUDE}", f"dqlite/{_INCLUDE}"),
        archives=(f"dqlite/{_ARCHIVES}/libdqlite.a",),
        flags=(f'-DLIBRARY_VERSION="{version}"', "-D_DEFAULT_SOURCE", "-D_XOPEN_SOURCE=700"),
    )


def _with_gateway(version: str, archive: Package, source: Package) -> Variant:
    """All of dqlite: its gateway, and the SQLite of one release of Debian, on its raft."""
    raft = _of_dqlite(version, archive, source)
    return replace(
        raft,
        library=f"libdqlite {version} with SQLite 3.46.1",
        packages={**raft.packages, "sqlite": LIBSQLITE},
        includes=(*raft.includes, f"sqlite/{_INCLUDE}"),
        archives=(*raft.archives, f"sqlite/{_ARCHIVES}/libsqlite3.a"),
        sources=("dqlite/*.c",),
        flags=(*raft.flags, "-D_GNU_SOURCE"),  # The headers of libuv need it.
    )


def _of_libraft(version: str, package: Package, header: str) -> Variant:
    return Variant(
        library=f"libraft {version}",
        packages={"raft": package},
        header=header,
        includes=(f"raft/{_INCLUDE}",),
        archives=(f"raft/{_ARCHIVES}/libraft.a",),
    )


def _on_real_hosts(simulated: Variant) -> Variant:
    """A node with the library's own I/O: sockets, files, and the time of the machine."""
    return replace(
        simulated,
        library=f"{simulated.library} with its own I/O",
        packages={**simulated.packages, "uv": LIBUV},
        includes=(*simulated.includes, f"uv/{_INCLUDE}"),
        archives=(*simulated.archives, f"uv/{_ARCHIVES}/libuv.a"),
        sources=_NODE,
        is_simulator=False,
        links=("-l:liblz4.so.1", "-lpthread", "-ldl"),
        flags=(*simulated.flags, "-D_GNU_SOURCE"),  # The headers of libuv need it.
    )


_RAFT_0_15: Final = _of_libraft("0.15.0", LIBRAFT_0_15, "variant_0_15.h")
_RAFT_0_22: Final = _of_libraft("0.22.1", LIBRAFT_0_22, "variant_0_22.h")
_RAFT_1_18_1: Final = _of_dqlite("1.18.1", LIBDQLITE_1_18_1, DQLITE_SOURCE_1_18_1)
_RAFT_1_18_7: Final = _of_dqlite("1.18.7", LIBDQLITE_1_18_7, DQLITE_SOURCE_1_18_7)

VARIANTS: Final[Mapping[str, Variant]] = {
    "dqlite-1.18.7": _with_gateway("1.18.7", LIBDQLITE_1_18_7, DQLITE_SOURCE_1_18_7),
    "node-0.15.0": _on_real_hosts(_RAFT_0_15),
    "node-0.22.1": _on_real_hosts(_RAFT_0_22),
    "node-1.18.1": _on_real_hosts(_RAFT_1_18_1),
    "node-1.18.7": _on_real_hosts(_RAFT_1_18_7),
    "raft-0.15.0": _RAFT_0_15,
    "raft-0.22.1": _RAFT_0_22,
    "raft-1.18.1": _RAFT_1_18_1,
    "raft-1.18.7": _RAFT_1_18_7,
}
"""By the name that `simulator` takes."""

SERVICES: Final = ("machine.c",)
"""C files that only the variants build that name them in `sources`."""


def cache() -> Path:
    """Where packages and simulators are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dissever" / "simulation"


def simulator(variant: str, *, may_build: bool = True, flags: Sequence[str] = ()) -> Path | Missing:
    """
    The program that simulates servers of a library; if it is not in the cache, its packages are
    fetched from Debian, and it is built. Blocks.

    Args:
        variant: One of `VARIANTS`.
        may_build: False: it is only looked for.
        flags: More words for the compiler, such as those of a sanitizer.

    Returns:
        The program, or what is missing to build it.

    Raises:
        KeyError: When there is no such variant.
    """
    wanted = VARIANTS[variant]
    if (machine := platform.machine()) != "x86_64" or platform.system() != "Linux":
        return Missing(
            f"{wanted.library} is fetched for Linux on x86-64, and this is"
            f" {platform.system()} on {machine}",
            "run the simulation in a container or a virtual machine of linux/amd64",
        )
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        named = os.environ.get("CC", "cc")
        return Missing(f"no C compiler ({named})", "apt-get install gcc libc6-dev")
    target = cache() / "built" / f"{variant}-{_digest(wanted, compiler, flags)}"
    if target.exists():
        with suppress(OSError):  # It is of another user: they keep it.
            os.utime(target)
        return target
    if not may_build:
        return Missing(f"the simulator of {wanted.library} is not built yet", _BUILD_REMEDY)
    folders = {}
    for name, package in wanted.packages.items():
        try:
            folders[name] = _unpacked(package)
        except OSError as error:
            return Missing(
                f"{wanted.library}: {package.name} is not to be had: {error.strerror or error}",
                f"connect to the Internet, or set {_MIRROR_VARIABLE} to a mirror of Debian, or put"
                f" the file at {_kept(package)}",
            )
    built = _build(wanted, compiler, flags, folders, target)
    if built == target:
        _prune(variant, target.parent)
    return built


def _prune(variant: str, folder: Path) -> None:
    """Remove simulators of a variant that nobody has looked for in a long time."""
    found: list[tuple[float, Path]] = []
    for path in folder.glob(f"{variant}-{'[0-9a-f]' * _DIGEST_CHARACTERS}"):
        with suppress(OSError):  # Another process was faster.
            found.append((path.stat().st_mtime, path))
    found.sort(reverse=True)
    for used_s, path in found[_BUILDS_KEPT:]:
        if time.time() - used_s > _UNUSED_S:
            with suppress(OSError):
                path.unlink()


def unpack(package: Package, content: bytes, folder: Path) -> None:
    """
    Write a package's headers, sources and archives below a folder.

    Raises:
        OSError: When it is no such package, or leads out of the folder, or is too large.
    """
    try:
        inner = _data_of_deb(content) if package.name.endswith(".deb") else content
        with tarfile.open(fileobj=BytesIO(inner)) as tar:
            left = _UNPACKED_BYTES_MAX
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.suffix not in _TAKEN:
                    continue
                if path.is_absolute() or ".." in path.parts:
                    raise OSError(0, f"{package.name} leads out of its folder: {member.name!r}")
                if (left := left - member.size) < 0:
                    raise OSError(0, f"{package.name} unpacks to more than {_UNPACKED_BYTES_MAX} B")
                content_of = tar.extractfile(member)
                assert content_of is not None  # It is a file.
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content_of.read())
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise OSError(0, f"{package.name} is no package: {error}") from error


def _data_of_deb(content: bytes) -> bytes:
    """The member `data.tar.*` of an ar archive, which a .deb is. Raises ValueError without one."""
    if not content.startswith(b"!<arch>\n"):
        raise ValueError("it is no ar archive")
    at = 8
    while len(header := content[at : at + 60]) == 60:
        size = int(header[48:58])
        if size < 0:
            raise ValueError("a member has a negative size")
        if header[:16].startswith(b"data.tar"):
            return content[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError("it has no data.tar")


def _kept(package: Package) -> Path:
    """Where the file of a package is kept."""
    return cache() / "packages" / f"{package.sha256[:16]}-{package.name}"


def _unpacked(package: Package) -> Path:
    """
    The folder with a package's files.

    Raises:
        OSError: When it cannot be had, with the reasons.
    """
    folder = cache() / "packages" / package.sha256
    if folder.is_dir():
        return folder
    kept = _kept(package)
    if kept.exists():
        content = _verified(package, kept.read_bytes(), str(kept))
    else:
        content = _fetched(package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        unpack(package, content, Path(draft) / "whole")
        try:
            (Path(draft) / "whole").rename(folder)
        except OSError:
            if not folder.is_dir():  # Otherwise another process was faster.
                raise
    return folder


def _fetched(package: Package) -> bytes:
    """
    The content of a package, from the first mirror that has it.

    Raises:
        OSError: When none has it, with what each said.
    """
    said = []
    for url in _urls(package):
        try:
            with urllib.request.urlopen(url, timeout=_FETCH_LIMIT_S) as answer:
                return _verified(package, _read(answer), url)
        except (OSError, http.client.HTTPException) as error:
            said.append(f"{url}: {getattr(error, 'reason', None) or error}")
    raise OSError(0, "; ".join(said))


def _urls(package: Package) -> Iterator[str]:
    own = os.environ.get(_MIRROR_VARIABLE)
    for mirror in [own] if own else _MIRRORS:
        if not re.match("https?://", mirror):
            raise OSError(0, f"{_MIRROR_VARIABLE} is no http address: {mirror!r}")
        yield f"{mirror.rstrip('/')}/{package.path}"


def _read(answer: IO[bytes]) -> bytes:
    content = answer.read(_PACKAGE_BYTES_MAX + 1)
    if len(content) > _PACKAGE_BYTES_MAX:
        raise OSError(0, f"more than {_PACKAGE_BYTES_MAX} B came")
    return content


def _verified(package: Package, content: bytes, source: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != package.sha256:
        raise OSError(0, f"{source} has {len(content)} B of SHA-256 {digest}, not {package.sha256}")
    return content


def _folder() -> Path:
    return Path(str(resources.files("dissever"))) / "native" / "simulation"


def _sources(variant: Variant) -> list[Path]:
    """The C files that a variant is built from."""
    folder = _folder()
    own = {path for pattern in variant.sources for path in folder.glob(pattern)}
    shared = {path for path in folder.glob("*.c") if path.name not in SERVICES}
    return sorted(shared | own if variant.is_simulator else own)


def _words(variant: Variant, flags: Sequence[str]) -> list[str]:
    return [*_FLAGS, f'-DVARIANT="{variant.header}"', *variant.flags, *flags]


def _digest(variant: Variant, compiler: str, flags: Sequence[str]) -> str:
    """Of all that a simulator is made of."""
    digest = hashlib.sha256()
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, timeout=10, check=False
    ).stdout.partition("\n")[0]
    words = [version, *_words(variant, flags), *variant.archives, *variant.links]
    for word in [*words, *(package.sha256 for package in variant.packages.values())]:
        digest.update(word.encode() + b"\0")
    sources = _sources(variant)
    for path in [*sources, *sorted(_folder().glob("**/*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _build(
    variant: Variant, compiler: str, flags: Sequence[str], folders: Mapping[str, Path], target: Path
) -> Path | Missing:
    def found(path: str) -> str:
        package, _, rest = path.partition("/")
        return str(folders[package] / rest)

    target.parent.mkdir(parents=True, exist_ok=True)
    sources = _sources(variant)
    words = [
        compiler,
        *_words(variant, flags),
        f"-I{_folder()}",
        *(f"-isystem{found(path)}" for path in variant.includes),
        *map(str, sources),
        *map(found, variant.archives),
        *(found(word) if word.partition("/")[0] in folders else word for word in variant.links),
        "-lm",
        "-rdynamic",
        "-no-pie",  # Code and static data are at the same addresses in each run.
    ]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        draft = Path(folder) / target.name
        done = subprocess.run(
            [*words, "-o", str(draft)],
            capture_output=True,
            text=True,
            timeout=_BUILD_LIMIT_S,
            check=False,
        )
        if done.returncode:
            last = [
                line for line in done.stderr.splitlines() if "error" in line or "undefined" in line
            ]
            return Missing(
                f"the simulator of {variant.library} does not compile: "
                + "; ".join(last[:3] or done.stderr.splitlines()[-3:]),
                "gcc 11 or newer with libc6-dev compiles it; CC names another compiler",
            )
        return draft.replace(target)
