"""Before a host becomes a gateway, a person is told what works, what is missing and how to get it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from opencen.cli import gateway
from opencen.gateway import joining
from opencen.gateway.kernel import operations as ops
from opencen.gateway.probe import MissingCapabilityError, lacking
from opencen.gateway.readiness import findings, is_able, membership, server_finding
from opencen.wire.gateway import Capabilities


def capabilities(leaf_queue: str = "fq_codel", encryption: str = "none") -> Capabilities:
    return Capabilities(kernel="6.1.0", leaf_queue=leaf_queue, encryption=encryption)


def test_a_fair_queue_works_and_a_fifo_could_be_better() -> None:
    verdicts = {queue: findings(capabilities(queue))[1].verdict for queue in ("cake", "fq_codel", "bfifo")}
    assert verdicts == {"cake": "works", "fq_codel": "works", "bfifo": "could be better"}


def test_a_host_with_only_a_fifo_can_still_be_a_gateway() -> None:
    found = findings(capabilities("bfifo"))
    assert is_able(found)
    assert found[1].remedy == "modprobe sch_cake or modprobe sch_fq_codel"


@pytest.mark.parametrize(
    ("encryption", "verdict", "remedy"),
    [
        ("wireguard", "works", ""),
        ("wireguard-go", "could be better", "modprobe wireguard"),
        ("none", "could be better", "apt-get install wireguard-tools wireguard-go"),
    ],
)
def test_what_encrypts_links_is_said_and_how_to_get_more(encryption: str, verdict: str, remedy: str) -> None:
    found = findings(capabilities(encryption=encryption))[2]
    assert (found.verdict, found.remedy) == (verdict, remedy)


@pytest.mark.parametrize(
    ("operation", "module"),
    [(ops.CreateTunnel, "vxlan"), (ops.PutRoot, "sch_htb"), (ops.PutLeaf, "sch_fifo"), (ops.AddFilter, "cls_u32")],
)
def test_what_the_kernel_refuses_comes_with_its_words_and_the_module(operation: type, module: str) -> None:
    (finding,) = findings(lacking(f"{operation.__name__}: Operation not supported"))
    assert finding.verdict == "missing"
    assert "Operation not supported" in finding.found
    assert finding.remedy == f"modprobe {module}"


def test_the_command_exits_1_where_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ip() -> Capabilities:
        raise MissingCapabilityError("ip", "a gateway needs the program ip", "apt-get install iproute2")

    monkeypatch.setattr(gateway, "probe", without_ip)
    table = CliRunner().invoke(gateway.app, ["check"])
    assert table.exit_code == 1
    assert "get it: apt-get install iproute2" in table.stdout
    finding, *_ = json.loads(CliRunner().invoke(gateway.app, ["check", "-o", "json"]).stdout)
    assert finding["verdict"] == "missing"


def test_the_command_exits_0_where_a_gateway_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "probe", capabilities)
    done = CliRunner().invoke(gateway.app, ["check"])
    assert done.exit_code == 0
    assert "works            queue: fq_codel" in done.stdout


def test_a_host_is_told_what_keeps_its_agent_running_and_whether_it_has_joined() -> None:
    assert [(item.subject, item.verdict) for item in membership(None, systemd=True)] == [("service", "works")]
    joined, service = membership("gw-1", systemd=False)
    assert "it is gw-1" in joined.found
    assert "no systemd" in service.found
    assert is_able([joined, service])


def test_a_server_that_cannot_be_joined_is_missing() -> None:
    trouble = joining.trouble_with("http://192.0.2.10:8400")
    assert trouble is not None
    assert "is plain HTTP" in trouble
    assert not is_able([server_finding("http://192.0.2.10:8400", trouble=trouble)])
    assert "no answer from https://127.0.0.1:1" in str(joining.trouble_with("https://127.0.0.1:1"))
