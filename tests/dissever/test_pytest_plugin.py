"""The pytest plugin, as a user's project meets it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dissever import pytest_runs  # Before pytester remembers what was imported: it takes long.

pytest_plugins = ("pytester",)

VALID = """
import pytest

@pytest.mark.dissever(system="simulated", faults=[], time_limit=0.5)
def test_kv(run_plan):
    run_plan().assert_valid()
"""

INVALID = """
import pytest

@pytest.mark.dissever(system="simulated", time_limit=1, seed=7, options={"bug": "stale-read"})
def test_kv(run_plan):
    run_plan().assert_valid()
"""

STRICT = '''
[tool.pytest.ini_options]
addopts = """
--strict-markers --strict-config
-p no:cacheprovider -p no:hypothesispytest -p no:xdist -p no:timeout
"""
filterwarnings = ["error"]
'''


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose pytest is as strict as can be."""
    pytester.makepyprojecttoml(STRICT)
    return pytester


def marked(**settings: object) -> str:
    """A test that makes the run of this marker."""
    said = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return f"import pytest\n\n@pytest.mark.dissever({said})\ndef test_kv(run_plan):\n    " + (
        "run_plan().assert_valid()\n"
    )


def test_a_valid_run_passes_and_its_checkers_are_subtests(project: pytest.Pytester) -> None:
    project.makepyfile(VALID)
    ran = project.runpytest("-v")

    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["*dissever: 1 test, the seed of each: from its marker, or by*"])
    if tuple(map(int, pytest.__version__.split(".")[:1])) >= (9,):
        ran.stdout.fnmatch_lines(["*SUBPASSED*linearizable*"])
    assert (project.path / "runs" / "latest" / "plan.json").exists()


def test_an_invalid_run_fails_with_all_that_is_needed_to_repeat_it(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(INVALID)
    ran = project.runpytest()
    text = ran.stdout.str()
    plan = json.loads((project.path / "runs" / "latest" / "plan.json").read_text())
    seed = plan["options"]["seed"]

    assert ran.ret == 1
    assert f"NotValid: ✗ INVALID: stale-read (seed {seed})" in text
    assert "had overwritten that value" in text
    assert re.search(r"E +report +runs/simulated/register/.*/index.html", text)
    assert f"repeat  {plan['command']}" in text
    assert "run_plan().assert_valid()" in text
    assert "pytest_runs.py" not in text  # The traceback ends in the test.


@pytest.mark.parametrize("kind", ["repeat", "pytest"])
def test_both_lines_repeat_the_run_to_the_byte(project: pytest.Pytester, kind: str) -> None:
    project.makepyfile(INVALID)
    text = project.runpytest("--dissever-time-limit", "0.8").stdout.str()
    latest = project.path / "runs" / "latest"
    first = latest.resolve()
    (line,) = re.findall(rf"^E +{kind}  (.*)$", text, re.MULTILINE)
    program, *words = shlex.split(line)
    command = [sys.executable, "-m", program, *words]
    environment = {**os.environ, "PYTHONPATH": ""}
    again = subprocess.run(command, capture_output=True, check=False, env=environment)

    assert again.returncode == 1, again.stderr
    assert latest.resolve() != first
    assert (latest / "history.jsonl").read_bytes() == (first / "history.jsonl").read_bytes()


def test_an_unknown_run_fails(project: pytest.Pytester) -> None:
    project.makepyfile(marked(system="simulated", time_limit=3, ok_min=100_000, faults="kill"))
    ran = project.runpytest()

    ran.assert_outcomes(failed=ran.parseoutcomes()["failed"])
    ran.stdout.fnmatch_lines(["*NotValid: ? UNKNOWN*"])


def test_without_subtests_the_message_says_all(project: pytest.Pytester) -> None:
    project.makepyfile(INVALID)
    ran = project.runpytest("-p", "no:subtests")

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["*NotValid: ✗ INVALID: stale-read*"])


