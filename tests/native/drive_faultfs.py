"""
Drives a mounted faultfs and a model of it; run inside namespaces of its own, see test_faultfs.

`drive_faultfs.py PROGRAM FOLDER SCENARIO SEED STEPS`: exits with 0 when all was as it should be.
"""

# ruff: noqa: PTH102, PTH104, PTH106, PTH208 - The calls themselves are what is tried.

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

SIZE_MAX = 40_000
FILES = 6


class Disk:
    """The mount, and what is below it."""

    def __init__(self, program: str, folder: Path, *, is_mapped: bool = False) -> None:
        self.program = program
        self.path = folder / "data"
        self.socket = folder / "control.sock"
        self.path.mkdir()
        words = ["mapped"] if is_mapped else []
        argv = [program, "mount", str(self.path), str(self.socket), *words]
        subprocess.run(argv, check=True)

    def ask(self, *words: object) -> dict[str, Any]:
        argv = [self.program, "send", str(self.socket), *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise OSError(0, done.stderr.strip())
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def close(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)


def outcome(act: Any) -> Any:
    """What an operation gives: its result, or the name of its error."""
    try:
        return act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def step(folder: Path, rng: Random) -> Any:
    """One random operation on a folder; the same for the same state of `rng`."""
    names = [f"f{i}" for i in range(FILES)] + ["d/f0", "d/f1"]
    path, other = folder / rng.choice(names), folder / rng.choice(names)
    start, length = rng.randrange(SIZE_MAX), rng.randrange(1, 9000)
    data = rng.randbytes(length)
    kind = rng.choice(["write"] * 6 + ["read"] * 4 + STEPS)

    def write(flags: int) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
        try:
            if flags & os.O_APPEND:
                return os.write(file, data)
            return os.pwrite(file, data, start)
        finally:
            os.close(file)

    def on_open_file(act: Any) -> Any:
        file = os.open(path, os.O_RDWR)
        try:
            return act(file)
        finally:
            os.close(file)

    def unlinked() -> bytes:
        def act(file: int) -> bytes:
            path.unlink()
            os.pwrite(file, data, start)
            return os.pread(file, length, start)

        return bytes(on_open_file(act))

    def mapped() -> bytes:
        def act(file: int) -> bytes:
            with mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as view:
                return view[:100]

        return bytes(on_open_file(act)) if path.stat().st_size else b""

    acts = {
        "write": lambda: write(0),
        "append": lambda: write(os.O_APPEND),
        "synced": lambda: write(os.O_DSYNC),
        "cut": lambda: write(os.O_TRUNC),
        "exclusive": lambda: write(os.O_EXCL),
        "read": lambda: path.read_bytes(),
        "truncate": lambda: os.truncate(path, start),
        "allocate": lambda: on_open_file(lambda file: os.posix_fallocate(file, start, length)),
        "fsync": lambda: on_open_file(os.fsync),
        "rename": lambda: os.rename(path, other),
        "link": lambda: os.link(path, other),
        "unlink": lambda: path.unlink(),
        "unlinked": unlinked,
        "mapped": mapped,
        "folder": lambda: os.mkdir(folder / "d"),
        "no folder": lambda: os.rmdir(folder / "d"),
        "list": lambda: sorted(os.listdir(folder)),
        "stat": lambda: (path.stat().st_size, path.stat().st_mode, path.stat().st_nlink),
        "mode": lambda: path.chmod(0o600 | start % 0o100),
    }
    return kind, outcome(acts[kind])


STEPS = [
    *("append", "synced", "cut", "exclusive", "truncate", "allocate", "fsync", "rename", "link"),
    *("unlink", "unlinked", "mapped", "folder", "no folder", "list", "stat", "mode"),
]


def same_as_a_folder(disk: Disk, seed: int, steps: int) -> None:
    """Threads do the same on the mount and on plain folders, and see the same."""
    failures: list[str] = []

    def play(number: int) -> None:
        plain = disk.path.parent / f"plain{number}"
        mounted = disk.path / f"part{number}"
        plain.mkdir()
        mounted.mkdir()
        rngs = Random(f"{seed}/{number}"), Random(f"{seed}/{number}")
        for at in range(steps):
            expected, seen = step(plain, rngs[0]), step(mounted, rngs[1])
            if expected != seen:
                failures.append(f"step {at} of {number}: {expected!r:.200} but {seen!r:.200}")
                return

    threads = [threading.Thread(target=play, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


class Model:
    """A file: what is in it, and what is durable of it."""

    def __init__(self) -> None:
        self.now = bytearray()
        self.durable = bytearray()

    @staticmethod
    def put(image: bytearray, start: int, data: bytes) -> None:
        if len(image) < start:
            image.extend(bytes(start - len(image)))
        image[start : start + len(data)] = data

    def resize(self, size: int) -> None:
        del self.now[size:]
        self.now.extend(bytes(size - len(self.now)))


def power_failures(disk: Disk, seed: int, steps: int) -> None:
    """After each power failure, every file is what was durable of it, to the byte."""
    rng = Random(seed)
    models = {f"f{i}": Model() for i in range(3)}
    for name in models:
        (disk.path / name).touch()
    files = {
        name: (
            os.open(disk.path / name, os.O_RDWR),
            os.open(disk.path / name, os.O_RDWR | os.O_DSYNC),
        )
        for name in models
    }
    lost = 0
    for _ in range(steps):
        name = rng.choice(sorted(models))
        model, (file, synced) = models[name], files[name]
        start, length = rng.randrange(6000), rng.randrange(1, 3000)
        data = rng.randbytes(length)
        match rng.choice(["write", "write", "write", "dsync", "dsync", "cut", "sync", "off"]):
            case "write":
                os.pwrite(file, data, start)
                model.put(model.now, start, data)
            case "dsync":
                os.pwrite(synced, data, start)
                model.put(model.now, start, data)
                model.put(model.durable, start, data)
            case "cut":
                os.ftruncate(file, start)
                model.resize(start)
            case "sync":
                os.fdatasync(file)
                model.durable[:] = model.now
            case "off":
                lost += disk.ask("off")["lost_bytes"]
                assert outcome(lambda f=file: os.pread(f, 1, 0)) == "EIO"  # type: ignore[misc]
                disk.ask("on")
                for each in models.values():
                    each.now[:] = each.durable
                for other, each in models.items():
                    seen = (disk.path / other).read_bytes()
                    assert seen == bytes(each.durable), (other, len(seen), len(each.durable))
        assert os.pread(file, SIZE_MAX, 0) == bytes(model.now), name
    for pair in files.values():
        for descriptor in pair:
            os.close(descriptor)
    assert lost > 0 or steps < 100
    disk.ask("off")
    disk.ask("on")
    assert disk.ask("counts")["kept_bytes"] == 0


def some_sectors_survive(disk: Disk, seed: int, steps: int) -> None:
    """With KEEP, each sector that is not durable is as before or as after, by the seed."""
    path = disk.path / "f"
    sectors = 400
    seen = []
    for _ in range(2):
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.write(file, b"o" * 512 * sectors)
        os.fsync(file)
        os.pwrite(file, b"n" * 512 * sectors, 0)
        answer = disk.ask("off", 0.5, seed)
        disk.ask("on")
        os.close(file)
        held = path.read_bytes()
        parts = [held[i : i + 512] for i in range(0, len(held), 512)]
        assert set(parts) == {b"o" * 512, b"n" * 512}
        assert answer["kept_sectors"] == parts.count(b"n" * 512)
        assert 0.35 * sectors < answer["kept_sectors"] < 0.65 * sectors
        seen.append(answer["kept_sectors"])
    assert steps


def rules_fail_what_they_name(disk: Disk, seed: int, steps: int) -> None:
    """Each kind of rule, on its operation, its path and its n-th call alone; gone when cleared."""
    good, bad = disk.path / "good", disk.path / "bad"

    def write(path: Path, data: bytes = b"x" * 1000) -> Any:
        return outcome(lambda: path.write_bytes(data))

    disk.ask("rule", "e", "do=fail", "errno=ENOSPC", "op=write", "path=ba*", "from=2", "times=2")
    assert [write(bad) for _ in range(4)] == [1000, "ENOSPC", "ENOSPC", 1000]
    assert write(good) == 1000
    assert disk.ask("counts")["rules"]["e"] == {"seen": 4, "hits": 2, "bytes": 0}
    disk.ask("clear")
    assert write(bad) == 1000

    for error in ("EIO", "0"):
        write(good, b"a" * 1000)
        disk.ask("rule", "t", "do=tear", f"errno={error}", f"seed={seed}")
        assert write(good, b"b" * 1000) == (1000 if error == "0" else "EIO")
        disk.ask("clear", "t")
        assert set(good.read_bytes()) <= {ord("b")}
        assert len(good.read_bytes()) < 1000

    write(good, bytes(100_000))
    disk.ask("rule", "f", "do=flip", "op=read", "probability=0.1", f"seed={seed}")
    first, second = good.read_bytes(), good.read_bytes()
    assert first == second != bytes(100_000)
    ones = sum(byte.bit_count() for byte in first)
    assert 5 < ones < 50
    disk.ask("clear")
    assert good.read_bytes() == bytes(100_000)

    disk.ask("rule", "w", "do=flip", "op=write", f"seed={seed}")
    write(good, bytes(512))
    disk.ask("clear")
    assert sum(byte.bit_count() for byte in good.read_bytes()) == 1

    hits = []
    for _ in range(2):
        disk.ask("rule", "p", "do=fail", "op=write", "probability=0.5", f"seed={seed}")
        hits.append([write(good) for _ in range(30)])
        disk.ask("clear")
    assert hits[0] == hits[1]
    assert 5 < hits[0].count("EIO") < 25

    disk.ask("rule", "s", "do=slow", "ms=5000", "op=fsync")
    file = os.open(good, os.O_RDWR)
    waiting = threading.Thread(target=os.fsync, args=(file,))
    waiting.start()
    while disk.ask("counts")["rules"]["s"]["hits"] == 0:
        pass
    assert waiting.is_alive()
    disk.ask("clear", "s")
    waiting.join(2.0)
    assert not waiting.is_alive()
    os.close(file)

    for words in ("x", "x do=fly", "x do=fail op=swim", "x do=slow ms=90000", "X do=fail", "x do"):
        try:
            disk.ask("rule", *words.split())
        except OSError:
            continue
        raise AssertionError(words)
    assert steps


def mapped_files_see_power_failures(disk: Disk, seed: int, steps: int) -> None:
    """A shared mapping shows what is written; after a power failure the file is what was synced."""
    path = disk.path / "f"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, b"o" * 8192)
    os.fsync(file)
    with mmap.mmap(file, 8192, mmap.MAP_SHARED, mmap.PROT_READ) as shared:
        os.pwrite(file, b"n" * 4096, 4096)
        assert shared[4096:] == b"n" * 4096
        assert disk.ask("counts")["calls"]["write"] == 2
        disk.ask("off")
        disk.ask("on")
    os.close(file)
    again = os.open(path, os.O_RDONLY)
    with mmap.mmap(again, 8192, mmap.MAP_SHARED, mmap.PROT_READ) as shared:
        assert shared[:] == b"o" * 8192
    os.close(again)
    assert path.read_bytes() == b"o" * 8192
    assert steps or seed


def locks_end_with_their_file(disk: Disk, seed: int, steps: int) -> None:
    """A lock is gone when the file is closed, even if what was written was never synced."""
    path = disk.path / "f"
    for _ in range(3):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, b"unsynced")
        other = os.open(path, os.O_RDWR)
        assert outcome(lambda f=other: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)) == "EAGAIN"  # type: ignore[misc]
        os.close(other)
        assert disk.ask("counts")["unsynced_files"] == 1
        os.close(file)
        for _ in range(200):  # The kernel lets go of a file a little later.
            last = os.open(path, os.O_RDWR)
            seen = outcome(lambda f=last: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB))  # type: ignore[misc]
            os.close(last)
            if seen is None:
                break
            time.sleep(0.01)
        assert seen is None, seen
    assert steps or seed


MAPPED = "mapped_"
"""How the scenarios begin on a mount that allows shared mappings."""

SCENARIOS = {
    each.__name__: each
    for each in (
        same_as_a_folder,
        power_failures,
        some_sectors_survive,
        rules_fail_what_they_name,
        mapped_files_see_power_failures,
        locks_end_with_their_file,
    )
} | {f"{MAPPED}same_as_a_folder": same_as_a_folder}


def main(program: str, folder: str, scenario: str, seed: str, steps: str) -> None:
    disk = Disk(program, Path(folder), is_mapped=scenario.startswith(MAPPED))
    try:
        SCENARIOS[scenario](disk, int(seed), int(steps))
    finally:
        disk.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
