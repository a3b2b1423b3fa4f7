"""
Scripts that run on a node's host by `HostCommands.command`, in whatever Python is there.

They act and look where the harness cannot reach: on a disk that only the host sees, under a clock
that only its processes have. Each prints one line of JSON. The long ones end by themselves, so that
nothing is left behind when the harness is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dissever.nemesis.abilities import WithDisks, WithHosts
from dissever.nemesis.host_commands import run_python

__all__ = [
    "BALLOON",
    "BURST_S",
    "CUT_ENDS",
    "MEND_ENDS",
    "PROBE_WRITE",
    "READ_ALL",
    "READ_CLOCK",
    "READ_UNSYNCED",
    "REMOVE",
    "TURN_CLOCK",
    "WRITE_UNSYNCED",
    "environment_arguments",
    "probe_write",
    "run",
]

BURST_S = 8.0
"""A script that goes on is started again after this time, which is below the limit of requests."""


async def run(cluster: WithHosts, node: str, script: str, *arguments: object) -> dict[str, Any]:
    """
    Run one of the scripts, and read what it prints.

    Raises:
        OSError: When it fails, with the end of what it said.
    """
    printed: dict[str, Any] = msgspec.json.decode(
        await run_python(cluster, node, script, *arguments)
    )
    return printed


async def probe_write(cluster: WithDisks, node: str, pages: int) -> dict[str, Any]:
    """
    Write to a node's disk, once: see `PROBE_WRITE`.

    Raises:
        OSError: When the host cannot run it.
    """
    return await run(cluster, node, PROBE_WRITE, cluster.disk(node).path, pages, 1)


def environment_arguments(environment: Mapping[str, str]) -> str:
    """What `READ_CLOCK` takes as its environment."""
    return msgspec.json.encode(environment).decode()


PROBE_WRITE = """
import errno, json, os, sys, time
path, size, tries = sys.argv[1] + "/.probe", int(sys.argv[2]) * 4096, int(sys.argv[3])

def attempt():
    probe = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(probe, 0, size)
        os.write(probe, bytes(size))
        os.fsync(probe)
    finally:
        os.close(probe)

failure, count = None, 0
while count < tries and failure is None:
    count, began = count + 1, time.monotonic()
    try:
        attempt()
    except OSError as error:
        failure = errno.errorcode.get(error.errno, str(error.errno))
took_ms = round((time.monotonic() - began) * 1000, 3)
try:
    os.unlink(path)
except OSError:
    pass
print(json.dumps({"error": failure, "tries": count, "took_ms": took_ms}))
"""
"""
`DIRECTORY PAGES TRIES`: allocates and writes them and syncs, TRIES times or until that fails; which
error that met, after how many tries, and how long the last one took.
"""

BALLOON = """
import errno, json, os, sys, time
path, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
balloon = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
block, written, refusals, refills = bytes(65536), 0, 0, 0
while time.monotonic() < until:
    try:
        if not os.fstat(balloon).st_nlink:
            break
        written += os.write(balloon, block)
        refills += refusals > 0
    except OSError as error:
        if error.errno == errno.ESTALE:
            break  # faultfs says this of a file that is gone.
        if error.errno != errno.ENOSPC:
            raise
        refusals += 1
        time.sleep(0.001)
print(json.dumps({"bytes": written, "refusals": refusals, "refills": refills}))
"""
"""`FILE SECONDS`: takes all space there is or comes to be, until time is up or it is removed."""

REMOVE = """
import json, os, sys
try:
    os.unlink(sys.argv[1])
except FileNotFoundError:
    pass
print(json.dumps({}))
"""
"""`FILE`: removes it, if it is there."""

TURN_CLOCK = """
import json, os, sys, time
path, mode, seconds, step_s, value = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])

def read():
    with open(path) as file:
        return file.read()

def state():
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns

def write(offset_s):
    draft = "%s.%d" % (path, os.getpid())  # Two may turn it at once, for a moment.
    with open(draft, "w") as file:
        file.write("%+.6f\\n" % offset_s)
        file.flush()
        status = os.fstat(file.fileno())
    os.rename(draft, path)
    return status.st_ino, status.st_mtime_ns

last, start = (write(value) if mode == "jump" else state()), time.monotonic()
first_s, turns = float(read()), 0
while mode != "jump" and (passed := time.monotonic() - start) < seconds and state() == last:
    turns += 1
    last = write(value * (turns % 2) if mode == "strobe" else first_s + value * passed)
    time.sleep(step_s)
