"""The real agent process: starts from its saved state, dies, starts again, and traffic never notices."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from opencen.gateway import shaping, statefile
from opencen.gateway.kernel.model import SET_CLASS
from opencen.gateway.meters import in_all
from opencen.gateway.probe import LEAF_QUEUES
from support import Gateway, Probe, TwoRegions, inside, require_namespaces, run

pytestmark = pytest.mark.netns

SET_BPS = 10_000_000
OPENCEN_GATEWAY = (sys.executable, "-c", "from opencen.cli.gateway import app; app(prog_name='opencen gateway')")


@pytest.fixture(scope="module")
def regions() -> Iterator[TwoRegions]:
    require_namespaces()
    with TwoRegions(["cen-a"]) as made:
        made.set_rate("cen-a", SET_BPS)
        yield made


class AgentProcess:
    """`opencen gateway run` for a gateway of the test, with no control plane to ask."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.config = folder / "gateway.toml"
        credential = folder / "credential"
        credential.write_text(f"{gateway.gateway_id}:secret\n")
        credential.chmod(0o600)
        networks = "".join(
            f'[[networks]]\nnetwork = "{item.network}"\ninterface = "{item.interface}"\naddress = "{item.address}"\n'
            for item in gateway.networks
        )
        self.config.write_text(
            f'server = "unix:{folder}/nobody.sock"\ncredential_file = "{credential}"\n'
            f'endpoint = "{gateway.endpoint}"\nstate_dir = "{folder}"\n'
            f'underlay_namespace = "{gateway.underlay}"\nmetrics_listen = "127.0.0.1:0"\n{networks}'
        )
        statefile.save(folder, gateway.state())
        self.log = folder / "log"

    def command(self, verb: str, *arguments: str) -> str:
        return run(*OPENCEN_GATEWAY, verb, "--config", str(self.config), *arguments)

    def start(self) -> None:
        self.log.unlink(missing_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*OPENCEN_GATEWAY, "run", "--config", str(self.config)], stderr=log)
        wait_until(lambda: '"applied"' in self.log.read_text(), self.log.read_text)

    def scraped(self) -> dict[str, float]:
        """What Prometheus would read of the one link, by metric."""
        logged = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        port = next(entry["port"] for entry in logged if entry["event"] == "answers Prometheus")
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return {sample.name.removeprefix("opencen_gateway_"): sample.value for sample in samples}

    def wait_for_bytes(self, sent_bytes: int) -> None:
        wait_until(lambda: self.scraped()["sent_bytes_total"] >= sent_bytes, lambda: str(self.scraped()))

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=20)


@pytest.fixture
def agent(regions: TwoRegions, tmp_path: Path) -> Iterator[AgentProcess]:
    made = AgentProcess(regions.west, tmp_path)
    made.start()
    yield made
    made.process.kill()
    made.process.wait()


def wait_until(condition: Callable[[], bool], explain: Callable[[], str], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def test_a_killed_agent_resumes_from_the_kernel_and_no_packet_is_lost(regions: TwoRegions, agent: AgentProcess) -> None:
    west, east = regions.host(regions.west, "cen-a"), regions.host(regions.east, "cen-a")
    before = regions.west.tunnel("cen-a")
    receiver = Probe(east, "receive", "8")
    sender = Probe(west, "send", "10.2.0.10", "972", "500", "7")
    agent.end(signal.SIGKILL)
    time.sleep(0.5)
    agent.start()
    sent, result = sender.result()["sent"], receiver.result()
    after = regions.west.tunnel("cen-a")
    assert result == {"received": sent, "distinct": sent, "reordered": 0}
    assert after.ifindex == before.ifindex
    assert after.tunnel == before.tunnel
    assert {minor: leaf.handle for minor, leaf in after.tunnel.tree.leaves.items()} == {
        minor: leaf.handle for minor, leaf in before.tunnel.tree.leaves.items()
    }
    grown = after.counters[SET_CLASS].sent_packets - before.counters[SET_CLASS].sent_packets
    assert grown >= sent, "the class that counted before still counts"
    assert '"operations": 0' in agent.log.read_text()


def test_what_prometheus_reads_is_what_the_kernel_counts_also_after_the_agent_was_killed(
    regions: TwoRegions, agent: AgentProcess
) -> None:
    west, east = regions.host(regions.west, "cen-a"), regions.host(regions.east, "cen-a")
    for _ in range(2):
        before = in_all(regions.west.tunnel("cen-a").counters)
        receiver = Probe(east, "receive", "3")
        Probe(west, "send", "10.2.0.10", "972", "500", "2").result()
        receiver.result()
        kernel = in_all(regions.west.tunnel("cen-a").counters)
        assert kernel.sent_packets - before.sent_packets >= 500
        agent.wait_for_bytes(kernel.sent_bytes)
        scraped = agent.scraped()
        assert scraped["sent_bytes_total"] == kernel.sent_bytes
        assert scraped["sent_packets_total"] == kernel.sent_packets
        assert scraped["dropped_packets_total"] == kernel.dropped_packets
        assert scraped["limit_bps"] == SET_BPS
        agent.end(signal.SIGKILL)
        agent.start()


def test_the_probe_names_a_leaf_queue_and_leaves_nothing_behind() -> None:
    require_namespaces()
    found = json.loads(run(*OPENCEN_GATEWAY, "probe", "-o", "json"))
    assert found["leaf_queue"] in LEAF_QUEUES
    assert "opencen-probe" not in run("ip", "netns", "list")


def test_a_terminated_agent_leaves_the_kernel_as_it_is(regions: TwoRegions, agent: AgentProcess) -> None:
    before = regions.west.tunnel("cen-a").tunnel
    agent.end(signal.SIGTERM)
    assert agent.process.returncode == 0
    assert regions.west.tunnel("cen-a").tunnel == before


@pytest.mark.parametrize(
    "damages",
    [
        ("tc qdisc del dev to-cn-hangzhou root", "ip route flush dev to-cn-hangzhou", "ip link set lan0 down"),
        ("tc qdisc replace dev to-cn-hangzhou root handle 5: pfifo", "sysctl -qw net.ipv4.ip_forward=0"),
        ("ip link del to-cn-hangzhou",),
    ],
    ids=" and ".join,
)
def test_damage_by_hand_is_repaired(regions: TwoRegions, agent: AgentProcess, damages: tuple[str, ...]) -> None:
    for damage in damages:
        inside(regions.west.namespace("cen-a"), *damage.split())
    wait_until(lambda: "repaired the kernel" in agent.log.read_text(), agent.log.read_text)
    assert shaping.rate_in(regions.west.tunnel("cen-a").tunnel.tree) == SET_BPS
    host = regions.host(regions.west, "cen-a")
    assert "1 received" in inside(host, "ping", "-c", "1", "-W", "2", "10.2.0.10", check=False)


def test_status_reads_the_kernel_and_purge_gives_everything_back(regions: TwoRegions, agent: AgentProcess) -> None:
    rows = json.loads(agent.command("status", "-o", "json"))
    assert [(row["link"], row["set_bps"], row["in_kernel_bps"]) for row in rows] == [
        ("to-cn-hangzhou", SET_BPS, SET_BPS)
    ]
    with pytest.raises(AssertionError, match="an agent is running"):
        agent.command("purge", "--yes")
    agent.end(signal.SIGTERM)
    assert agent.command("purge", "--yes").strip() == "removed 1 namespace"
    assert "lan0" in inside(regions.west.underlay, "ip", "-br", "link")
    assert regions.west.kernel.read().namespaces == {}
    regions.west.converge()
