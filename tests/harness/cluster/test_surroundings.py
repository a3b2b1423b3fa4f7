"""What is in the way of namespaces, read from files of a machine that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissever.harness.cluster import surroundings

APPARMOR = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
CLONE = "proc/sys/kernel/unprivileged_userns_clone"
COUNT = "proc/sys/user/max_user_namespaces"
GENERIC = "6.8.0-31-generic"


def machine(root: Path, **files: str) -> Path:
    """A folder that holds some files, as if it were the root of a machine."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({APPARMOR: "1\n", COUNT: "63"}, "AppArmor takes all rights from the user namespaces"),
        ({APPARMOR: "1\n"}, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ({APPARMOR: "0\n", CLONE: "0\n"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ({CLONE: "1\n", COUNT: "0\n"}, "sudo sysctl -w user.max_user_namespaces=10000"),
        ({APPARMOR: "0\n", CLONE: "1\n", COUNT: "63\n"}, "run as root, or where user, network"),
        ({}, "run as root, or where user, network"),
    ],
)
def test_switch_that_is_in_the_way_is_named(
    files: dict[str, str], expected: str, tmp_path: Path
) -> None:
    root = machine(tmp_path, **files)

    assert expected in surroundings.remedy(root, is_root=False, release=GENERIC)


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
@pytest.mark.parametrize(
    ("is_root", "expected"),
    [(True, "--cap-add SYS_ADMIN --cap-add NET_ADMIN"), (False, "seccomp=unconfined")],
)
def test_container_says_how_it_must_be_started(
    mark: str, is_root: bool, expected: str, tmp_path: Path
) -> None:
    said = surroundings.remedy(machine(tmp_path, **{mark: ""}), is_root=is_root, release=GENERIC)

    assert said.startswith("this is a container: start it with ")
    assert expected in said
    assert said.endswith("--backend containers")


def test_switch_for_ordinary_users_is_not_in_the_way_of_root(tmp_path: Path) -> None:
    root = machine(tmp_path, **{".dockerenv": "", APPARMOR: "1"})

    assert "sysctl" not in surroundings.remedy(root, is_root=True, release=GENERIC)


def test_user_of_a_container_is_sent_to_the_machine_outside(tmp_path: Path) -> None:
    root = machine(tmp_path, **{".dockerenv": "", APPARMOR: "1"})
    said = surroundings.remedy(root, is_root=False, release=GENERIC)

    assert said.endswith("userns=0 on the machine that runs this container")


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("4.4.0-19041-Microsoft", 1),
        ("5.15.153.1-microsoft-standard-WSL2", 2),
        ("4.19.128-microsoft-standard", 2),
        (GENERIC, 0),
        ("6.5.0-1021-azure", 0),
    ],
)
def test_kernel_of_windows_is_known(release: str, version: int) -> None:
    assert surroundings.wsl(release) == version


def test_first_wsl_is_told_to_become_the_second(tmp_path: Path) -> None:
    said = surroundings.remedy(tmp_path, is_root=False, release="4.4.0-19041-Microsoft")

    assert said.startswith("WSL 1 has no Linux kernel: wsl --set-version")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("sys/fs/cgroup/cgroup.controllers", "version 2"),
        ("sys/fs/cgroup/memory/tasks", "version 1"),
        ("sys/fs/other", ""),
    ],
)
def test_version_of_control_groups_is_found(file: str, expected: str, tmp_path: Path) -> None:
    assert surroundings.control_groups(machine(tmp_path, **{file: ""})) == expected


def test_surroundings_are_described_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings.platform, "release", lambda: "5.15-microsoft-standard-WSL2")
    root = machine(tmp_path, **{"run/.containerenv": ""})

    assert surroundings.described(root) == (
        "5.15-microsoft-standard-WSL2, WSL 2, in a container (Podman)"
    )
