"""Grudges as text for nft, and its counters read back."""

from __future__ import annotations

from dissever.harness.cluster import filters as cuts


def test_ruleset_replaces_the_whole_table_in_one_transaction() -> None:
    text = cuts.ruleset(["10.77.0.2", "10.77.0.3"])

    assert text.splitlines()[:3] == [
        "add table inet dissever",
        "delete table inet dissever",
        "table inet dissever {",
    ]
    assert text.count("counter drop") == 2
    assert "ip saddr 10.77.0.3 counter drop" in text


def test_ruleset_of_nobody_leaves_no_table() -> None:
    assert cuts.ruleset([]).splitlines() == [
        "add table inet dissever",
        "delete table inet dissever",
    ]


def test_counters_are_read_from_what_nft_prints() -> None:
    listing = """{"nftables": [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "dissever", "handle": 1}},
        {"chain": {"family": "inet", "table": "dissever", "name": "input", "handle": 1}},
        {"rule": {"family": "inet", "table": "dissever", "chain": "input", "handle": 2, "expr": [
            {"match": {"op": "==", "right": "10.77.0.2",
                       "left": {"payload": {"protocol": "ip", "field": "saddr"}}}},
            {"counter": {"packets": 7, "bytes": 420}},
            {"drop": null}]}}]}"""

    assert cuts.packets_by_address(listing) == {"10.77.0.2": 7}
