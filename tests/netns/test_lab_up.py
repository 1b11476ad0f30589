"""A lab with real gateways: what comes up, what follows the API, what is left when it is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab_support import need_lab
from opencen.client import Client
from opencen.lab.errors import LabStateError
from opencen.lab.lab import Lab, running_lab
from opencen.lab.namespaces import existing_namespaces
from opencen.lab.processes import is_alive
from opencen.lab.state import LabDirectory
from opencen.lab.topology import Topology, parse_topology
from servers import ServerProcess, running_server

pytestmark = pytest.mark.netns
NAME = f"olu{os.getpid()}"
TOPOLOGY = """
instance = "lab"
[[packages]]
name = "lab"
areas = ["China", "North-America"]
bandwidth_mbps = 20
[[regions]]
id = "us-west-1"
name = "US West 1"
area = "North-America"
endpoint = "100.64.0.1"
[[regions.networks]]
name = "west"
cidr = "10.1.0.0/16"
gateway_address = "10.1.0.1/24"
host = "host-us-west-1"
host_address = "10.1.0.10"
[[regions]]
id = "cn-hangzhou"
name = "China East 1"
area = "China"
endpoint = "100.64.0.2"
[[regions.networks]]
name = "east"
cidr = "10.2.0.0/16"
gateway_address = "10.2.0.1/24"
host = "host-cn-hangzhou"
host_address = "10.2.0.10"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    need_lab()
    with running_server(tmp_path_factory.mktemp("control-plane")) as process:
        yield process


@pytest.fixture(scope="module")
def topology() -> Topology:
    return parse_topology(TOPOLOGY)


@pytest.fixture(scope="module")
def lab(server: ServerProcess, topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    key = server.credential
    directory = tmp_path_factory.mktemp("lab")
    with running_lab(server.url, key.identifier, key.secret, topology=topology, name=NAME, directory=directory) as up:
        yield up


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with server.client() as client:
        yield client


def until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def reaches(lab: Lab, host: str, address: str) -> bool:
    return lab.exec(host, ["ping", "-c", "1", "-W", "1", address]).returncode == 0


def left_of(name: str) -> set[str]:
    return {namespace for namespace in existing_namespaces() if namespace.startswith(f"{name}-")}


def test_hosts_of_two_regions_reach_each_other_as_soon_as_the_lab_is_up(lab: Lab) -> None:
    assert reaches(lab, "host-us-west-1", "10.2.0.10")
    assert reaches(lab, "cn-hangzhou", "10.1.0.10")


def test_an_exit_code_and_both_outputs_of_a_hosts_command_come_back(lab: Lab) -> None:
    done = lab.exec("host-us-west-1", ["sh", "-c", "echo said; echo complained >&2; exit 7"])
    assert (done.returncode, done.stdout, done.stderr) == (7, "said\n", "complained\n")


def test_a_host_that_is_not_there_is_refused_with_those_that_are(lab: Lab) -> None:
    with pytest.raises(LabStateError, match="host-us-west-1, host-cn-hangzhou"):
        lab.exec("host-mars", ["true"])


def test_a_transfer_shows_what_is_set_against_what_is_measured(lab: Lab, client: Client) -> None:
    cen_id = client.get("/v1/instances", name="lab")["items"][0]["id"]
    path = f"/v1/instances/{cen_id}/region-connections/us-west-1/cn-hangzhou"
    client.request("PUT", path, body={"bandwidth_mbps": 10})
    until(lambda: client.get(path)["status"] == "Active", "the connection is active")
    best = 0
    for _ in range(3):  # a busy machine may measure too little, never too much
        shown = lab.traffic("us-west-1", "cn-hangzhou", seconds=4).as_json()
        assert (shown["from"], shown["to"], shown["set_bps"]) == ("host-us-west-1", "host-cn-hangzhou", 10_000_000)
        assert shown["measured_bps"] <= 1.01 * 10_000_000
        best = max(best, shown["measured_bps"])
        if best >= 0.99 * 10_000_000:
            break
    assert best == pytest.approx(10_000_000, rel=0.01)


def test_a_network_made_over_the_api_gets_a_host_and_loses_it_again(lab: Lab, client: Client) -> None:
    body = {"name": "later", "region_id": "cn-hangzhou", "cidr_blocks": ["10.9.0.0/24"]}
    network_id = client.post("/v1/networks", body)["id"]
    cen_id = client.get("/v1/instances", name="lab")["items"][0]["id"]
    client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": network_id})
    host = f"host-cn-hangzhou-{network_id[-6:]}"
    until(lambda: any(item.name == host for item in lab.state().hosts), f"{host} is there")
    until(lambda: reaches(lab, "host-us-west-1", "10.9.0.10"), f"{host} is reached from the other region")
    client.delete(f"/v1/instances/{cen_id}/attachments/{network_id}")
    client.delete(f"/v1/networks/{network_id}")
    until(lambda: all(item.name != host for item in lab.state().hosts), f"{host} is gone")
    assert f"{NAME}-{host}" not in existing_namespaces()


def test_a_killed_agent_is_started_again_and_traffic_never_stops(lab: Lab) -> None:
    before = lab.gateway_pids()["us-west-1"]
    lab.kill_gateway("us-west-1")
    assert reaches(lab, "host-us-west-1", "10.2.0.10")
    until(lambda: lab.gateway_pids().get("us-west-1", before) != before, "another agent runs")
    assert reaches(lab, "host-us-west-1", "10.2.0.10")


def test_an_agent_stopped_on_purpose_stays_so_until_it_is_started(lab: Lab) -> None:
    lab.stop_gateway("cn-hangzhou")
    assert "cn-hangzhou" not in lab.gateway_pids()
    assert reaches(lab, "host-us-west-1", "10.2.0.10")
    lab.start_gateway("cn-hangzhou")
    assert "cn-hangzhou" in lab.gateway_pids()


def test_a_second_lab_of_the_same_name_is_refused_and_the_first_unharmed(
    lab: Lab, server: ServerProcess, tmp_path: Path
) -> None:
    key = server.credential
    for directory in (lab.directory.path, tmp_path):
        with (
            pytest.raises(LabStateError, match="already"),
            running_lab(server.url, key.identifier, key.secret, name=NAME, directory=directory),
        ):
            pass
    assert reaches(lab, "host-us-west-1", "10.2.0.10")


def opencen(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "opencen", "--server", f"unix:{server.socket}", "--data", str(server.data)]
    return subprocess.run([*argv, *arguments], capture_output=True, text=True, timeout=90, check=False)


def test_down_leaves_nothing_even_after_everything_was_killed(server: ServerProcess, tmp_path: Path) -> None:
    """By the command line; the regions are others than those of the lab above, for a region has one gateway."""
    name = f"{NAME}k"
    text = TOPOLOGY.replace("us-west-1", "us-east-1").replace("cn-hangzhou", "cn-beijing").replace("lab", "kill")
    (tmp_path / "topology.toml").write_text(text)
    place = ["--name", name, "--directory", str(tmp_path / "lab")]
    try:
        up = opencen(server, "lab", "up", "--detach", "--topology", str(tmp_path / "topology.toml"), *place)
        assert up.returncode == 0, up.stdout + up.stderr
        asked = opencen(
            server, "lab", "exec", *place, "host-us-east-1", "--", "ping", "-c", "1", "-W", "2", "10.2.0.10"
        )
        assert asked.returncode == 0, asked.stdout + asked.stderr
        status = json.loads(opencen(server, "lab", "status", *place, "-o", "json").stdout)
        assert status["up"]
        assert all(region["alive"] for region in status["regions"])
        pids = [status["keeper_pid"], *(region["pid"] for region in status["regions"])]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids), "all are dead")
        assert not json.loads(opencen(server, "lab", "status", *place, "-o", "json").stdout)["up"]
        gateway_ids = [region["gateway_id"] for region in status["regions"]]
        assert opencen(server, "lab", "down", *place).returncode == 0
        assert left_of(name) == set()
        assert not any(existing.startswith(tuple(gateway_ids)) for existing in existing_namespaces())
        assert not (tmp_path / "lab" / "state.json").exists()
        assert opencen(server, "lab", "status", *place).returncode == 3
        again = opencen(server, "lab", "down", *place)
        assert (again.returncode, "nothing to remove" in again.stdout) == (0, True)
    finally:
        opencen(server, "lab", "down", *place)


