"""
libdqlite through cffi, without a compiler: functions are looked up when they are first asked for.

The library's version number is not trustworthy (1.11.1 says 1.10.0), so what a build can do is
found by asking for each symbol, and a build is identified by the hash of its file.

Environment: DQLITE_LIB is the path or name of the library; else the system's libdqlite.so.0.

Source: `dqlite/include/dqlite.h`.
"""

import hashlib
import os
import threading
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from cffi import FFI

from dqlite.errors import CapabilityMissing, LibraryNotFound, NodeError

LIBRARY = "libdqlite.so.0"

_SQLITE_CONFIG_SINGLETHREAD = 1
_SQLITE_CONFIG_MULTITHREAD = 2
_SQLITE_MISUSE = 21
_MULTI_THREAD_VARIABLES = ("DQLITE_MULTITHREAD", "GO_DQLITE_MULTITHREAD")

_DECLARATIONS = """
typedef struct dqlite_node dqlite_node;
typedef unsigned long long dqlite_node_id;
int dqlite_version_number(void);
int dqlite_node_create(dqlite_node_id id, const char *address, const char *data_dir,
                       dqlite_node **n);
void dqlite_node_destroy(dqlite_node *n);
int dqlite_node_set_bind_address(dqlite_node *n, const char *address);
const char *dqlite_node_get_bind_address(dqlite_node *n);
int dqlite_node_set_connect_func(dqlite_node *n,
                                 int (*f)(void *arg, const char *address, int *fd), void *arg);
int dqlite_node_set_network_latency_ms(dqlite_node *n, unsigned milliseconds);
int dqlite_node_set_failure_domain(dqlite_node *n, unsigned long long code);
int dqlite_node_set_snapshot_params(dqlite_node *n, unsigned threshold, unsigned trailing);
int dqlite_node_start(dqlite_node *n);
int dqlite_node_stop(dqlite_node *n);
const char *dqlite_node_errmsg(dqlite_node *n);
int dqlite_node_set_block_size(dqlite_node *n, size_t size);
int dqlite_node_set_auto_recovery(dqlite_node *n, bool enabled);
int dqlite_node_set_snapshot_compression(dqlite_node *n, bool enabled);
int dqlite_node_set_pool_thread_count(dqlite_node *n, unsigned count);
int dqlite_node_describe_last_entry(dqlite_node *n, uint64_t *index, uint64_t *term);
int dqlite_node_set_snapshot_params_v2(dqlite_node *n, unsigned threshold, unsigned trailing,
                                       int strategy);
int dqlite_node_set_busy_timeout(dqlite_node *n, unsigned milliseconds);
int dqlite_node_enable_disk_mode(dqlite_node *n);
int dqlite_node_enable_role_management(dqlite_node *n);
int dqlite_node_set_target_voters(dqlite_node *n, int voters);
int dqlite_node_set_target_standbys(dqlite_node *n, int standbys);
int dqlite_node_handover(dqlite_node *n);
typedef struct {
  uint64_t size;
  uint64_t id;
  uint64_t address;
  uint64_t role;
} dqlite_node_info_ext;
int dqlite_node_recover_ext(dqlite_node *n, dqlite_node_info_ext infos[], int n_info);
int sqlite3_config(int option, ...);
"""


class Capability(Enum):
    """What only some builds can do; the value is the symbol."""

    AUTO_RECOVERY = "dqlite_node_set_auto_recovery"
    BLOCK_SIZE = "dqlite_node_set_block_size"
    BUSY_TIMEOUT = "dqlite_node_set_busy_timeout"
    DESCRIBE_LAST_ENTRY = "dqlite_node_describe_last_entry"
    DISK_MODE = "dqlite_node_enable_disk_mode"
    HANDOVER = "dqlite_node_handover"
    POOL_THREAD_COUNT = "dqlite_node_set_pool_thread_count"
    ROLE_MANAGEMENT = "dqlite_node_enable_role_management"
    SNAPSHOT_COMPRESSION = "dqlite_node_set_snapshot_compression"
    SNAPSHOT_PARAMS_V2 = "dqlite_node_set_snapshot_params_v2"
    TARGET_STANDBYS = "dqlite_node_set_target_standbys"
    TARGET_VOTERS = "dqlite_node_set_target_voters"


VERSIONS = {
    Capability.AUTO_RECOVERY: "1.16.0 and newer have",
    Capability.BLOCK_SIZE: "1.15.0 and newer have",
    Capability.BUSY_TIMEOUT: "1.18.2 and newer have",
    Capability.DESCRIBE_LAST_ENTRY: "1.17.0 and newer have",
    Capability.DISK_MODE: "only 1.13.0 to 1.18.2 have",
    Capability.HANDOVER: "1.15.0 and newer have",
    Capability.POOL_THREAD_COUNT: "1.16.5 and newer have",
    Capability.ROLE_MANAGEMENT: "1.15.0 and newer have",
    Capability.SNAPSHOT_COMPRESSION: "1.16.2 and newer have",
    Capability.SNAPSHOT_PARAMS_V2: "1.18.2 and newer have",
    Capability.TARGET_STANDBYS: "1.15.0 and newer have",
    Capability.TARGET_VOTERS: "1.15.0 and newer have",
}
"""Which versions of libdqlite have each; for people, since only the symbol is a fact."""


