"""The text for Prometheus, read back by the rules of its documentation."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dqlite.commands.demo.metrics import BUCKETS_S, Family, Requests, Sample, exposition

_SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})?'
    r" (?P<value>-?[0-9.e+-]+|[+-]Inf|NaN)"
)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')
_UNQUOTED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text: str) -> dict[str, tuple[str, list[tuple[str, dict[str, str], float]]]]:
    """Families: name -> type and samples. Refuses what the documentation forbids."""
    assert text == "" or text.endswith("\n")
    found: dict[str, tuple[str, list[tuple[str, dict[str, str], float]]]] = {}
    family = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in found, "one TYPE line a family, and its samples together"
            found[family] = (kind, [])
            continue
        match = _SAMPLE.fullmatch(line)
        assert match is not None, line
        suffix = match["name"].removeprefix(family)
        kind, samples = found[family]
        assert suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
        labels = {
            name: re.sub(r"\\.", lambda escape: _UNQUOTED[escape[0]], value)
            for name, value in _LABEL.findall(match["labels"] or "")
        }
        samples.append((suffix, labels, float(match["value"])))
    return found


def test_requests_are_counted_and_measured() -> None:
    requests = Requests()
    requests.observe("GET", 200, 0.001)
    requests.observe("GET", 200, 3.0)
    requests.observe("PUT", 500, 60.0)
    families = parse(exposition(requests.families()))

    kind, counts = families["dqlite_demo_http_requests_total"]
    assert kind == "counter"
    assert counts == [
        ("", {"method": "GET", "code": "200"}, 2),
        ("", {"method": "PUT", "code": "500"}, 1),
    ]
    kind, samples = families["dqlite_demo_http_request_duration_seconds"]
    buckets = {labels["le"]: value for suffix, labels, value in samples if suffix == "_bucket"}
    assert kind == "histogram"
    assert len(buckets) == len(BUCKETS_S) + 1
    assert buckets["0.001"] == 1  # its end belongs to a bucket
    assert (buckets["2.5"], buckets["5.0"], buckets["10.0"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert [value for suffix, _, value in samples if suffix != "_bucket"] == [63.001, 3]


@given(st.lists(st.floats(0, 100), max_size=20))
def test_buckets_are_cumulative_and_the_last_is_the_count(durations: list[float]) -> None:
    requests = Requests()
    for seconds in durations:
        requests.observe("GET", 200, seconds)
    samples = parse(exposition(requests.families()))["dqlite_demo_http_request_duration_seconds"][1]
    buckets = [value for suffix, _, value in samples if suffix == "_bucket"]

    assert buckets == sorted(buckets)
    assert buckets == [
        *(sum(each <= end for each in durations) for end in BUCKETS_S),
        len(durations),
    ]


@given(st.text(), st.text())
def test_labels_and_help_read_as_they_were(label: str, help_text: str) -> None:
    family = Family("x", "gauge", help_text, (Sample(1, {"name": label}),))
    text = exposition([family])

    assert parse(text) == {"x": ("gauge", [("", {"name": label}, 1.0)])}
    assert text.count("\n") == 3
