"""
libdqlite through cffi, without a compiler: functions are looked up when they are first asked for.

The library's version number is not trustworthy (1.11.1 says 1.10.0), so what a build can do is
found by asking for each symbol, and a build is identified by the hash of its file.

Environment: DQLITE_LIB is the path or name of the library; else the system's libdqlite.so.0.

Source: `dqlite/include/dqlite.h`.
"""

import hashlib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cffi import FFI

from dqlite.errors import CapabilityMissing, LibraryNotFound

LIBRARY = "libdqlite.so.0"

_DECLARATIONS = """
typedef struct dqlite_node dqlite_node;
typedef unsigned long long dqlite_node_id;
int dqlite_version_number(void);
int dqlite_node_create(dqlite_node_id id, const char *address, const char *data_dir,
                       dqlite_node **n);
void dqlite_node_destroy(dqlite_node *n);
int dqlite_node_set_bind_address(dqlite_node *n, const char *address);
const char *dqlite_node_get_bind_address(dqlite_node *n);
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
int dqlite_node_handover(dqlite_node *n);
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
    """

    def __init__(self, ffi: FFI, lib: Any, path: str) -> None:
        """Use `load`."""
        self.ffi = ffi
        self.lib = lib
        self.path = path
        self.is_poisoned = False

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
            raise CapabilityMissing(f"{self.path} has no {capability.value}") from cause

    def identity(self) -> LibraryIdentity:
        """Return path, hash and version number; reads the file."""
        digest = hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        return LibraryIdentity(self.path, digest, int(self.lib.dqlite_version_number()))


def load(name: str | None = None) -> Library:
    """
    Load libdqlite.

    Args:
        name: Path or soname; None for DQLITE_LIB, or else the system's.

    Raises:
        LibraryNotFound: If it cannot be loaded.
    """
    wanted = name or os.environ.get("DQLITE_LIB") or LIBRARY
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
    return Library(ffi, lib, path)


def library_identity(name: str | None = None) -> LibraryIdentity:
    """Load libdqlite and say which build it is; raises like `load`."""
    return load(name).identity()


def _path_of(ffi: FFI, function: Any) -> str:
    """Return the file that the loader has mapped at an address."""
    address = int(ffi.cast("uintptr_t", function))
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(bound, 16) for bound in line.split()[0].split("-"))
        if first <= address < last:
            return line.split(maxsplit=5)[5]
    raise OSError(f"nothing is mapped at {address:#x}")
