"""Gateways fail static: each test breaks something on purpose while numbered packets flow between two real sites."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import missing
from opencen.gateway import statefile
from opencen.gateway.plan import namespace_name, tunnel_name
from sites import PORT, SERVER_ADDRESS, Site, Sites, command_in, made_sites, wait_until
from support import Probe, inside, require_namespaces, run

pytestmark = pytest.mark.netns

WEST, HANGZHOU = "us-west-1", "cn-hangzhou"
LIMIT_MBPS = 20


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    require_namespaces()
    with made_sites(tmp_path_factory.mktemp("static")) as made:
        for region_id in (WEST, HANGZHOU):
            made.add(region_id)
        cen_id = made.connect(LIMIT_MBPS)
        with made.admin() as client:
            path = f"/v1/instances/{cen_id}/encryption/{WEST}/{HANGZHOU}"
            client.request("PUT", path, body={"encryption": "vxlan"})
        for site in made.sites.values():
            made.join(site)
            site.declare()
            site.start()
        made.wait_active(cen_id)
        yield made


@pytest.fixture
def west(sites: Sites) -> Site:
    return sites.sites[WEST]


@pytest.fixture
def hangzhou(sites: Sites) -> Site:
    return sites.sites[HANGZHOU]


@pytest.fixture
def cen_id(sites: Sites) -> str:
    with sites.admin() as client:
        return str(client.get("/v1/instances")["items"][0]["id"])


class Flow:
    """1,000 numbered packets a second from one host to the other."""

    def __init__(self, west: Site, hangzhou: Site, seconds: float) -> None:
        self._receiver = Probe(hangzhou.host, "follow", str(seconds + 2))
        self._sender = Probe(west.host, "send", "10.2.0.10", "972", "1000", str(seconds))

    def check(self, what: str) -> dict[str, Any]:
        """Not one packet was lost or reordered."""
        sent, measured = self._sender.result()["sent"], self._receiver.result()
        lost = sent - measured["distinct"]
        print(f"{what}: {sent} sent, {lost} lost, {measured['reordered']} reordered")
        assert sent > 1_000
        assert (lost, measured["reordered"]) == (0, 0)
        return measured


def _shown(site: Site, cen_id: str) -> str:
    """The classes of the tunnel to the peer, as tc shows them; empty where there is no tunnel."""
    peer = HANGZHOU if site.region_id == WEST else WEST
    name = namespace_name(site.gateway_id, cen_id)
    return inside(name, "tc", "class", "show", "dev", tunnel_name(peer), check=False)


def _kill(site: Site) -> None:
    assert site.process is not None
    site.process.send_signal(signal.SIGKILL)
    site.process.wait()


def _wipe(site: Site, cen_id: str) -> None:
    """A reboot: what is on the disk stays, the kernel has nothing."""
    _kill(site)
    name = namespace_name(site.gateway_id, cen_id)
    inside(name, "ip", "link", "set", "lan0", "netns", f"/run/netns/{site.namespace}")
    run("ip", "netns", "delete", name)


def test_a_control_plane_that_answers_garbage_changes_nothing(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str
) -> None:
    sites.stop_server()
    before = _shown(west, cen_id)
    script = str(Path(__file__).with_name("garbage_server.py"))
    tls = sites.data / "tls"
    arguments = [SERVER_ADDRESS, str(PORT), str(tls / "server.pem"), str(tls / "server.key"), west.gateway_id]
    argv = command_in(sites.server, sys.executable, script, *arguments)
    garbage = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert garbage.stdout is not None
    try:
        assert garbage.stdout.readline() == "ready\n"
        site = replace(west, process=None)
        _kill(west)  # its next run asks at once, not after the backoff that a long outage has led to
        site.start()
        flow = Flow(west, hangzhou, 8)
        flow.check("a control plane that answers garbage")
        assert _shown(west, cen_id) == before
        assert "control plane does not answer" in west.log_text
    finally:
        garbage.kill()
        said = garbage.communicate()[0]
        site.stop()
        sites.start_server()
        west.start()
    assert len(set(said.split())) >= 8, "kinds of garbage that were answered"
    sites.wait_active(cen_id)


def test_after_a_reboot_limits_are_back_before_the_control_plane_is_asked(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str
) -> None:
    before = _shown(west, cen_id)
    assert f"rate {LIMIT_MBPS}Mbit" in before
    sites.stop_server()
    try:
        _wipe(west, cen_id)
        assert _shown(west, cen_id) == ""
        west.start()
        wait_until(lambda: _shown(west, cen_id) == before, lambda: west.log_text[-2_000:])
        Flow(west, hangzhou, 2).check("after a reboot, without the control plane")
    finally:
        sites.start_server()
    sites.wait_active(cen_id)


def test_a_corrupt_state_file_is_said_and_not_obeyed(sites: Sites, west: Site, hangzhou: Site, cen_id: str) -> None:
    _kill(west)
    path = west.state_dir / statefile.NAME
    path.write_text(path.read_text().replace("20000000", "90000000"))
    west.start()
    flow = Flow(west, hangzhou, 3)
    wait_until(lambda: "saved state is ignored" in west.log_text, lambda: west.log_text[-2_000:])
    flow.check("a corrupt state file")
    assert f"rate {LIMIT_MBPS}Mbit" in _shown(west, cen_id)
    sites.wait_active(cen_id)


@pytest.mark.parametrize("skew", ["+1h", "-1h"])
def test_a_clock_that_is_an_hour_wrong_changes_nothing(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str, skew: str
) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("needs faketime")
    _kill(west)
    argv = command_in(west.namespace, sys.executable, "-m", "opencen", "gateway", "run", "-c", str(west.config))
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": skew}
    with (west.folder / "log").open("ab") as log:
        west.process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
    wait_until(lambda: _clock_is_wrong(west), lambda: west.log_text[-1_000:])
    with sites.admin() as client:
        pair = f"/v1/instances/{cen_id}/region-connections/{WEST}/{HANGZHOU}"
        sites.wait_active(cen_id)
        flow = Flow(west, hangzhou, 3)
        for mbps in (15, LIMIT_MBPS):
            client.request("PUT", pair, body={"bandwidth_mbps": mbps})
            sites.wait_active(cen_id)
    flow.check(f"a clock {skew} wrong, and live changes")
    _kill(west)
    west.start()
    sites.wait_active(cen_id)


def _clock_is_wrong(site: Site) -> bool:
    """Whether the agent's log, whose times are its own, is an hour away from now."""
    times = [datetime.fromisoformat(entry["timestamp"]) for entry in site.events("started")]
    return bool(times) and abs(abs(datetime.now(UTC) - times[-1]) - timedelta(hours=1)) < timedelta(minutes=5)


