"""
System calls that Python 3.11 has no names for, and the constants they take.

Source: unshare(2), setns(2), mount(2), prctl(2), capset(2), capabilities(7), netdevice(7); numbers
from the kernel's headers.
"""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Collection

NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

DAC_READ_SEARCH = 2
"""The capability to search any folder, and to read any file, of the machine's root."""

_NOBODY = 65534
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES_MAX = 64
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move this process into new namespaces; new PIDs hold for its children."""
    _check(_libc.unshare(flags), "unshare")


def enter_network(ns: int) -> None:
    """Move this process into the network namespace behind a descriptor."""
    _check(_libc.setns(ns, NEW_NETWORK), "setns")


def appear_as_nobody() -> None:
    """Have this process and its children see their user, whoever it is, as nobody."""
    user, group = os.geteuid(), os.getegid()
    unshare(NEW_USER)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{_NOBODY} {user} 1")
    write("/proc/self/gid_map", f"{_NOBODY} {group} 1")


def keep_mounts_private() -> None:
    """Let no later mount of ours show outside. As root, /proc would be replaced for all."""
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")


def mount_proc() -> None:
    """Mount the /proc of the PID namespace we are in."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount /proc")


def mount_tmpfs(path: str, size_bytes: int) -> None:
    """Mount a disk of `size_bytes` in memory; only the mount namespace we are in sees it."""
    flags = _MS_NOSUID | _MS_NODEV
    options = f"size={size_bytes},mode=755".encode()
    _check(_libc.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options), f"mount tmpfs on {path}")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send us this signal when our parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def give_up_rights(kept: Collection[int] = ()) -> None:
    """
    Give up every capability but these, for good: neither exec nor a set-user-ID program adds any.

    Raises:
        OSError: When the kernel does not let us.
    """
    for number in range(_CAPABILITIES_MAX):
        if number not in kept:  # It fails for numbers that this kernel does not have.
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)  # Not before Linux 4.3.
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    bits = sum(1 << number for number in kept)
    words = [bits & 0xFFFFFFFF] * 3 + [bits >> 32] * 3  # Effective, permitted, inheritable.
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, struct.pack("6I", *words)), "capset")


def write(path: str, text: str) -> None:
    """Write to a file of the kernel's, in one call. Raises OSError that names the file."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def raise_interface(name: str, address: str | None = None, netmask: str = "255.255.255.0") -> None:
    """Give an interface of the network namespace we are in an IPv4 address, and switch it on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inquiry:
        if address is not None:
            fcntl.ioctl(inquiry, _SIOCSIFADDR, _request(name, _socket_address(address)))
            fcntl.ioctl(inquiry, _SIOCSIFNETMASK, _request(name, _socket_address(netmask)))
        answer = fcntl.ioctl(inquiry, _SIOCGIFFLAGS, _request(name, b""))
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(inquiry, _SIOCSIFFLAGS, _request(name, struct.pack("H", flags | _IFF_UP)))


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _request(name: str, payload: bytes) -> bytes:
    """A struct ifreq."""
    return struct.pack("16s24s", name.encode(), payload)


def _socket_address(address: str) -> bytes:
    """A struct sockaddr_in with port 0."""
    return struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(address))
