"""Two hosts become gateways over HTTPS, rotate, are revoked and leave: as operators would do it, with traffic on."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import missing
from opencen.client import ApiError, Client, Credential
from opencen.gateway.plan import namespace_name
from opencen.wire.join_token import JoinTokenText
from sites import PORT, SERVER_ADDRESS, URL, Site, Sites, command_in, made_sites, wait_until
from support import Probe, inside, require_namespaces, run

pytestmark = pytest.mark.netns
IMPOSTER_PORT = 9443


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    require_namespaces()
    with made_sites(tmp_path_factory.mktemp("sites")) as made:
        for region_id in ("us-west-1", "cn-hangzhou"):
            made.add(region_id)
        yield made


@pytest.fixture(scope="module")
def joined(sites: Sites) -> str:
    """Both have joined, and their networks are connected at 20 Mbit/s: the CEN instance."""
    cen_id = sites.connect(20)
    for site in sites.sites.values():
        sites.join(site)
        site.declare()
        site.start()
    sites.wait_active(cen_id)
    return cen_id


@pytest.fixture
def stranger(sites: Sites, tmp_path: Path) -> Site:
    """A host that has not joined, on the first site's machine."""
    west = sites.sites["us-west-1"]
    return Site("ap-south-1", west.octet, west.namespace, west.host, tmp_path)


def left_behind(site: Site) -> list[str]:
    """Files that would let somebody believe that this host has joined."""
    return [str(path) for path in site.folder.rglob("*") if path.name in ("credential", "gateway.toml")]


# what must not work


@pytest.mark.parametrize("relays_the_authority", [False, True], ids=["another's certificate", "the right authority"])
def test_a_wrong_server_is_told_nothing(sites: Sites, stranger: Site, *, relays_the_authority: bool) -> None:
    """Also one that hands out the right authority, which anybody can read, but has no key of it."""
    token = sites.token("ap-south-1")
    own = stranger.folder / "imposter"
    argv = [sys.executable, "-m", "opencen", "tls", "init", "--dir", str(own), "--name", SERVER_ADDRESS]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    shown = sites.data / "tls" / "ca.pem" if relays_the_authority else own / "ca.pem"
    script = str(Path(__file__).with_name("imposter.py"))
    heard = stranger.folder / "heard"
    arguments = [SERVER_ADDRESS, str(IMPOSTER_PORT), str(own), str(shown), str(heard)]
    imposter = subprocess.Popen(command_in(sites.server, sys.executable, script, *arguments), stdout=subprocess.PIPE)
    try:
        assert imposter.stdout is not None
        assert imposter.stdout.readline() == b"ready\n"
        done = stranger.join(token, server=f"https://{SERVER_ADDRESS}:{IMPOSTER_PORT}")
    finally:
        imposter.kill()
        imposter.communicate()
    assert done.returncode == 1
    said = "its certificate is refused" if relays_the_authority else "is not the server that made this token"
    assert said in done.stderr
    assert b"GET /authority.pem" in heard.read_bytes()
    assert JoinTokenText.parse(token).secret.encode() not in heard.read_bytes()
    assert left_behind(stranger) == []


def test_plain_http_to_another_machine_is_refused(stranger: Site, sites: Sites) -> None:
    done = stranger.join(sites.token("ap-south-1"), server=f"http://{SERVER_ADDRESS}:{PORT}")
    assert done.returncode == 1
    assert "is plain HTTP" in done.stderr
    assert "use https://" in done.stderr


def test_an_expired_token_is_refused(sites: Sites, stranger: Site) -> None:
    token = sites.token("ap-south-1")
    with sqlite3.connect(sites.data / "opencen.db") as database:
        database.execute(
            "UPDATE join_tokens SET expires_at = '2026-01-01 00:00:00.000000' WHERE id = ?",
            (JoinTokenText.parse(token).id,),
        )
    done = stranger.join(token)
    assert done.returncode == 1
    assert "expired at 2026-01-01 00:00:00 UTC; ask an operator for a new one" in done.stderr
    assert left_behind(stranger) == []


@pytest.mark.parametrize("token", ["nonsense", "jt-abc", ""])
def test_what_is_no_token_is_not_sent_and_not_repeated(stranger: Site, token: str) -> None:
    done = stranger.join(token)
    assert done.returncode == 1
    assert "this is no join token" in done.stderr


