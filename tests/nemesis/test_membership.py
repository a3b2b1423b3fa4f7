"""Members change, and the system's own list says so; nothing else is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dissever.harness.system import Role
from dissever.nemesis import Environment, make_nemeses

FAULTS = ("remove-member", "replace-member", "demote", "transfer")


class Members:
    """A list of members, which may lie."""

    def __init__(self, nodes: tuple[str, ...], lies: bool = False) -> None:
        self.held = dict.fromkeys(nodes, Role.VOTER)
        self.lies = lies
        self.leads = nodes[0]
        self.calls: list[str] = []

    async def leader(self) -> str | None:
        return self.leads

    async def roles(self) -> Mapping[str, Role]:
        return dict(self.held)

    async def remove(self, node: str) -> None:
        self._do("remove", node, lambda: self.held.pop(node, None))

    async def add(self, node: str, role: Role) -> None:
        self._do("add", node, lambda: self.held.update({node: role}))

    async def assign(self, node: str, role: Role) -> None:
        self._do("assign", node, lambda: self.held.update({node: role}))

    async def transfer(self, node: str) -> None:
        self._do("transfer", node, lambda: setattr(self, "leads", node))

    async def wipe(self, node: str) -> None:
        self.calls.append(f"wipe {node}")

    async def start(self, node: str) -> None:
        self.calls.append(f"start {node}")

    def _do(self, verb: str, node: str, change: Any) -> None:
        self.calls.append(f"{verb} {node}")
        if not self.lies:
            change()


def nemesis_of(cluster: Any, members: Members | None, fault: str) -> Any:
    return make_nemeses([fault], Environment(cluster, cluster, 1, members=members))


def steps(fault: str) -> tuple[tuple[str, str, Any], tuple[str, str, Any]]:
    return (fault, f"start-{fault}", {"targets": ["n2"]}), (fault, f"stop-{fault}", None)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_is_seen_in_the_list_and_taken_back(cluster: Any, play: Any, fault: str) -> None:
    members = Members(cluster.nodes)
    struck, healed = play(nemesis_of(cluster, members, fault), *steps(fault))

    assert struck.value["targets"] == healed.value["targets"] == ["n2"]
    assert struck.value["evidence"]["held"] is True
    assert healed.value["evidence"]["healed"] is True
    assert members.held == dict.fromkeys(cluster.nodes, Role.VOTER)


@pytest.mark.parametrize("fault", ["remove-member", "demote", "transfer"])
def test_a_change_that_the_list_does_not_show_did_not_hold(
    cluster: Any, play: Any, fault: str
) -> None:
    nemeses = nemesis_of(cluster, Members(cluster.nodes, lies=True), fault)
    (struck,) = play(nemeses, steps(fault)[0])

    assert struck.value["evidence"]["held"] is False
    assert "did not take hold" in struck.error


@pytest.mark.parametrize("fault", ["remove-member", "replace-member"])
def test_a_node_comes_back_with_nothing_and_only_once_it_was_removed(
    cluster: Any, play: Any, fault: str
) -> None:
    members = Members(cluster.nodes)
    play(nemesis_of(cluster, members, fault), *steps(fault))

    assert members.calls[-4:] == ["remove n2", "wipe n2", "start n2", "add n2"]
    assert "kill n2" in cluster.calls


@pytest.mark.parametrize("fault", FAULTS)
def test_without_members_there_is_nothing_to_change(cluster: Any, fault: str) -> None:
    missing = nemesis_of(cluster, None, fault)[fault].probe()

    assert missing.reason == "the system has no members to change"


def test_several_nodes_lead_in_turn(cluster: Any, play: Any) -> None:
    members = Members(cluster.nodes)
    value = {"targets": ["n2", "n3"]}
    (told,) = play(nemesis_of(cluster, members, "transfer"), ("transfer", "start-transfer", value))

    assert told.value["evidence"]["held"] is True
    assert told.value["evidence"]["nodes"]["n3"]["from"] == "n2"


def test_transfer_waits_for_the_end_of_an_election(cluster: Any, play: Any) -> None:
    class Electing(Members):
        asked = 0

        async def leader(self) -> str | None:
            self.asked += 1
            return None if self.calls and 3 < self.asked < 7 else self.leads

    struck, healed = play(
        nemesis_of(cluster, Electing(cluster.nodes), "transfer"), *steps("transfer")
    )

    assert struck.value["evidence"]["held"] is True
    assert healed.value["evidence"]["healed"] is True


def test_transfer_after_which_nobody_leads_did_not_heal(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaderless(Members):
        asked = 0

        async def leader(self) -> str | None:
            self.asked += 1
            return self.leads if self.asked < 3 else None

    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    _, healed = play(nemesis_of(cluster, Leaderless(cluster.nodes), "transfer"), *steps("transfer"))

    assert healed.value["evidence"]["healed"] is False


def test_transfer_while_nobody_leads_is_left_out(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaderless(Members):
        async def leader(self) -> str | None:
            return None

    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    struck, healed = play(
        nemesis_of(cluster, Leaderless(cluster.nodes), "transfer"), *steps("transfer")
    )

    assert struck.value["targets"] == []
    assert struck.value["skipped"] == "no node led for 0.1 s"
    assert struck.value["evidence"]["held"] is None
    assert healed.value["evidence"]["healed"] is True


class Deaf(Members):
    """Its leader stays, and does not hand over."""

    async def transfer(self, node: str) -> None:
        self.calls.append(f"transfer {node}")


def test_a_leader_that_stays_and_does_not_hand_over_leaves_no_evidence(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    struck, _ = play(nemesis_of(cluster, Deaf(cluster.nodes), "transfer"), *steps("transfer"))

    assert struck.value["targets"] == ["n2"]
    assert "skipped" not in struck.value
    assert struck.value["evidence"]["held"] is False


@pytest.mark.parametrize(
    ("disturb", "why"),
    [
        (lambda c: c.drop({"n1": frozenset({"n2"})}), "n1 and n2 did not hear each other"),
        (lambda c: c.kill("n1"), "n1 was gone"),
        (lambda c: c.pause("n2"), "n2 was paused"),
    ],
)
def test_transfer_that_another_fault_keeps_from_happening_is_left_out(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch, disturb: Any, why: str
) -> None:
    class Disturbed(Deaf):
        async def transfer(self, node: str) -> None:
            await disturb(cluster)

    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    struck, _ = play(nemesis_of(cluster, Disturbed(cluster.nodes), "transfer"), *steps("transfer"))

    assert struck.value["skipped"] == why
    assert struck.value["evidence"]["held"] is None


@pytest.mark.parametrize(
    ("role", "why"), [(None, "n2 was no member"), (Role.STAND_BY, "n2 was a stand-by")]
)
def test_transfer_to_a_node_without_a_vote_is_left_out(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch, role: Role | None, why: str
) -> None:
    members = Deaf(cluster.nodes)
    members.held.pop("n2")
    members.held |= {} if role is None else {"n2": role}
    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    struck, _ = play(nemesis_of(cluster, members, "transfer"), *steps("transfer"))

    assert struck.value["skipped"] == why
    assert struck.value["evidence"]["held"] is None


class Refusing(Members):
    """It changes members, and then takes no change back: as one whose leader hangs."""

    async def assign(self, node: str, role: Role) -> None:
        if role is Role.VOTER:
            raise TimeoutError("no change within 15 s: nobody leads")
        await super().assign(node, role)

    async def add(self, node: str, role: Role) -> None:
        raise TimeoutError("no change within 15 s: nobody leads")


@pytest.mark.parametrize("fault", ["remove-member", "replace-member", "demote"])
def test_change_that_the_system_does_not_take_back_is_its_own_refusal(
    cluster: Any, play: Any, fault: str
) -> None:
    _, healed = play(nemesis_of(cluster, Refusing(cluster.nodes), fault), *steps(fault))

    evidence = healed.value["evidence"]
    assert evidence["healed"] is False
    assert evidence["refused"] == {"n2": "no change within 15 s: nobody leads"}
    assert ("outside" in evidence["nodes"]["n2"]) is (fault != "demote")
    assert healed.error == (
        "the system did not take the change back of n2: no change within 15 s: nobody leads"
    )


class Slow(Members):
    """Its nodes run once they are started, and some need a second try to be taken in."""

    def __init__(self, cluster: Any, tries: int = 0) -> None:
        super().__init__(cluster.nodes)
        self.cluster, self.tries = cluster, tries

    async def start(self, node: str) -> None:
        await super().start(node)
        await self.cluster.start(node)

    async def add(self, node: str, role: Role) -> None:
        self.tries += 1
        if self.tries == 1:
            raise TimeoutError("no change within 15 s: a configuration change is in progress")
        await super().add(node, role)


@pytest.mark.parametrize("fault", ["remove-member", "replace-member"])
def test_healing_that_is_tried_again_goes_on_with_the_node_that_is_being_taken_in(
    cluster: Any, play: Any, fault: str
) -> None:
    members = Slow(cluster)
    strike, heal = steps(fault)
    _, first, second = play(nemesis_of(cluster, members, fault), strike, heal, heal)

    assert first.value["evidence"]["healed"] is False
    assert second.value["evidence"]["healed"] is True
    assert second.value["targets"] == ["n2"]
    assert members.calls.count("wipe n2") == members.calls.count("start n2") == 1


def test_node_that_is_struck_again_is_emptied_again(cluster: Any, play: Any) -> None:
    members = Slow(cluster, tries=1)
    strike, heal = steps("remove-member")
    play(nemesis_of(cluster, members, "remove-member"), strike, heal, strike, heal)

    assert members.calls.count("wipe n2") == members.calls.count("start n2") == 2


@pytest.mark.parametrize("error", [OSError("no such host"), TimeoutError("it does not start")])
def test_node_that_the_harness_cannot_start_is_not_refused_by_the_system(
    cluster: Any, play: Any, error: OSError
) -> None:
    class Broken(Members):
        async def start(self, node: str) -> None:
            raise error

    nemesis = nemesis_of(cluster, Broken(cluster.nodes), "remove-member")
    _, healed = play(nemesis, *steps("remove-member"))

    assert healed.value["evidence"]["healed"] is False
    assert "refused" not in healed.value["evidence"]
    assert "outside" not in healed.value["evidence"]["nodes"]["n2"]


def test_transfer_during_an_election_that_another_wins_is_left_out(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moving(Deaf):
        async def leader(self) -> str | None:
            return ("n1", None, "n3")[min(len(self.calls), 2)]

    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.2)
    struck, _ = play(nemesis_of(cluster, Moving(cluster.nodes), "transfer"), *steps("transfer"))

    assert struck.value["skipped"] == "leadership moved meanwhile: n1, then nobody, then n3"


def test_of_several_nodes_those_that_led_count_and_others_are_left_out(
    cluster: Any, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once(Members):
        async def transfer(self, node: str) -> None:
            if not self.calls:
                await super().transfer(node)
            else:
                await cluster.kill(node)

    monkeypatch.setattr("dissever.nemesis.nodes.membership.TRANSFER_LIMIT_S", 0.1)
    value = {"targets": ["n2", "n3"]}
    nemesis = nemesis_of(cluster, Once(cluster.nodes), "transfer")
    (struck,) = play(nemesis, ("transfer", "start-transfer", value))

    assert struck.value["targets"] == ["n2"]
    assert struck.value["left_out"] == {"n3": "n3 was gone"}
    assert struck.value["evidence"]["held"] is True


@pytest.mark.parametrize(("spec", "struck"), [("stand-bys", ["n5"]), ("voters", ["n1", "n2"])])
def test_targets_by_role(cluster: Any, play: Any, spec: str, struck: list[str]) -> None:
    members = Members(cluster.nodes)
    members.held = {"n1": Role.VOTER, "n2": Role.VOTER, "n5": Role.STAND_BY}
    (told,) = play(nemesis_of(cluster, members, "kill"), ("kill", "kill", {"spec": spec}))

    assert told.value["targets"] == struck
