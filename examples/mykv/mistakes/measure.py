"""
Which fault finds which mistake: python mistakes/measure.py [SEEDS]

Each row is a copy of the server with one of the patches in this folder. Each cell says how many of
the runs were invalid; SEEDS is as for `dissever test --seeds`, by default 1-10.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MISTAKES = (None, "no-majority", "no-flush", "no-sync")
FAULTS = {
    "no fault": [],
    "partition": ["--faults", "partition"],
    "kill": ["--faults", "kill"],
    "all-killed.yaml": ["--plan", "all-killed.yaml"],
    "blackout.yaml": ["--plan", "blackout.yaml"],
}


def main():
    seeds = sys.argv[1] if len(sys.argv) > 1 else "1-10"
    print(f"| server | {' | '.join(FAULTS)} |")
    print(f"| --- |{' --- |' * len(FAULTS)}", flush=True)
    for mistake in MISTAKES:
        with tempfile.TemporaryDirectory() as folder:
            skipped = shutil.ignore_patterns("runs", ".*")
            copy = shutil.copytree(PROJECT, Path(folder) / "mykv", ignore=skipped)
            if mistake:
                patch = (copy / "mistakes" / f"{mistake}.patch").read_bytes()
                subprocess.run(["patch", "-s", "server.py"], input=patch, cwd=copy, check=True)
            cells = [cell(copy, seeds, words) for words in FAULTS.values()]
        print(f"| {mistake or 'mended'} | {' | '.join(cells)} |", flush=True)


def cell(project, seeds, words):
    """How many of the runs were invalid, and unknown if any was."""
    dissever = [sys.executable, "-m", "dissever", "test"]
    command = [*dissever, *words, "--time-limit", "6", "--seeds", seeds, "--json"]
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, check=False)
    verdicts = [run["verdict"] for run in json.loads(done.stdout)["runs"]]
    invalid, unknown = verdicts.count("invalid"), verdicts.count("unknown")
    return f"{invalid} of {len(verdicts)}" + (f" ({unknown} unknown)" if unknown else "")


if __name__ == "__main__":
    main()