@dataclass(frozen=True, slots=True)
class LibraryIdentity:
    """Which build this is; `version_number` is information, not a fact."""

    path: str
    sha256: str
    version_number: int


class Library:
    """
    A loaded libdqlite.

    Attributes:
        ffi, lib: cffi's, for `server`; untyped, as C is.
        is_poisoned: A creation has failed; on 1.11.1 the next one would crash the process.
        binding: Held by the thread that has the library bind a socket, which is then looked for.
    """

    def __init__(self, ffi: FFI, lib: Any, path: str) -> None:
        """Use `load`."""
        self.ffi = ffi
        self.lib = lib
        self.path = path
        self.is_poisoned = False
        self.binding = threading.Lock()

    def unlock(self) -> None:
        """Forget who held `binding`: in a child after a fork, that thread does not exist."""
        self.binding = threading.Lock()

    def capabilities(self) -> frozenset[Capability]:
        """Return what this build has."""
        return frozenset(each for each in Capability if hasattr(self.lib, each.value))

    def require(self, capability: Capability) -> Any:
        """
        Return the function behind a capability.

        Raises:
            CapabilityMissing: If this build lacks it.
        """
        try:
            return getattr(self.lib, capability.value)
        except AttributeError as cause:
            raise CapabilityMissing(
                f"{self.path} has no {capability.value}, which {VERSIONS[capability]}"
            ) from cause

    def identity(self) -> LibraryIdentity:
        """Return path, hash and version number; reads the file."""
        digest = hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        return LibraryIdentity(self.path, digest, int(self.lib.dqlite_version_number()))


def load(name: str | None = None) -> Library:
    """
    Load libdqlite; a second call returns the same.

    Args:
        name: Path or soname; None for DQLITE_LIB, or else the system's.

    Raises:
        LibraryNotFound: If it cannot be loaded.
    """
    return _load(name or os.environ.get("DQLITE_LIB") or LIBRARY)


@cache
def _load(wanted: str) -> Library:
    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        lib = ffi.dlopen(wanted)
        path = _path_of(ffi, ffi.addressof(lib, "dqlite_node_create"))
    except (OSError, AttributeError) as cause:
        raise LibraryNotFound(
            f"cannot load {wanted}: {cause}; install libdqlite0 (Debian: apt-get install "
            "libdqlite0) or set DQLITE_LIB to its path"
        ) from cause
    library = Library(ffi, lib, path)
    os.register_at_fork(after_in_child=library.unlock)
    return library


def create(library: Library, node_id: int, address: str, directory: Path) -> Any:
    """
    Create the library's node object, for `dqlite_node_destroy`; the directory was looked at before.

    Raises:
        NodeError: If it cannot be created. Before 1.12 or so no other can be, then.
    """
    if library.is_poisoned:
        raise NodeError("an earlier node could not be created: use a new process")
    out = library.ffi.new("dqlite_node **")
    code = library.lib.dqlite_node_create(node_id, address.encode(), os.fsencode(directory), out)
    node = out[0]
    if code or not node:
        # Never destroyed: SQLite still knows its VFS. What is NULL was freed nevertheless.
        library.is_poisoned = not node
        reason = ""
        if node:
            said = library.lib.dqlite_node_errmsg(node)
            reason = ": " + bytes(library.ffi.string(said)).decode(errors="replace")
        raise NodeError(f"cannot create node {node_id} in {directory}{reason}", code)
    return node


def library_identity(name: str | None = None) -> LibraryIdentity:
    """Load libdqlite and say which build it is; raises like `load`."""
    return load(name).identity()


def config_multi_thread(library: Library | None = None) -> None:
    """
    Have SQLite, in all of this process, use its multi-thread mode: a connection a thread.

    Hardly ever needed: SQLite's default is stricter, and nodes run with it.

    Raises:
        RuntimeError: If SQLite is in use already, as it is once `sqlite3` is imported or a node
            was created.
    """
    _config_sqlite(library, _SQLITE_CONFIG_MULTITHREAD)


def config_single_thread(library: Library | None = None) -> None:
    """
    Have SQLite, in all of this process, use no locks, as go-dqlite does at start.

    It is faster by little, and only safe in a process that uses SQLite through nodes alone:
    Python's `sqlite3` is the same library. Where DQLITE_MULTITHREAD or GO_DQLITE_MULTITHREAD is
    set, nothing happens.

    Raises:
        RuntimeError: If SQLite is in use already.
    """
    if not any(os.environ.get(name) for name in _MULTI_THREAD_VARIABLES):
        _config_sqlite(library, _SQLITE_CONFIG_SINGLETHREAD)


def _config_sqlite(library: Library | None, option: int) -> None:
    code = (library or load()).lib.sqlite3_config(option)  # found through the library's own needs
    if code == _SQLITE_MISUSE:
        raise RuntimeError("SQLite is already initialized: configure it before its first use")
    if code:
        raise RuntimeError(f"SQLite refused to be configured ({code})")


def _path_of(ffi: FFI, function: Any) -> str:
    """Return the file that the loader has mapped at an address."""
    address = int(ffi.cast("uintptr_t", function))
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(bound, 16) for bound in line.split()[0].split("-"))
        if first <= address < last:
            return line.split(maxsplit=5)[5]
    raise OSError(f"nothing is mapped at {address:#x}")
