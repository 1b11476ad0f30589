"""What Prometheus reads from a gateway."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from opencen.gateway import config, exposition
from opencen.gateway.exposition import LinkMetrics
from opencen.wire.gateway import InstanceReport, LinkReport
from test_gateway_agent import Setting, state, until

EAST = {"cen_id": "cen-a", "peer_region_id": "east"}


def instance(**link: int | None) -> InstanceReport:
    values = {"peer_region_id": "east", "in_kernel_bps": 10_000_000, **link}
    return InstanceReport(cen_id="cen-a", revision=1, links=[LinkReport.model_validate(values)])


def test_a_scrape_has_what_the_agent_last_read_of_each_link() -> None:
    metrics = LinkMetrics()
    metrics.note(instance(sent_bytes=1000, sent_packets=2, dropped_packets=3, trimmed_packets=4, backlog_bytes=5))
    with exposition.served(metrics, ("127.0.0.1", 0)) as port:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    for line in (
        'sent_bytes_total{cen_id="cen-a",peer_region_id="east"} 1000.0',
        'sent_packets_total{cen_id="cen-a",peer_region_id="east"} 2.0',
        'dropped_packets_total{cen_id="cen-a",peer_region_id="east"} 3.0',
        'trimmed_packets_total{cen_id="cen-a",peer_region_id="east"} 4.0',
        'backlog_bytes{cen_id="cen-a",peer_region_id="east"} 5.0',
        'limit_bps{cen_id="cen-a",peer_region_id="east"} 1e+07',
    ):
        assert f"opencen_gateway_{line}\n" in page


def test_a_link_without_a_tunnel_has_no_limit_rather_than_a_limit_of_nothing() -> None:
    metrics = LinkMetrics()
    metrics.note(instance(in_kernel_bps=None))
    assert metrics.registry.get_sample_value("opencen_gateway_limit_bps", EAST) is None
    assert metrics.registry.get_sample_value("opencen_gateway_sent_bytes_total", EAST) == 0


def test_the_limit_follows_the_control_plane_and_a_removed_instance_is_no_series(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        def limit_bps() -> float | None:
            return setting.agent.metrics.registry.get_sample_value("opencen_gateway_limit_bps", EAST)

        await setting.server.news.put(state(1, 10_000_000))
        await until(lambda: limit_bps() == 10_000_000)
        await setting.server.news.put(state(2, 4_000_000))
        await until(lambda: limit_bps() == 4_000_000)
        await setting.server.news.put(state(3, 1, cen_ids=()))
        await until(lambda: limit_bps() is None)

    Setting(tmp_path).run(scenario)


def test_without_an_address_nothing_listens() -> None:
    with exposition.served(LinkMetrics(), None) as port:
        assert port is None


def test_two_gateways_cannot_answer_at_one_port() -> None:
    with exposition.served(LinkMetrics(), ("127.0.0.1", 0)) as port:
        assert port is not None
        with pytest.raises(OSError, match="in use"), exposition.served(LinkMetrics(), ("127.0.0.1", port)):
            pass


@pytest.mark.parametrize("value", ["9410", "localhost:9410", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_an_address_that_cannot_be_is_refused_with_its_value(value: str, tmp_path: Path) -> None:
    credential = tmp_path / "credential"
    credential.write_text("gw-1:secret\n")
    credential.chmod(0o600)
    path = tmp_path / "gateway.toml"
    path.write_text(f'server = "http://s"\nendpoint = "192.0.2.1"\ncredential_file = "{credential}"\n')
    assert config.load(path).metrics_listen is None
    assert config.load(path, {"metrics_listen": "[::1]:9410"}).metrics_listen == ("::1", 9410)
    with pytest.raises(config.ConfigError, match=f"metrics_listen '{value}'"):
        config.load(path, {"metrics_listen": value})