def test_a_verdict_that_nobody_asks_for_is_an_error_unless_it_is_valid(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(VALID.replace(".assert_valid()", ""))
    project.runpytest().assert_outcomes(passed=1)
    project.makepyfile(INVALID.replace(".assert_valid()", ""))
    ran = project.runpytest()

    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(["*did not ask for the verdict of its run*"])


def test_a_test_may_expect_an_anomaly(project: pytest.Pytester) -> None:
    body = "made = run_plan()\n    assert [a.name for a in made.anomalies][:1] == ['stale-read']"
    project.makepyfile(INVALID.replace("run_plan().assert_valid()", body))

    project.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"system": "simulated", "faults": "killl"}, "did you mean kill?"),
        ({"system": "simulated", "fault": "kill"}, "did you mean faults?"),
        ({"system": "simulatd"}, "did you mean simulated?"),
        ({"system": "simulated", "options": {"bag": 1}}, "--bag"),
        ({"system": "simulated", "options": 3}, "expected options as a dict, got 3"),
        ({"system": "simulated", "time_limit": -1}, "expected a duration from 0.1"),
        ({"system": "simulated", "nodes": {}}, "nodes: expected text, a number"),
        ({"system": "simulated", "seed": "x"}, "expected seed as a whole number"),
        ({"system": "simulated", "profile": "x"}, "expected the profile 'x'"),
        ({}, "expected a SYSTEM, got none"),
    ],
)
def test_wrong_usage_is_an_error_in_set_up_of_one_line(
    project: pytest.Pytester, settings: dict[str, object], told: str
) -> None:
    project.makepyfile(marked(**settings))
    ran = project.runpytest()
    text = ran.stdout.str()

    ran.assert_outcomes(errors=1)
    assert told in text
    assert "Traceback" not in text
    assert "During handling" not in text
    assert ".py:" not in text.partition("ERROR at setup")[2].partition("short test")[0]


def test_wrong_usage_in_the_test_is_an_error_too(project: pytest.Pytester) -> None:
    call = "run_plan(faults=['killl'])"
    project.makepyfile(VALID.replace("run_plan()", call))
    ran = project.runpytest()

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*did you mean kill?*"])