def test_a_copy_of_a_gateway_is_refused_and_the_gateway_goes_on(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str, tmp_path: Path
) -> None:
    """Another host, with the disk of the first: its credential, its keys, its saved state."""
    copy = replace(west, folder=tmp_path / "copy", process=None)
    shutil.copytree(west.folder, copy.folder)
    (copy.state_dir / "host-id").unlink()  # another machine has another boot id, which does the same
    copy.config.write_text(copy.config.read_text().replace(str(west.folder), str(copy.folder)))
    flow = Flow(west, hangzhou, 4)
    assert _asked_as(copy).startswith("InUseError")
    flow.check("another host uses the credential")
    with sites.admin() as client:
        found = client.get(f"/v1/gateways/{west.gateway_id}")
    assert "another host used its credential" in found["trouble"]
    sites.wait_active(cen_id)


def _asked_as(copy: Site) -> str:
    """What the server answers to the agent of a host that is not the gateway's."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from opencen.cli.gateway import _control_plane, load_config\n"
        "plane = _control_plane(load_config(Path(sys.argv[1])))\n"
        "try:\n"
        "    print(asyncio.run(plane.state(0, 0)))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    argv = command_in(copy.namespace, sys.executable, "-c", program, str(copy.config))
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_agent_is_killed_and_upgraded_under_a_flow_and_the_server_goes_and_comes(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str
) -> None:
    flow = Flow(west, hangzhou, 9)
    for site in (west, hangzhou):
        _kill(site)
        time.sleep(0.3)  # the time that an upgrade takes
        site.start()
    sites.stop_server()
    time.sleep(1)  # an outage
    sites.start_server()
    measured = flow.check("agents killed, server restarted")
    assert measured["longest_gap_s"] < 0.5
    sites.wait_active(cen_id)


def test_a_long_tcp_flow_runs_through_changes_restarts_and_outages(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str
) -> None:
    serving = subprocess.Popen(command_in(hangzhou.host, "iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    wait_until(lambda: "5201" in inside(hangzhou.host, "ss", "-ltn"), lambda: "iperf3 does not listen")
    argv = command_in(west.host, "iperf3", "-c", "10.2.0.10", "-t", "10", "-i", "1", "-J")
    flow = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    time.sleep(2)  # past its start
    with sites.admin() as client:
        pair = f"/v1/instances/{cen_id}/region-connections/{WEST}/{HANGZHOU}"
        for mbps in (15, LIMIT_MBPS):
            client.request("PUT", pair, body={"bandwidth_mbps": mbps})
            sites.wait_active(cen_id)
    _kill(west)
    sites.stop_server()
    time.sleep(1)  # an outage
    sites.start_server()
    west.start()
    sites.wait_active(cen_id)
    measured = json.loads(flow.communicate(timeout=60)[0])
    serving.wait(20)
    rates = [interval["sum"]["bits_per_second"] / 1e6 for interval in measured["intervals"]]
    retransmits = measured["end"]["sum_sent"]["retransmits"]
    print(f"TCP, Mbit/s in each second: {[round(rate, 1) for rate in rates]}, {retransmits} retransmits")
    assert min(rates[2:-1]) > 10
    assert measured["end"]["sum_received"]["bits_per_second"] <= LIMIT_MBPS * 1_030_000


def test_a_stale_backup_is_not_obeyed_until_an_operator_accepts_it_also_when_it_has_overtaken(
    sites: Sites, west: Site, hangzhou: Site, cen_id: str, tmp_path: Path
) -> None:
    pair = f"/v1/instances/{cen_id}/region-connections/{WEST}/{HANGZHOU}"
    sites.stop_server()
    shutil.copytree(sites.data, tmp_path / "backup", ignore=shutil.ignore_patterns("*.sock"))
    sites.start_server()
    with sites.admin() as client:
        client.request("PUT", pair, body={"bandwidth_mbps": 15})
        sites.wait_active(cen_id)
    held = max(item["applied_revision"] for item in _gateways(sites))
    sites.stop_server()
    shutil.rmtree(sites.data)
    shutil.copytree(tmp_path / "backup", sites.data)
    sites.start_server()
    flow = Flow(west, hangzhou, 5)
    with sites.admin() as client:
        for number in range(8):
            client.request("PUT", pair, body={"bandwidth_mbps": (18, 19)[number % 2]})
    wait_until(
        lambda: all("another history" in (item["trouble"] or "") for item in _gateways(sites)),
        lambda: str(_gateways(sites)),
    )
    assert min(item["wanted_revision"] for item in _gateways(sites)) > held, "overtaken"
    flow.check("a stale backup")
    for site in (west, hangzhou):
        assert "rate 15Mbit" in _shown(site, cen_id)
        (item,) = [item for item in _gateways(sites) if item["id"] == site.gateway_id]
        assert "accepted" in site.ok("accept-revision", str(item["wanted_revision"]), "--config", str(site.config))
    sites.wait_active(cen_id)
    assert "rate 19Mbit" in _shown(west, cen_id)


def _gateways(sites: Sites) -> list[dict[str, Any]]:
    with sites.admin() as client:
        return list(client.get("/v1/gateways")["items"])
