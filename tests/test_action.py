"""The action of GitHub and our workflows: read as a runner reads them, and executed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INPUT = re.compile(r"\binputs\.([\w-]+)")
SWITCH = "sys/kernel/apparmor_restrict_unprivileged_userns"
CONTEXTS = {"github", "inputs", "job", "matrix", "runner", "steps", "strategy", "needs"}

_spec = importlib.util.spec_from_file_location("workflow", Path(__file__).with_name("workflow.py"))
assert _spec is not None
assert _spec.loader is not None
workflow = importlib.util.module_from_spec(_spec)
sys.modules["workflow"] = workflow  # Its dataclass looks for its module there.
_spec.loader.exec_module(workflow)

PYTHON = """#!/bin/bash
# A python3 whose environments have this checkout, and whose pip only notes what it is asked.
if [[ "$1 $2" == "-m venv" ]]; then
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  cp "$ASKED/dissever" "$3/bin/dissever"
elif [[ "$1 $2" == "-m pip" ]]; then
  shift 3
  printf '%s\\n' "$@" >"$ASKED/pip"
else
  exec {python} "$@"
fi
"""
DISSEVER = """#!{python}
import dissever.cli
dissever.cli.main()
"""
NOTES = """#!/bin/bash
echo "$(basename "$0") $*" >>"$ASKED/calls"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A runner of which sudo, apt-get and python3 are stubs: they note what they are asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stubs = {
        "python3": PYTHON.replace("{python}", sys.executable),
        "sudo": NOTES.replace("\n#", "\n", 1) + 'shift; exec "$@"\n',
        **dict.fromkeys(("apt-get", "sysctl", "nft", "ip"), NOTES),
        "id": "#!/bin/bash\necho 1001\n",
    }
    for name, text in stubs.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "dissever").write_text(DISSEVER.replace("{python}", sys.executable))
    (tmp_path / "dissever").chmod(0o755)
    switch = tmp_path / SWITCH
    switch.parent.mkdir(parents=True)
    switch.write_text("0\n")
    return tmp_path


@pytest.fixture
def act(machine: Path) -> Callable[..., Any]:
    """Execute the action; `event` is what started the job."""

    def run(event: str = "push", **inputs: str) -> Any:
        environment = {
            "PATH": f"{machine / 'bin'}:{os.environ['PATH']}",
            "ASKED": str(machine),
            "GITHUB_EVENT_NAME": event,
        }
        replaced = {"/proc/sys": str(machine / "sys")}
        return workflow.run_action(ACTION, machine, environment, replaced, **inputs)

    return run


@pytest.fixture
def prepare(act: Callable[..., Any], machine: Path) -> Callable[..., Any]:
    """Execute the action with a `dissever` that does nothing."""
    (machine / "dissever").write_text("#!/bin/bash\n")
    return act


def calls(machine: Path) -> list[str]:
    path = machine / "calls"
    return path.read_text().splitlines() if path.exists() else []


def documents() -> list[Path]:
    return [ACTION, *WORKFLOWS]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# What stands in the files.


@pytest.mark.parametrize("path", documents(), ids=named)
def test_scripts_are_bash(path: Path) -> None:
    for step in workflow.steps_of(workflow.load(path)):
        if "run" in step:
            done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True)

            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", documents(), ids=named)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    scripts = [step.get("run", "") for step in workflow.steps_of(workflow.load(path))]

    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("path", documents(), ids=named)
def test_expressions_name_what_there_is(path: Path) -> None:
    document = workflow.load(path)
    ids = {step["id"] for step in workflow.steps_of(document) if "id" in step}
    texts = list(workflow.expressions(document))

    for text in texts:
        unquoted = re.sub(r"'[^']*'", "", text)
        names = re.findall(r"(?<![\w.-])([a-z]+)\.([\w-]+)", unquoted)
        assert {context for context, _ in names} <= CONTEXTS, text
        assert {name for context, name in names if context == "steps"} <= ids, text


def test_inputs_that_are_used_are_declared_and_the_other_way_round() -> None:
    document = workflow.load(ACTION)
    used = {name for text in workflow.expressions(document) for name in INPUT.findall(text)}

    assert used == set(document["inputs"])
    assert all(each["description"] for each in document["inputs"].values())