def test_an_environment_that_cannot_run_it_is_an_error_in_set_up(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(
        "import pytest\n"
        "from dissever.harness.missing import Missing\n"
        "from dissever.systems.simulated import SimulatedSystem\n"
        "SimulatedSystem.probe = lambda *_: Missing('no power', 'plug it in')\n"
    )
    project.makepyfile(VALID)
    ran = project.runpytest_subprocess()

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*simulated cannot run here: no power; plug it in*"])


@pytest.mark.parametrize("when", ["marker", "call", "step"])
def test_a_fault_that_cannot_strike_here_is_a_skip_with_its_reason(
    project: pytest.Pytester, when: str
) -> None:
    if when == "marker":
        code = VALID.replace("[], time_limit=0.5", "['limit-cpu'], time_limit=3")
    elif when == "call":
        code = VALID.replace("run_plan()", "run_plan(faults='limit-cpu', time_limit=3)")
    else:
        code = VALID.replace("run_plan().assert_valid()", "cluster.fault('limit-cpu').__enter__()")
        code = code.replace("run_plan", "cluster")
    project.makepyfile(code)
    ran = project.runpytest("-rs")

    ran.assert_outcomes(skipped=1)
    ran.stdout.fnmatch_lines(["*SKIPPED*limit-cpu*simulated*kernel*"])


def test_seeds_come_from_the_node_id_the_marker_or_the_command_line(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(
        test_a="""
        import pytest

        pytestmark = pytest.mark.dissever(system="simulated", time_limit=0.2)

        def test_one(run_plan):
            print("seed", run_plan().seed)

        def test_two(run_plan):
            print("seed", run_plan().seed)

        @pytest.mark.dissever(seed=5)
        def test_three(run_plan):
            print("seed", run_plan().seed)
        """
    )

    def seeds(*words: str) -> list[str]:
        return re.findall(r"seed (\d+)", project.runpytest("-s", *words).stdout.str())

    first, one, given = seeds(), seeds("-k", "one"), seeds("--dissever-seed", "7")
    repeated = seeds("--dissever-seed", "7", "--dissever-repeat", "2", "-k", "one")

    assert first[:1] == one
    assert len(set(first)) == 3
    assert first[2] == "5"
    assert given == ["7"] * 4  # The header says it, too.
    assert repeated == ["7", "7", "8"]


def test_repeated_runs_are_counted(project: pytest.Pytester) -> None:
    project.makepyfile(INVALID.replace("time_limit=1", "time_limit=0.3"))
    ran = project.runpytest("--dissever-repeat", "4", "--dissever-seed", "1")

    ran.stdout.re_match_lines([r".*::test_kv: \d of 4 runs valid.*"])


def test_closer_markers_are_laid_over_those_of_class_and_module(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.dissever(
            system="simulated", time_limit=0.3, nodes=3, options={"values": 5}
        )

        @pytest.mark.dissever(nodes=["a", "b"])
        class TestKv:
            @pytest.mark.dissever(workload="register", options={"bug": "stale-read"})
            def test_kv(self, run_plan):
                options = run_plan(rate=50).plan.options
                assert options.nodes == ("a", "b")
                assert options.rate == 50
                assert options.workload_options == {"values": 5}
                assert options.system_options["bug"] == "stale-read"
        """
    )
    ran = project.runpytest()

    assert "AssertionError" not in ran.stdout.str()


def test_configuration_and_profile_count_below_the_marker(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(
        STRICT
        + """
[tool.dissever]
system = "simulated"
nodes = 3
rate = 60
seed = 9

[tool.dissever.profiles.smoke]
time-limit = 0.3
rate = 70
"""
    )
    project.makepyfile(
        """
        import pytest

        @pytest.mark.dissever(nodes=4)
        def test_kv(run_plan):
            options = run_plan().plan.options
            print("found", len(options.nodes), options.rate, options.time_limit_s, options.seed)
        """
    )
    ran = project.runpytest("-s", "--dissever-profile", "smoke")

    ran.stdout.fnmatch_lines(["*found 4 70.0 0.3 9*"])


def test_runs_are_kept_in_the_rootdir_or_where_one_says(project: pytest.Pytester) -> None:
    project.mkdir("tests").joinpath("test_kv.py").write_text(VALID)
    project.runpytest("tests", "--dissever-runs", "elsewhere").assert_outcomes(passed=1)

    assert (project.path / "elsewhere" / "latest").exists()
    assert not (project.path / "runs").exists()


def test_a_path_in_a_marker_is_found_from_the_rootdir_and_from_the_test(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = (
        "from dissever.systems.simulated import SimulatedSystem\n\n"
        "class Mine(SimulatedSystem):\n    name = 'mine'\n"
    )
    tests = project.mkdir("tests")
    tests.joinpath("mine.py").write_text(mine)
    project.path.joinpath("other.py").write_text(mine)
    tests.joinpath("test_kv.py").write_text(
        VALID.replace('"simulated"', '"mine.py:Mine"')
        + VALID.replace('"simulated"', '"other.py:Mine"').replace("test_kv", "test_other")
    )
    monkeypatch.chdir(tests)

    project.runpytest().assert_outcomes(passed=2)


STEPS = """
import pytest

pytestmark = pytest.mark.dissever(system="simulated", nodes=3)

def test_steps(cluster):
    client = cluster.client("n1")
    with cluster.kill("n2"):
        client.write(1, 5)
    assert client.read(1) == 5

def test_fails(cluster):
    with cluster.kill("n2"):
        assert False

def test_two(cluster_factory):
    one, two = cluster_factory(), cluster_factory(nodes=["a", "b", "c"])
    one.client("n1").write(1, 5)
    assert two.client("a").read(1) is None

def test_lapsed(cluster):
    with cluster.pause("n1"):
        cluster.call(cluster.deployment.cluster.resume("n1"))
"""


def test_a_started_cluster_is_broken_step_by_step(project: pytest.Pytester) -> None:
    project.makepyfile(STEPS)
    ran = project.runpytest()

    ran.assert_outcomes(passed=2, failed=2)
    ran.stdout.fnmatch_lines(["nodes' logs  /*", "repeat * pytest *::test_fails --dissever-seed *"])
    ran.stdout.fnmatch_lines(["*DidNotHold: pause did not last*"])


def test_a_node_that_ends_by_itself_is_an_error(project: pytest.Pytester) -> None:
    project.makeconftest(
        "from dissever.harness.cluster import Exit\n"
        "from dissever.starting import StartedCluster\n"
        "StartedCluster.crashes = (Exit('n2', 1, -6, False),)\n"
    )
    project.makepyfile(
        'import pytest\n\n@pytest.mark.dissever(system="simulated")\n'
        "def test_steps(cluster):\n    pass\n"
    )
    ran = project.runpytest_subprocess()

    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(["n2 ended by itself, with status -6; its logs are in *"])


def test_junit_has_the_properties_and_tells_errors_from_failures(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(
        test_valid=VALID,
        test_invalid=INVALID,
        test_wrong=VALID.replace("[]", "['killl']"),
        test_late=VALID.replace("run_plan()", "run_plan(rate=-1)"),
        test_skipped=VALID.replace("[], time_limit=0.5", "['limit-cpu'], time_limit=3"),
    )
    project.runpytest("--junitxml", "junit.xml", "-o", "junit_family=xunit1")
    suite = ElementTree.parse(project.path / "junit.xml").getroot()[0]
    cases = {case.get("classname"): case for case in suite if case.get("name") == "test_kv"}
    properties = {
        each.get("name"): each.get("value") or "" for each in cases["test_invalid"].iter("property")
    }

    assert int(suite.get("errors", 0)) == 2
    assert len(cases) == 5
    assert cases["test_valid"].find("failure") is None
    assert cases["test_invalid"].find("failure") is not None
    assert cases["test_wrong"].find("error") is not None
    assert cases["test_late"].find("error") is not None
    assert cases["test_late"].find("failure") is None
    assert cases["test_skipped"].find("skipped") is not None
    assert properties["dissever-verdict"] == "invalid"
    assert properties["dissever-seed"].isdecimal()
    assert properties["dissever-run"].startswith("runs/simulated/register/")
    assert properties["dissever-repeat"].startswith("dissever test simulated")
    assert properties["dissever-pytest"].startswith("pytest test_invalid.py::test_kv")


def test_junit_of_the_default_family_has_what_its_schema_has(project: pytest.Pytester) -> None:
    project.makepyfile(INVALID)
    project.runpytest("--junitxml", "junit.xml")
    root = ElementTree.parse(project.path / "junit.xml").getroot()
    failures = [str(each.text) for each in root.iter("failure")]

    assert {part.tag for case in root.iter("testcase") for part in case} <= {"failure"}
    assert any("repeat  dissever test simulated" in text for text in failures)


def test_ctrl_c_in_a_run_ends_pytest(project: pytest.Pytester) -> None:
    project.makeconftest(
        "import dissever.pytest_runs as runs\n"
        "from dataclasses import replace\n"
        "made = runs.run\n"
        "runs.run = lambda *a, **k: replace(made(*a, **k), interruption='interrupted')\n"
    )
    project.makepyfile(VALID + VALID.replace("test_kv", "test_second"))
    ran = project.runpytest_subprocess()

    assert ran.ret == pytest.ExitCode.INTERRUPTED
    assert len([*project.path.glob("runs/simulated/register/*")]) == 1


def test_eight_tests_on_two_workers_leave_nothing_behind(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xdist")
    strict = STRICT.replace("-p no:xdist", "")
    pytester.makepyprojecttoml(strict)
    eight = "\n\n".join(
        VALID.replace("import pytest", "").replace("test_kv", f"test_{number}")
        for number in range(6)
    )
    steps = STEPS.partition("def test_fails")[0].replace("import pytest", "")
    pytester.makepyfile(test_runs="import pytest\n" + eight, test_steps="import pytest\n" + steps)
    pytester.makepyfile(test_invalid=INVALID)
    ran = pytester.runpytest_subprocess("-n", "2", "--dissever-seed", "7")
    runs = pytester.path / "runs"
    made = [*runs.glob("simulated/register/*")]

    outcomes = ran.parseoutcomes()
    assert outcomes["passed"] == 7
    assert outcomes["failed"] >= 1
    ran.stdout.fnmatch_lines(["*NotValid: ✗ INVALID: stale-read (seed 7)*"])
    assert len(made) == 7
    assert (runs / "latest").resolve() in made
    assert sorted(path.name for path in runs.iterdir()) == ["latest", "simulated"]


def test_nothing_of_the_harness_is_imported_for_who_does_not_use_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_nothing():
            ours = {{name for name in sys.modules if name.split(".")[0] == "dissever"}}
            assert {pytest_runs.__name__!r} not in ours
            assert ours <= {{"dissever", "dissever.pytest_plugin"}}, ours
        """
    )
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    ran.assert_outcomes(passed=1)
    assert "dissever:" not in ran.stdout.str()


@pytest.mark.cluster
def test_real_nodes_are_run_and_broken(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.dissever(system="dqlite", nodes=3)

        @pytest.mark.dissever(faults=["kill"], time_limit=5, fault_interval=2)
        def test_run(run_plan):
            run_plan().assert_valid()

        def test_steps(cluster):
            cluster.client("n1").write(1, 5)
            with cluster.partition("n3"):
                assert cluster.client("n1").read(1) == 5
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)
    made: Path = project.path / "runs" / "latest"

    assert json.loads((made / "plan.json").read_text())["options"]["backend"] == "namespaces"


def test_a_fault_that_the_system_can_never_meet_is_wrong_usage_and_no_skip(
    project: pytest.Pytester,
) -> None:
    project.path.joinpath("kv.py").write_text(
        "from dissever import Processes\n\n"
        "class Kv(Processes):\n"
        "    command = 'true'\n"
        "    client_ports = (1,)\n"
        "    class client:\n"
        "        def __init__(self, endpoint): pass\n"
        "        def read(self, key): pass\n"
        "        def write(self, key, value): pass\n"
        "        def compare_and_set(self, key, old, new): pass\n"
    )
    project.makepyfile(marked(system="kv.py", faults="partition:leader", time_limit=6))
    ran = project.runpytest()

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["the fault partition:leader cannot strike kv: *"])