# what must


@pytest.mark.parametrize("skew", ["+1h", "-1h"])
def test_an_hour_of_clock_skew_does_not_matter(sites: Sites, stranger: Site, skew: str) -> None:
    if shutil.which("faketime") is None:
        missing("faketime is not installed: apt-get install faketime")
    places = ("--config", str(stranger.config), "--state-dir", str(stranger.state_dir))
    joining = ("join", URL, "--token", sites.token("ap-south-1"), *places)
    done = stranger.opencen(*joining, prefix=("faketime", "-f", skew))
    assert done.returncode == 0, done.stdout + done.stderr
    done = stranger.opencen("leave", "--yes", "--config", str(stranger.config), prefix=("faketime", "-f", skew))
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_hosts_join_and_their_networks_are_connected(sites: Sites, joined: str) -> None:
    west, east = sites.sites.values()
    for site in (west, east):
        assert stat.S_IMODE(site.credential_file.stat().st_mode) == 0o600
        assert f'server_authority_file = "{site.config.parent}/server-authority.pem"' in site.config.read_text()
    assert "1 received" in inside(west.host, "ping", "-c", "1", "-W", "5", "10.2.0.10")
    with sites.admin() as client:
        listed = {item["region_id"]: item for item in client.get("/v1/gateways")["items"]}
    assert listed["us-west-1"]["endpoint"] == west.endpoint
    assert {item["liveness"] for item in listed.values()} == {"live"}


def test_a_used_token_is_refused_and_the_audit_log_says_who_used_it(sites: Sites, joined: str, stranger: Site) -> None:
    with sites.admin() as client:
        used = next(item for item in client.get("/v1/join-tokens")["items"] if item["region_id"] == "us-west-1")
        secret = client.post("/v1/join-tokens", {"region_id": "ap-south-1"})["text"]
        first = stranger.join(secret)
        assert first.returncode == 0, first.stderr
        other = Site("ap-south-1", stranger.octet, stranger.namespace, stranger.host, stranger.folder / "other")
        second = other.join(secret)
        assert second.returncode == 1
        assert re.search(rf"was used at .* UTC from {stranger.endpoint}, for gw-", second.stderr)
        event = client.get("/v1/audit", page_size=1)["items"][0]
        assert (event["action"], event["outcome"], event["source_address"]) == ("gateway.join", "refused", "192.0.2.1")
    assert used["used_from"] == "192.0.2.1"
    assert left_behind(other) == []
    stranger.ok("leave", "--yes", "--config", str(stranger.config))


def test_a_host_that_has_joined_does_not_join_again(sites: Sites, joined: str) -> None:
    west = sites.sites["us-west-1"]
    done = west.join(sites.token("us-west-1"))
    assert done.returncode == 1
    assert f"this host is gateway {west.gateway_id} already" in done.stderr


def test_rotations_under_traffic_lose_no_packet_and_no_call(sites: Sites, joined: str) -> None:
    """Two by an operator on the host, one asked for from elsewhere: the agent is never refused."""
    west, east = sites.sites.values()
    old = west.credential_file.read_text().strip().partition(":")[2]
    receiver = Probe(east.host, "receive", "12")
    # more a second, and userspace WireGuard loses some when the machine has no time for it, rotation or not
    sender = Probe(west.host, "send", "10.2.0.10", "972", "200", "7")
    for _ in range(2):
        assert "has a new credential" in west.ok("rotate-credential", "--config", str(west.config))
    with sites.admin() as client:
        before = client.get(f"/v1/gateways/{west.gateway_id}")["credential_since"]
        client.post(f"/v1/gateways/{west.gateway_id}/rotate-credential")
        wait_until(
            lambda: client.get(f"/v1/gateways/{west.gateway_id}")["credential_since"] != before, lambda: west.log_text
        )
        rotations = [
            item
            for item in client.get("/v1/audit", page_size=50)["items"]
            if item["action"] == "gateway.rotate_credential"
        ]
        assert len(rotations) == 3
    sent = sender.result()["sent"]
    assert receiver.result() == {"received": sent, "distinct": sent, "reordered": 0}
    assert west.events("credential rotated")
    assert "revoked" not in west.log_text
    assert "does not answer" not in west.log_text
    thief = Client(sites.socket, Credential(west.gateway_id, old, bearer=True))
    with thief, pytest.raises(ApiError, match="unknown or was revoked"):
        thief.get("/v1/gateway/self")
    with sites.admin() as client:
        assert client.get(f"/v1/gateways/{west.gateway_id}")["liveness"] == "live"