def test_variables_of_a_script_come_from_its_step() -> None:
    for step in workflow.steps_of(workflow.load(ACTION)):
        script, given = step.get("run", ""), set(step.get("env", {}))
        wanted = re.findall(r"\b(?:(?:INPUT|ACTION)_[A-Z_]+|FOLDER|STATUS|VERDICT)\b", script)

        assert set(wanted) == given


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_our_workflows_use_the_action_with_inputs_that_it_has(path: Path) -> None:
    inputs = set(workflow.load(ACTION)["inputs"])
    for step in workflow.steps_of(workflow.load(path)):
        if step.get("uses") == "./":
            assert set(step["with"]) <= inputs


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_our_workflows_have_few_rights_no_secrets_and_an_end(path: Path) -> None:
    document = workflow.load(path)

    assert document["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()
    assert [name for name, job in document["jobs"].items() if "timeout-minutes" not in job] == []


def test_our_workflow_runs_the_action_without_privileges() -> None:
    jobs = workflow.load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    ours = [job for job in jobs.values() if any(s.get("uses") == "./" for s in job["steps"])]

    assert ours
    assert all("container" not in job for job in ours)


# What the scripts do.


def test_valid_runs_of_several_seeds(act: Callable[..., Any], machine: Path) -> None:
    ran = act(system="simulated", time_limit="5", seeds="1,\n2", faults="kill")

    assert ran.failed == []
    assert ran.outputs["verdict"] == "valid"
    assert ran.outputs["exit-status"] == "0"
    runs = Path(ran.outputs["runs"])
    result = json.loads((runs / "result.json").read_text())
    assert [run["seed"] for run in result["runs"]] == [1, 2]
    assert (runs / "junit.xml").is_file()
    assert not (runs / "latest").exists()
    assert ran.used[-1][0].startswith("actions/upload-artifact@")
    assert ran.used[-1][1]["path"] == str(runs)
    assert ran.used[-1][1]["name"] == "dissever-job-0"
    assert "### ✓ dissever: valid (2 valid)" in ran.summary
    assert (runs / "summary.md").read_text() == ran.summary


def test_invalid_run_fails_the_job_after_everything_is_kept(act: Callable[..., Any]) -> None:
    ran = act(system="simulated", time_limit="2", args="--bug stale-read", seeds="1")
    lines = ran.log.splitlines()

    assert ran.failed == ["The verdict: 1"]
    assert ran.outputs["verdict"] == "invalid"
    assert Path(ran.outputs["directory"], "index.html").is_file()
    assert len(ran.used) == 1
    # GitHub obeys no command while a system can print; the annotation comes after that.
    (stop, resume, error) = [n for n, line in enumerate(lines) if line.startswith("::")]
    token = lines[stop].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines[resume] == f"::{token}::"
    assert resume > stop + 3
    assert lines[error].startswith("::error title=stale-read%3A simulated")
    assert "%0Arepeat: dissever test simulated " in lines[error]


@pytest.mark.parametrize(
    ("event", "wanted", "count"),
    [
        ("pull_request", "auto", 2),
        ("push", "auto", 1),
        ("push", "true", 2),
        ("pull_request", "false", 1),
    ],
)
def test_pull_requests_have_one_more_run_with_a_random_seed(
    prepare: Callable[..., Any], machine: Path, event: str, wanted: str, count: int
) -> None:
    (machine / "dissever").write_text('#!/bin/bash\necho "$*" >>"$ASKED/arguments"\n')
    prepare(event, system="simulated", seeds="1", random_seed=wanted)
    found = re.findall(r"--seed=(\d+)", (machine / "arguments").read_text())

    assert len(found) == count
    assert found[0] == "1"


def test_wrong_usage_is_said_once_and_fails(prepare: Callable[..., Any], machine: Path) -> None:
    (machine / "dissever").write_text("#!/bin/bash\necho wrong usage; exit 64\n")
    ran = prepare(system="nosuch", seeds="1,2,3")

    assert ran.failed == ["The verdict: 64"]
    assert ran.outputs["verdict"] == "failed"
    assert ran.log.count("wrong usage") == 1
    assert "::error title=dissever::no test was run: exit status 64" in ran.log


def test_run_that_ends_early_does_not_hide_behind_valid_ones(
    act: Callable[..., Any], machine: Path
) -> None:
    """The second seed is no number: dissever refuses it, and leaves no run directory."""
    ran = act(system="simulated", time_limit="1", seeds="1 two")

    assert ran.failed == ["The verdict: 64"]
    assert ran.outputs["verdict"] == "failed"


HOSTILE = "$(touch owned) `touch owned` ; touch owned # && touch owned"


def test_inputs_are_never_executed(act: Callable[..., Any], machine: Path) -> None:
    apart = {"working-directory", "python-version", "prepare"}
    texts = set(workflow.load(ACTION)["inputs"]) - apart
    ran = act(**{name.replace("-", "_"): HOSTILE for name in texts})

    assert ran.outputs["exit-status"] == "64"
    assert list(machine.rglob("owned")) == []


def test_every_input_comes_to_its_option(prepare: Callable[..., Any], machine: Path) -> None:
    (machine / "dissever").write_text('#!/bin/bash\nprintf "%s\\n" "$@" >>"$ASKED/arguments"\n')
    prepare(
        system="my kv.py",
        workload="set",
        faults="kill",
        nodes="3",
        time_limit="9",
        profile="smoke",
        backend="simulated",
        args="--rate 50 --client 'my client.py'",
    )

    asked = (machine / "arguments").read_text().splitlines()
    assert asked[:12] == [
        *("test", "my kv.py", "--profile=smoke", "--workload=set", "--faults=kill", "--nodes=3"),
        *("--time-limit=9", "--backend=simulated", "--rate", "50", "--client", "my client.py"),
    ]
    assert [word for word in asked if word.startswith("--seed")] == []  # The profile says it.


def test_own_source_is_installed_with_what_else_is_asked(
    prepare: Callable[..., Any], machine: Path
) -> None:
    prepare(system="simulated", pip_install="redis -r 'my requirements.txt'")

    asked = (machine / "pip").read_text().splitlines()
    assert asked[2:] == [str(ROOT), "redis", "-r", "my requirements.txt"]


def test_version_of_the_index_is_installed(prepare: Callable[..., Any], machine: Path) -> None:
    prepare(system="simulated", version="1.2.3")

    assert (machine / "pip").read_text().splitlines()[2:] == ["dissever==1.2.3"]


def test_apparmor_is_told_to_allow_user_namespaces(
    prepare: Callable[..., Any], machine: Path
) -> None:
    (machine / SWITCH).write_text("1\n")
    prepare(system="simulated")

    asked = "sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0"
    assert calls(machine) == [f"sudo -n {asked}", asked]


@pytest.mark.parametrize(("restricted", "wanted"), [("0", "true"), ("1", "false")])
def test_runner_that_is_ready_or_not_to_be_prepared_stays_as_it_is(
    restricted: str, wanted: str, prepare: Callable[..., Any], machine: Path
) -> None:
    (machine / SWITCH).write_text(f"{restricted}\n")
    prepare(system="simulated", prepare=wanted)

    assert calls(machine) == []


def test_python_of_ones_own_choice_is_set_up(prepare: Callable[..., Any]) -> None:
    ran = prepare(system="simulated", python_version="3.13")

    assert ran.used[0] == ("actions/setup-python@v5", {"python-version": "3.13"})


# What docs/ci.md says.


def examples() -> list[dict[str, Any]]:
    """The YAML of the page, as it would be in a file."""
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    found = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [workflow.parse(each) for each in found]


def test_workflows_of_the_page_use_the_action_with_inputs_that_it_has() -> None:
    inputs = set(workflow.load(ACTION)["inputs"])
    pages = [each for each in examples() if "jobs" in each]
    steps = [step for page in pages for step in workflow.steps_of(page)]
    ours = [step for step in steps if step["uses"] == "OWNER/dissever@v1"]

    assert len(pages) == len(ours) == 2
    assert all(set(step["with"]) <= inputs for step in ours)
    assert all(page["permissions"] == {"contents": "read"} for page in pages)
    assert all("timeout-minutes" in job for page in pages for job in page["jobs"].values())


def test_page_explains_every_input_and_output() -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    action = workflow.load(ACTION)

    assert [
        name for kind in ("inputs", "outputs") for name in action[kind] if f"`{name}`" not in text
    ] == []


def test_job_of_gitlab_is_one() -> None:
    (page,) = [each for each in examples() if "jobs" not in each]
    (job,) = page.values()

    known = {
        "image",
        "timeout",
        "variables",
        "before_script",
        "script",
        "after_script",
        "artifacts",
    }
    assert set(job) <= known
    assert set(job["artifacts"]) == {"when", "expire_in", "paths", "reports"}
    assert job["artifacts"]["reports"] == {"junit": "junit.xml"}
    for line in (*job["before_script"], *job["script"], *job["after_script"]):
        assert subprocess.run(["bash", "-n"], input=line, text=True).returncode == 0


def test_commands_of_the_page_are_understood(tmp_path: Path) -> None:
    """Each line of GitLab's job and of the page's shell, with `simulated` instead of a file."""
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (job,) = next(each for each in examples() if "jobs" not in each).values()
    (script,) = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [*job["script"], *job["after_script"], *script.splitlines()]
    commands = [line for line in lines if line.startswith("dissever")]
    assert len(commands) == 4
    for line in commands:
        quick = line.replace("mykv.py", "simulated -t 3 -n 3").replace("-t 60 ", "")
        quick = quick.replace("--seeds 1-3", "--seeds 1").replace("1,2,3,", "1,")
        done = subprocess.run(
            ["bash", "-c", f'dissever() {{ "{sys.executable}" -m dissever "$@"; }}; {quick}'],
            cwd=tmp_path,
            env={**os.environ, "CI_PIPELINE_IID": "7"},
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 2), done.stdout + done.stderr

    result = json.loads((tmp_path / "result.json").read_text())
    fields = set(re.findall(r"`(?:runs\[\]\.)?(\w+)(?:\[\])?`", text))
    assert {*result, *result["runs"][0]} <= fields
    assert (tmp_path / "junit.xml").is_file()
