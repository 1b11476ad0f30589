"""Which links are encrypted, who is told which keys, and how keys are rotated: as gateways and operators see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_gateway import FakeGateway
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess, running_server

WEST, EAST = "us-west-1", "cn-hangzhou"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("encryption") / "data") as running:
        yield running


@pytest.fixture
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        yield make_scenario(client)


class Ends:
    """The gateways of a link's two regions."""

    def __init__(self, server: ServerProcess, scenario: Scenario) -> None:
        self.cen_id = scenario.cen_id
        self.west = FakeGateway(server.url, scenario.client, WEST, "192.0.2.1")
        self.east = FakeGateway(server.url, scenario.client, EAST, "192.0.2.2")
        for gateway in self.both:
            gateway.hello()

    @property
    def both(self) -> tuple[FakeGateway, FakeGateway]:
        return self.west, self.east

    def link(self, gateway: FakeGateway) -> dict[str, Any]:
        """What a gateway is told of the link now."""
        gateway.fetch()
        peer = EAST if gateway is self.west else WEST
        links = gateway.instances[self.cen_id]["links"]
        return dict(next(link for link in links if link["peer_region_id"] == peer))

    def say(self, gateway: FakeGateway, *, sends: int | None = None, uses: int | None = None) -> None:
        """Report a public key for each generation asked for; hold every pre-shared key."""
        wanted = self.link(gateway)["wireguard"]
        tunnels = [
            {
                "generation": tunnel["generation"],
                "public_key": f"{gateway.region_id} {tunnel['generation']}",
                "port": 51_820 + tunnel["generation"],
                "sends": tunnel["generation"] == sends,
                "preshared_key_id": uses,
            }
            for tunnel in wanted["tunnels"]
        ]
        peer = EAST if gateway is self.west else WEST
        held = [item["id"] for item in wanted["preshared_keys"]]
        gateway.keys[self.cen_id, peer] = {"tunnels": tunnels, "held_preshared_key_ids": held}
        gateway.report()

    def state(self) -> tuple[list[int], list[int]]:
        """Generations and pre-shared keys, of which both ends are told the same."""
        told = [self.link(gateway)["wireguard"] for gateway in self.both]
        generations, ids = (
            [[tunnel["generation"] for tunnel in item["tunnels"]] for item in told],
            [[item["id"] for item in link["preshared_keys"]] for link in told],
        )
        assert generations[0] == generations[1]
        assert ids[0] == ids[1]
        return generations[0], ids[0]


@pytest.fixture
def ends(server: ServerProcess, scenario: Scenario) -> Iterator[Ends]:
    made = Ends(server, scenario)
    yield made
    for gateway in made.both:
        scenario.client.delete(f"/v1/gateways/{gateway.id}")


def test_each_gateway_is_told_its_peers_public_key_and_the_key_they_share(ends: Ends) -> None:
    for gateway in ends.both:
        ends.say(gateway)
    west, east = (ends.link(gateway)["wireguard"] for gateway in ends.both)
    assert west["tunnels"] == [{"generation": 1, "peer_public_key": f"{EAST} 1", "peer_port": 51_821}]
    assert east["tunnels"] == [{"generation": 1, "peer_public_key": f"{WEST} 1", "peer_port": 51_821}]
    assert west["preshared_keys"] == east["preshared_keys"]
    assert len(west["preshared_keys"][0]["key"]) == 44


def test_no_key_is_readable_in_the_database(ends: Ends, server: ServerProcess) -> None:
    for gateway in ends.both:
        ends.say(gateway)
    key = ends.link(ends.west)["wireguard"]["preshared_keys"][0]["key"]
    content = b"".join(path.read_bytes() for path in Path(server.data).glob("*.db*"))
    assert f"{EAST} 1".encode() in content, "public keys are there to be found"
    assert key.encode() not in content


def test_a_link_is_refused_where_a_gateway_cannot_encrypt_and_plain_only_when_that_is_chosen(
    ends: Ends, scenario: Scenario
) -> None:
    ends.east.max_encrypted_links = 0
    ends.east.hello()
    for gateway in ends.both:
        link = ends.link(gateway)
        assert link["peer_endpoint"] is None, "nothing is built, also by an agent that knows no encryption"
        assert f"gateway {ends.east.id} of {EAST} cannot encrypt" in link["refusal"]
    path = f"/v1/instances/{ends.cen_id}/encryption"
    (shown,) = [
        item
        for item in scenario.client.get(path)["items"]
        if {item["region_a_id"], item["region_b_id"]} == {WEST, EAST}
    ]
    assert "cannot encrypt" in shown["refusal"]
    chosen = scenario.client.request("PUT", f"{path}/{WEST}/{EAST}", body={"encryption": "vxlan"})
    assert (chosen["encryption"], chosen["chosen_by"], chosen["refusal"]) == ("vxlan", "connection", None)
    for gateway in ends.both:
        link = ends.link(gateway)
        assert (link["wireguard"], link["refusal"]) == (None, None)
        assert link["peer_endpoint"] is not None
    assert scenario.client.request("DELETE", f"{path}/{WEST}/{EAST}")["chosen_by"] == "default"
    assert ends.link(ends.west)["refusal"] is not None