def test_a_server_that_forgot_the_last_rotation_still_knows_its_gateway(sites: Sites, joined: str) -> None:
    """As one that was restored from a copy made before it."""
    east = sites.sites["cn-hangzhou"]
    with sqlite3.connect(sites.data / "opencen.db") as database:
        (known,) = database.execute("SELECT token_sha256 FROM gateways WHERE id = ?", (east.gateway_id,)).fetchone()
    east.ok("rotate-credential", "--config", str(east.config))
    with sqlite3.connect(sites.data / "opencen.db") as database:
        database.execute("UPDATE gateways SET token_sha256 = ? WHERE id = ?", (known, east.gateway_id))
    with sites.admin() as client:
        forgotten = client.get(f"/v1/gateways/{east.gateway_id}")["last_seen_at"]
        wait_until(
            lambda: client.get(f"/v1/gateways/{east.gateway_id}")["last_seen_at"] > forgotten, lambda: east.log_text
        )
    east.ok("rotate-credential", "--config", str(east.config))


def tunnels(site: Site, cen_id: str) -> list[str]:
    namespace = namespace_name(site.gateway_id, cen_id)
    if namespace not in run("ip", "netns", "list"):
        return []
    return [row["ifname"] for row in json.loads(inside(namespace, "ip", "-j", "link")) if "to-" in row["ifname"]]


def test_peers_drop_the_tunnel_of_a_revoked_gateway(sites: Sites, joined: str) -> None:
    west, east = sites.sites.values()
    assert tunnels(west, joined)
    gateway_id = east.gateway_id
    with sites.admin() as client:
        client.delete(f"/v1/gateways/{gateway_id}")
    wait_until(lambda: not tunnels(west, joined), lambda: str(tunnels(west, joined)))
    wait_until(lambda: "revoked or unknown: kernel left as it is" in east.log_text, lambda: east.log_text)
    lost = inside(west.host, "ping", "-c", "1", "-W", "1", "10.2.0.10", check=False)
    assert "0 received" in lost
    with Client(sites.socket, Credential(gateway_id, east.credential_file.read_text()[20:].strip(), bearer=True)) as it:
        with pytest.raises(ApiError) as refused:
            it.post("/v1/gateway/report", {"applied_revision": 1})
        assert refused.value.status == 401


def test_leaving_leaves_the_host_as_it_was(sites: Sites, joined: str) -> None:
    """Taken with an address of the host's own; given back with it."""
    west = sites.sites["us-west-1"]
    west.stop()
    west.ok("purge", "--yes", "--config", str(west.config))
    inside(west.namespace, "ip", "address", "add", "10.1.0.77/24", "dev", "lan0")
    inside(west.namespace, "ip", "link", "set", "lan0", "alias", "to the office", "up")
    before = inside(west.namespace, "ip", "-br", "address")
    west.start()
    namespace = namespace_name(west.gateway_id, joined)
    wait_until(lambda: namespace in run("ip", "netns", "list"), lambda: west.log_text)
    wait_until(lambda: "lan0" not in inside(west.namespace, "ip", "-br", "link"), lambda: west.log_text)
    refused = west.opencen("leave", "--yes", "--config", str(west.config))
    assert "an agent is running" in refused.stderr
    west.stop()
    said = west.ok("leave", "--yes", "--config", str(west.config))
    assert said.strip() == "removed 1 namespace, configuration and credential"
    assert namespace not in run("ip", "netns", "list")
    assert inside(west.namespace, "ip", "-br", "address") == before
    assert "to the office" in inside(west.namespace, "ip", "-d", "link", "show", "lan0")
    assert list(west.folder.rglob("*")) == [west.folder / "log"]
    with sites.admin() as client:
        assert "us-west-1" not in {item["region_id"] for item in client.get("/v1/gateways")["items"]}
