"""Logs as tools leave them: settings and results of several lines, and ends that are cut off."""

from __future__ import annotations

import pytest

from dissever.native.load import Loaded, LoadError, load

OPERATIONS = "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n"
PREFIX = "2023-04-05 12:00:01,123{GMT}\tINFO\t[jepsen worker 0] jepsen.util: "


def _loaded(text: str, *, keyed: bool = False) -> Loaded:
    return load(text.encode(), keyed=keyed)


@pytest.mark.parametrize(
    "other",
    [
        '{:nodes ["n1" "n2"]\n :concurrency 5}',
        "{:valid? false,\n :op\n {:process 4,\n  :type :ok}}",
        '[{:op\n   {:value nil, :process 1, :type :info, :f :read}}],\n {:x "}"}',
        "{:value nil, :process 1, :type :info, :f :read}],",
        '{"settings": {"rate": 5}}',
        "{:valid? true}",
    ],
)
def test_settings_and_results_in_a_log_are_no_events(other: str) -> None:
    before = _loaded(f"Running test:\n{other}\n{PREFIX}{OPERATIONS}")
    after = _loaded(f"{OPERATIONS}{other}\n")

    assert (before.events, after.events) == (2, 2)


def test_events_that_are_maps_in_a_log_are_read() -> None:
    lines = "started\n{:process 0 :type :invoke :f :read}\n{:process 0 :type :ok :f :read :value 1}"

    assert _loaded(lines).events == 2


@pytest.mark.parametrize(
    "end",
    ["1", "1\t", "1\t:", "1\t:inv", "1\t:invoke", f"{PREFIX}1\t:ok", ":nemesis\t:in", "{:pro"],
)
def test_last_line_that_ends_in_an_operation_is_cut(end: str) -> None:
    loaded = _loaded(OPERATIONS + end)

    assert (loaded.events, loaded.cut_line) == (2, 3)


@pytest.mark.parametrize(
    "torn", ["{:process 1, :type :ok, :f :re", '{"process": 1, "type": "invoke", {"process": 2}']
)
def test_event_that_is_torn_is_refused(torn: str) -> None:
    with pytest.raises(LoadError, match="line 3"):
        _loaded(f"{OPERATIONS}{torn}\n{OPERATIONS}")


@pytest.mark.parametrize(
    "end", ["Everything looks good!", "took 12", "we see :invoke", "1\t:inv\n"]
)
def test_last_line_of_something_else_is_not_cut(end: str) -> None:
    assert _loaded(OPERATIONS + end).cut_line is None


@pytest.mark.parametrize(
    "value", ["#jepsen.independent/tuple [3 1]", "^{:a 1} [3 1]", "^:a #b [3 1]", "[3 1]"]
)
def test_pair_may_have_a_tag_or_metadata(value: str) -> None:
    event = "{{:process 0, :type {}, :f :write, :value {}}}\n"
    loaded = _loaded(event.format(":invoke", value) + event.format(":ok", value), keyed=True)
    line = f"0 :invoke :write {value}\n0 :ok :write {value}\n"

    assert loaded.columns.keys[loaded.columns.key[0]] == 3
    assert loaded.columns.values[loaded.columns.value_in[0]] == 1
    assert _loaded(line, keyed=True).columns.keys == loaded.columns.keys