print(json.dumps({"turns": turns}))
"""
"""
`FILE jump|strobe|drift SECONDS STEP_S VALUE`: sets a clock's offset to VALUE; or to VALUE and 0 by
turns; or moves it by VALUE for each second. The last two go on until time is up or somebody else
wrote the file.
"""

READ_CLOCK = """
import glob, json, os, subprocess, sys, time
environment, reads, gap_s = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
own, file = os.readlink("/proc/self/ns/net"), environment["FAKETIME_TIMESTAMP_FILE"]
processes = []
for path in glob.glob("/proc/[0-9]*"):
    try:
        with open(path + "/environ", "rb") as given, open(path + "/maps") as maps:
            if os.readlink(path + "/ns/net") == own and file.encode() in given.read():
                processes.append("libfaketime" in maps.read())
    except OSError:
        continue

def look():
    before = time.time_ns()
    date = subprocess.run(["date", "+%s %N"], env={**os.environ, **environment},
                          capture_output=True, text=True, check=True).stdout.split()
    after = time.time_ns()
    offset_ns = int(date[0]) * 1000000000 + int(date[1]) - (before + after) // 2
    return after / 1e9, offset_ns / 1e6, (after - before) / 2e6

seen = []
for number in range(reads):
    if number:
        time.sleep(gap_s)
    seen.append(min((look() for _ in range(3 if reads == 1 else 1)), key=lambda each: each[2]))
print(json.dumps({"at_s": [each[0] for each in seen], "offset_ms": [each[1] for each in seen],
                  "within_ms": max(each[2] for each in seen), "processes": processes}))
"""
"""
`ENVIRONMENT READS GAP_S`: what a process under the clock takes for the time, less what it is, each
right to `within_ms`; and whether each process that was started under the clock still uses it.
"""

READ_ALL = """
import errno, glob, json, sys, time
began, failure, count = time.monotonic(), None, 0
for path in sorted(glob.glob(sys.argv[1] + "/*")):
    try:
        with open(path, "rb", buffering=0) as file:
            while got := file.read(1 << 20):
                count += len(got)
    except FileNotFoundError:
        continue  # It is the system that comes and goes with its files.
    except OSError as error:
        failure = errno.errorcode.get(error.errno, str(error.errno))
took_ms = round((time.monotonic() - began) * 1000, 3)
print(json.dumps({"error": failure, "bytes": count, "took_ms": took_ms}))
"""
"""`DIRECTORY …`: reads every file; which error that met."""

CUT_ENDS = """
import glob, json, os, shutil, sys
folder, share, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
paths = [path for path in glob.glob(folder + "/*") if os.path.getsize(path) > 1]
seen = {}
for path in sorted(paths, key=os.path.getmtime, reverse=True)[:count]:
    was = os.path.getsize(path)
    size = was - max(1, int(was * share))
    name = os.path.basename(path)
    shutil.copyfile(path, folder + "/.whole-" + name)
    os.truncate(path, size)
    seen[name] = {"was": was, "is": os.path.getsize(path)}
print(json.dumps({"files": seen}))
"""
"""`DIRECTORY SHARE FILES`: cuts that share off the ends of the newest files, kept whole."""

MEND_ENDS = """
import glob, json, os, shutil, sys
restored = []
for path in glob.glob(sys.argv[1] + "/.whole-*"):
    if sys.argv[2] == "restore":
        name = os.path.basename(path)[len(".whole-"):]
        shutil.copyfile(path, sys.argv[1] + "/" + name)  # Whose file it is stays as it was.
        restored.append(name)
    os.unlink(path)
print(json.dumps({"restored": sorted(restored)}))
"""
"""`DIRECTORY restore|forget`: puts whole files back, or drops them."""

WRITE_UNSYNCED = """
import json, os, sys
file = os.open(sys.argv[1] + "/.power", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
os.write(file, b"o" * 65536)
os.fsync(file)
os.pwrite(file, b"n" * 65536, 0)
print(json.dumps({}))
"""
"""`DIRECTORY`: 128 sectors of a file are synced, then written again and not synced."""

READ_UNSYNCED = """
import json, os, sys
path, old, new = sys.argv[1] + "/.power", 0, 0
try:
    with open(path, "rb") as file:
        while sector := file.read(512):
            old += sector == b"o" * 512
            new += sector == b"n" * 512
    os.unlink(path)
except FileNotFoundError:
    pass
print(json.dumps({"old_sectors": old, "new_sectors": new}))
"""
"""`DIRECTORY`: how many of those sectors are as they were synced, and as they were written last."""
