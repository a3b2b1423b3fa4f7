"""
What machine this is (WSL, a container, macOS), and what would let it make namespaces.

The kernel says only that a call is not permitted. Which switch, container or sandbox is in the way
stands in files, which are read afterwards. Each remedy was tried: those of containers with Docker
20.10, as root and as an ordinary user.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")

_SWITCHES: Final = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "0",
        "AppArmor takes all rights from the user namespaces of ordinary users",
    ),
    ("kernel/unprivileged_userns_clone", "1", "the kernel gives ordinary users no user namespaces"),
    ("user/max_user_namespaces", "10000", "the kernel allows no user namespaces"),
)
"""Settings under /proc/sys that forbid user namespaces unless they are as here (the last: > 0)."""

_OF_CONTAINERS: Final = {
    True: "--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined",
    False: "--security-opt seccomp=unconfined --security-opt systempaths=unconfined"
    " --security-opt apparmor=unconfined",
}
"""Whether the process is root -> the options that `docker run` needs."""

_MARKS: Final = (
    (".dockerenv", "Docker"),
    ("run/.containerenv", "Podman"),
    ("var/run/secrets/kubernetes.io", "Kubernetes"),
)


def container(root: Path = ROOT) -> str:
    """The kind of container that this process is in, as far as its files say; else empty."""
    return next((kind for mark, kind in _MARKS if (root / mark).exists()), "")


def wsl(release: str) -> int:
    """Which version of the Windows Subsystem for Linux has such a kernel; 0 for none."""
    if "microsoft" not in release.lower():
        return 0
    return 2 if "wsl2" in release.lower() or "microsoft-standard" in release else 1


def described(root: Path = ROOT) -> str:
    """The kernel's release, with what it runs in: `6.8.0-31-generic, in a container (Docker)`."""
    release = platform.release()
    parts = [release if sys.platform == "linux" else f"{platform.system()} {release}"]
    if version := wsl(release):
        parts.append(f"WSL {version}")
    if kind := container(root):
        parts.append(f"in a container ({kind})")
    return ", ".join(parts)


def control_groups(root: Path = ROOT) -> str:
    """`version 2`, `version 1`, or empty where none are mounted."""
    folder = root / "sys/fs/cgroup"
    if (folder / "cgroup.controllers").exists():
        return "version 2"
    if (folder / "memory").is_dir() or (folder / "cpu").is_dir():
        return "version 1"
    return ""


def remedy(root: Path = ROOT, *, is_root: bool | None = None, release: str | None = None) -> str:
    """
    What would let this user make namespaces, in one line, where it was tried in vain.

    Args:
        root: Where /proc and the marks of containers are read.
        is_root: None: ask the kernel.
        release: The kernel's; None: ask the kernel.
    """
    is_root = os.geteuid() == 0 if is_root is None else is_root
    kind = container(root)
    of_container = (
        f"this is a container: start it with {_OF_CONTAINERS[is_root]}, or run dissever outside of"
        " it with --backend containers"
    )
    if (switch := _switch(root, is_root=is_root)) is not None:
        return f"{switch} on the machine that runs this container" if kind else switch
    if kind:
        return of_container
    if wsl(platform.release() if release is None else release) == 1:
        return "WSL 1 has no Linux kernel: wsl --set-version DISTRIBUTION 2, in Windows"
    return "run as root, or where user, network and PID namespaces are allowed"


def _switch(root: Path, *, is_root: bool) -> str | None:
    """The command for the first switch that stands wrong, and why it matters."""
    for name, value, why in _SWITCHES[-1:] if is_root else _SWITCHES:  # The others spare root.
        with contextlib.suppress(OSError):
            now = (root / "proc/sys" / name).read_text().strip()
            if now == "0" != value or (now == "1" and value == "0"):
                return f"{why}: sudo sysctl -w {name.replace('/', '.')}={value}"
    return None