def test_ctrl_c_takes_the_lab_down_and_the_next_up_uses_the_same_gateways(
    server: ServerProcess, tmp_path: Path
) -> None:
    name = f"{NAME}c"
    text = TOPOLOGY.replace("us-west-1", "eu-west-1").replace("cn-hangzhou", "cn-qingdao").replace("lab", "ctrl")
    text = text.replace("North-America", "Europe")
    (tmp_path / "topology.toml").write_text(text)
    argv = [sys.executable, "-m", "opencen", "--server", server.url, "--data", str(server.data), "lab", "up"]
    argv += ["--name", name, "--directory", str(tmp_path / "lab"), "--topology", str(tmp_path / "topology.toml")]
    state_file = tmp_path / "lab" / "state.json"
    gateway_ids = []
    for _ in range(2):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:
            assert up.stdout is not None
            lines = iter(up.stdout.readline, "")
            assert any("the lab is up" in line for line in lines)
            state = Lab(LabDirectory(tmp_path / "lab")).state()
            gateway_ids.append([gateway.gateway_id for gateway in state.gateways])
            up.send_signal(signal.SIGINT)
            assert "the lab is removed\n" in list(lines)
            assert up.wait(20) == 0
        assert not any(is_alive(gateway.process) for gateway in state.gateways)
        assert left_of(name) == set()
        assert not state_file.exists()
    assert gateway_ids[0] == gateway_ids[1]


def test_an_error_in_the_block_takes_the_lab_down_too(server: ServerProcess, tmp_path: Path) -> None:
    name = f"{NAME}e"
    text = TOPOLOGY.replace("us-west-1", "ap-south-1").replace("cn-hangzhou", "ap-southeast-1").replace("lab", "error")
    key = server.credential
    up = running_lab(
        server.url, key.identifier, key.secret, topology=parse_topology(text), name=name, directory=tmp_path
    )
    with contextlib.suppress(ZeroDivisionError), up as lab:
        state = lab.state()
        raise ZeroDivisionError
    assert left_of(name) == set()
    assert not any(is_alive(gateway.process) for gateway in state.gateways)