def test_what_is_chosen_for_areas_holds_unless_a_link_says_otherwise(ends: Ends, scenario: Scenario) -> None:
    areas, client = "/v1/encryption/North-America/China", scenario.client
    assert client.request("PUT", areas, body={"encryption": "vxlan"})["area_a_id"] == "China"
    assert ends.link(ends.west)["wireguard"] is None
    client.request("PUT", f"/v1/instances/{ends.cen_id}/encryption/{WEST}/{EAST}", body={"encryption": "wireguard"})
    assert ends.link(ends.west)["wireguard"] is not None
    client.request("DELETE", f"/v1/instances/{ends.cen_id}/encryption/{WEST}/{EAST}")
    assert ends.link(ends.west)["wireguard"] is None
    client.delete(areas)
    assert ends.link(ends.west)["wireguard"] is not None
    assert refusal(client.delete, areas).status == 404
    assert refusal(client.request, "PUT", areas, body={"encryption": "rot13"}).status == 400


def test_gateways_behind_nat_are_not_called_and_two_of_them_cannot_be_linked(ends: Ends) -> None:
    ends.east.behind_nat = True
    ends.east.hello()
    assert ends.link(ends.west)["wireguard"]["peer_is_behind_nat"] is True
    assert ends.link(ends.east)["wireguard"]["peer_is_behind_nat"] is False
    ends.west.behind_nat = True
    ends.west.hello()
    assert "both behind NAT" in ends.link(ends.west)["refusal"]


def test_static_keys_are_rotated_make_before_break(ends: Ends, scenario: Scenario) -> None:
    for gateway in ends.both:
        ends.say(gateway, sends=1, uses=1)
    assert scenario.client.post(f"/v1/gateways/{ends.west.id}/rotate-keys")["links"] >= 1
    assert ends.state() == ([1, 2], [1, 2])
    assert scenario.client.post(f"/v1/gateways/{ends.west.id}/rotate-keys") == {"links": 0}, "it is under way"
    ends.say(ends.west, sends=1, uses=1)
    ends.say(ends.east, sends=1, uses=1)
    assert ends.link(ends.west)["wireguard"]["tunnels"][1]["peer_public_key"] == f"{EAST} 2"
    ends.say(ends.west, sends=2, uses=1)
    assert ends.state()[0] == [1, 2], "the other end still sends by the old one"
    ends.say(ends.east, sends=2, uses=1)
    assert ends.state()[0] == [2]


def test_preshared_keys_change_only_when_both_ends_hold_the_new_one(ends: Ends, scenario: Scenario) -> None:
    for gateway in ends.both:
        ends.say(gateway, sends=1, uses=1)
    scenario.client.post(f"/v1/gateways/{ends.west.id}/rotate-keys")
    ends.say(ends.west, sends=1, uses=1)
    assert ends.state()[1] == [1, 2], "the other end does not hold the new one yet"
    ends.say(ends.east, sends=1, uses=1)
    assert ends.state()[1] == [2, 1]
    ends.say(ends.west, sends=1, uses=2)
    assert ends.state()[1] == [2, 1], "the other end still uses the old one"
    ends.say(ends.east, sends=1, uses=2)
    assert ends.state()[1] == [2]


def test_a_gateway_that_lost_its_keys_says_new_ones_and_its_peer_is_told(ends: Ends) -> None:
    for gateway in ends.both:
        ends.say(gateway)
    ends.east.keys[ends.cen_id, WEST]["tunnels"][0]["public_key"] = "made anew"
    ends.east.report()
    assert ends.link(ends.west)["wireguard"]["tunnels"][0]["peer_public_key"] == "made anew"


def test_peers_are_told_no_key_of_a_removed_gateway(ends: Ends, server: ServerProcess, scenario: Scenario) -> None:
    for gateway in ends.both:
        ends.say(gateway)
    scenario.client.delete(f"/v1/gateways/{ends.east.id}")
    link = ends.link(ends.west)
    assert link["peer_endpoint"] is None
    assert link["wireguard"]["tunnels"][0]["peer_public_key"] is None
    ends.east = FakeGateway(server.url, scenario.client, EAST, "192.0.2.3")
    ends.east.hello()
    assert ends.link(ends.west)["wireguard"]["tunnels"][0]["peer_public_key"] is None
