"""What faults of packets ask of the kernel, what they read back, and what they make of a burst."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final, cast

import pytest

from dissever.nemesis import FAULTS, Environment, Fault
from dissever.nemesis.packets import rules, shaping
from dissever.nemesis.packets.bursts import HEADERS_BYTES, Burst, Size, summary
from dissever.nemesis.packets.fault import FAULTS as PACKETS
from dissever.nemesis.packets.fault import Measure
from dissever.nemesis.packets.shaping import Means
from dissever.nemesis.targets import Choice

SETTINGS = {
    "packet-loss": {"percent": 10},
    "packet-rate": {"rate_kb_s": 100},
    "netem-delay": {"delay_ms": 100, "jitter_ms": 20},
    "netem-loss": {"percent": 20, "burst_packets": 5},
    "netem-duplicate": {"percent": 50},
    "netem-corrupt": {"percent": 5},
    "netem-reorder": {"percent": 25, "delay_ms": 10},
    "netem-rate": {"rate_kb_s": 100},
}


PACKET: Final = {fault.name: fault for fault in PACKETS}


def words_of(fault: Fault) -> Any:
    return cast(Any, fault.make).keywords["words"]


def measure_of(name: str) -> Measure:
    return cast(Any, PACKET[name].make).keywords["measure"]  # type: ignore[no-any-return]


def test_every_fault_has_its_words_for_the_kernel() -> None:
    words = {name: " ".join(words_of(fault)(SETTINGS[name])) for name, fault in PACKET.items()}

    assert words == {
        "packet-loss": "",
        "packet-rate": "rate 800000bit burst 5000 latency 400ms",
        "netem-delay": "delay 100ms 20ms",
        "netem-loss": "loss gemodel 5.0000% 20.0000%",
        "netem-duplicate": "duplicate 50%",
        "netem-corrupt": "corrupt 5%",
        "netem-reorder": "delay 10ms reorder 25%",
        "netem-rate": "rate 800000bit",
    }


def test_a_tbf_is_one_for_each_peer_and_netem_one_for_all() -> None:
    """Kernels of 2025 refuse a second netem beside one that duplicates."""
    addresses = ["10.0.0.2", "10.0.0.3"]

    assert shaping.shaping(Means.NETEM, ("duplicate", "5%"), addresses) == (
        "qdisc add dev eth0 root handle 1: htb default 0\n"
        "filter add dev eth0 parent 1: protocol ip prio 1 u32"
        " match ip protocol 17 0xff match ip dport 9 0xffff flowid 1:\n"
        "class add dev eth0 parent 1: classid 1:1 htb rate 10gbit quantum 60000\n"
        "qdisc add dev eth0 parent 1:1 handle 11: netem limit 10000 duplicate 5%\n"
        "filter add dev eth0 parent 1: protocol ip prio 2 u32"
        " match ip dst 10.0.0.2/32 flowid 1:1\n"
        "filter add dev eth0 parent 1: protocol ip prio 2 u32"
        " match ip dst 10.0.0.3/32 flowid 1:1\n"
    )
    tbf = shaping.shaping(Means.TBF, ("rate", "8bit"), addresses).splitlines()
    assert [line.split()[4:7] for line in tbf if line.startswith("qdisc")] == [
        ["root", "handle", "1:"],
        ["parent", "1:1", "handle"],
        ["parent", "1:2", "handle"],
    ]
    assert [line.split()[-1] for line in tbf if "match ip dst" in line] == ["1:1", "1:2"]


# Printed by tc of iproute2 6.1.0 while packet-rate was in force on a link.
TBF_LISTING = """[
{"kind":"htb","handle":"1:","root":true,"refcnt":2,"options":{"r2q":10,"default":"0",
 "direct_packets_stat":117,"direct_qlen":1000},"bytes":450711,"packets":430,"drops":3,
 "overlimits":883,"requeues":0,"backlog":0,"qlen":0},
{"kind":"tbf","handle":"11:","parent":"1:1","options":{"rate":1000000,"burst":20000,"lat":400000},
 "bytes":432600,"packets":300,"drops":2,"overlimits":883,"requeues":0,"backlog":0,"qlen":0}]"""


def test_counters_are_those_of_our_disciplines_alone() -> None:
    assert shaping.counters(TBF_LISTING) == {
        "disciplines": 1,
        "packets": 300,
        "bytes": 432600,
        "drops": 2,
        "overlimits": 883,
    }
    assert shaping.is_shaped(TBF_LISTING)


# Printed by tc of iproute2 6.1.0 on Debian's kernel 6.1.0-56 after a burst of 300 through
# netem-loss (10 %, bursts of 5), with two peers.
NETEM_LISTING = """[
{"kind":"htb","handle":"1:","root":true,"refcnt":2,"options":{"r2q":10,"default":"0",
 "direct_packets_stat":0,"direct_qlen":1000},"bytes":60984,"packets":252,"drops":48,
 "overlimits":0,"requeues":0,"backlog":0,"qlen":0},
{"kind":"netem","handle":"11:","parent":"1:1","options":{"limit":10000,"loss-gemodel":
 {"p":0.022222,"r":0.2,"1-h":1,"1-k":0},"ecn":false,"gap":0},"bytes":60984,"packets":252,
 "drops":48,"overlimits":0,"requeues":0,"backlog":0,"qlen":0}]"""


def test_netem_counts_what_it_let_through_and_what_it_lost() -> None:
    assert shaping.is_shaped(NETEM_LISTING)
    assert shaping.counters(NETEM_LISTING) == {
        "disciplines": 1,
        "packets": 252,
        "bytes": 60984,
        "drops": 48,
        "overlimits": 0,
    }


@pytest.mark.parametrize(
    "listing",
    [
        "",
        "[]",
        '[{"kind":"noqueue","handle":"0:","root":true,"refcnt":2,"options":{}}]',
        '[{"kind":"netem","handle":"8001:","root":true,"refcnt":2,"options":{"limit":1000}}]',
    ],
)
def test_what_others_shape_is_not_ours(listing: str) -> None:
    assert not shaping.is_shaped(listing)
    assert shaping.counters(listing)["disciplines"] == 0


# Printed by nft 1.0.6 while packet-loss was in force on a link.
LOSS_LISTING = """{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
{"table": {"family": "inet", "name": "dissever_loss", "handle": 3}},
{"chain": {"family": "inet", "table": "dissever_loss", "name": "input", "handle": 1,
 "type": "filter", "hook": "input", "prio": -10, "policy": "accept"}},
{"rule": {"family": "inet", "table": "dissever_loss", "chain": "input", "handle": 2, "expr": [
 {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 9}},
 {"accept": null}]}},
{"rule": {"family": "inet", "table": "dissever_loss", "chain": "input", "handle": 3,
 "comment": "came 10.77.0.5", "expr": [
 {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
  "right": "10.77.0.5"}}, {"counter": {"packets": 300, "bytes": 68400}}]}},
{"rule": {"family": "inet", "table": "dissever_loss", "chain": "input", "handle": 4,
 "comment": "lost 10.77.0.5", "expr": [
 {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
  "right": "10.77.0.5"}},
 {"match": {"op": "<", "left": {"numgen": {"mode": "random", "mod": 10000, "offset": 0}},
  "right": 4000}}, {"counter": {"packets": 122, "bytes": 27816}}, {"drop": null}]}}]}"""


def test_losses_are_counted_for_each_peer() -> None:
    assert rules.loss_counters(LOSS_LISTING) == {"10.77.0.5": {"came": 300, "lost": 122}}


def test_a_share_of_a_percent_is_kept_and_probes_pass() -> None:
    text = rules.loss_ruleset(2.5, ["10.0.0.2"])

    assert "numgen random mod 10000 < 250 counter drop" in text
    assert text.index("udp dport 9 accept") < text.index("ip saddr")


SIZE = Size(count=4, bytes=1000 - HEADERS_BYTES, gap_us=0)


def test_a_burst_shows_what_became_of_each_datagram() -> None:
    # 2 overtakes 1, 1 comes twice, 3 is lost.
    arrivals = [(0, 1000, 500), (2, 2000, 700), (1, 3000, 1700), (1, 3500, 2200)]
    seen = summary(SIZE, arrivals, damaged=1)

    assert (seen.sent, seen.arrived, seen.lost) == (4, 3, 1)
    assert (seen.duplicated, seen.reordered, seen.damaged) == (1, 1, 1)
    assert seen.delay_ms == (0.5, 0.7)


def test_throughput_is_that_of_the_later_half() -> None:
    """The first two were let through at once; then one of 1000 bytes comes every 10 ms."""
    arrivals = [(0, 0, 0), (1, 0, 0), (2, 10_000, 0), (3, 20_000, 0)]
    seen = summary(SIZE, arrivals, 0)

    assert (seen.kb_s, seen.pace_kb_s) == (100.0, 100.0)
    assert summary(SIZE, arrivals[:2], 0).kb_s is None
    assert summary(SIZE, [], 0).delay_ms is None


def test_a_sender_that_was_held_up_is_no_limit() -> None:
    """100 µs from each to the next, and one pause of a second."""
    times = [100 * i + (1_000_000 if i > 30 else 0) for i in range(40)]
    burst = summary(Size(40, SIZE.bytes, 0), [(i, time, 0) for i, time in enumerate(times)], 0)

    assert burst.kb_s is not None
    assert burst.kb_s < 20
    assert burst.pace_kb_s == 10_000
    assert not measure_of("packet-rate").acts({"rate_kb_s": 500}, burst)


def seen(**fields: object) -> Burst:
    """A burst of 300 to which nothing has happened but what is given."""
    plain: dict[str, object] = {
        "sent": 300,
        "arrived": 300,
        "duplicated": 0,
        "reordered": 0,
        "damaged": 0,
        "delay_ms": (0.1, 0.1),
        "kb_s": 5000.0,
        "pace_kb_s": 50000.0,
    }
    return Burst(**{**plain, **fields})  # type: ignore[arg-type]


SEEN = {
    "packet-loss": seen(arrived=270),
    "packet-rate": seen(arrived=60, kb_s=101.0, pace_kb_s=103.0),
    "netem-delay": seen(delay_ms=(80.2, 100.4)),
    "netem-loss": seen(arrived=240),
    "netem-duplicate": seen(duplicated=140),
    "netem-corrupt": seen(arrived=286, damaged=14),
    "netem-reorder": seen(reordered=200),
    "netem-rate": seen(kb_s=99.0, pace_kb_s=100.0),
}


def test_each_effect_is_seen_and_its_absence_too() -> None:
    for fault, settings in SETTINGS.items():
        measure = measure_of(fault)
        size = measure.size(settings)
        assert not measure.acts(settings, seen()), fault
        assert measure.acts(settings, SEEN[fault]), fault
        assert size.count * size.bytes < 1 << 20

    assert SETTINGS.keys() == SEEN.keys() == PACKET.keys()


def test_a_link_that_carries_nothing_is_no_evidence_of_loss() -> None:
    nothing = seen(arrived=0, delay_ms=None, kb_s=None, pace_kb_s=None)

    assert not any(
        measure_of(fault).acts(settings, nothing) for fault, settings in SETTINGS.items()
    )


@pytest.mark.parametrize(("drops_a_look", "is_so"), [(5, True), (0, False)])
def test_a_queue_that_nodes_have_filled_still_limits_its_link(
    cluster: Any, drops_a_look: int, is_so: bool
) -> None:
    """No datagram of a burst arrives then; it is the queue's own account that shows why."""
    link = ("n1", "n2")
    drops = itertools.count(0, drops_a_look)

    class Queue:
        async def counters(self, means: Means, links: Any) -> Any:
            return {"rules": 1, "packets": 9, "overlimits": 9, "drops": next(drops)}

    class Full:
        async def send(self, links: Any, size: Size) -> Any:
            return {link: seen(arrived=0, delay_ms=None, kb_s=None, pace_kb_s=None)}

    fault = FAULTS["packet-rate"]
    struck: Any = fault.make(fault, Environment(cluster, cluster, 1))
    struck._now = Choice(("n1",), links=(link,)), {"rate_kb_s": 20.0}
    struck._packets, struck._bursts = Queue(), Full()

    assert asyncio.run(struck.look_again()).is_so is is_so
