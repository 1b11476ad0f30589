"""The gateway's counters for Prometheus, read at the address that the operator chose. Documented in docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from opencen.gateway.usage.spool import Spool
from opencen.wire.gateway import InstanceReport, LinkReport

_LABELS = ("cen_id", "peer_region_id")
_COUNTERS: dict[str, tuple[str, Callable[[LinkReport], int]]] = {
    "sent_bytes": ("IP bytes sent to the peer region", lambda link: link.sent_bytes),
    "sent_packets": ("Packets sent to the peer region", lambda link: link.sent_packets),
    "dropped_packets": ("Packets refused by the limit", lambda link: link.dropped_packets),
    "trimmed_packets": ("Packets dropped by a change of the limit", lambda link: link.trimmed_packets),
}
_GAUGES: dict[str, tuple[str, Callable[[LinkReport], int | None]]] = {
    "backlog_bytes": ("Bytes that wait in the queue", lambda link: link.backlog_bytes),
    "limit_bps": ("The rate in the kernel, read back", lambda link: link.in_kernel_bps),
}


class LinkMetrics(Collector):
    """What the agent last read of each link. The agent writes and the HTTP server's thread reads: one dict operation
    each, so neither waits for the other."""

    def __init__(self) -> None:
        self._instances: dict[str, InstanceReport] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def note(self, report: InstanceReport) -> None:
        self._instances[report.cen_id] = report

    def forget_all_but(self, cen_ids: set[str]) -> None:
        """An instance that this gateway no longer carries is no series any more, not one that stands still."""
        for cen_id in set(self._instances) - cen_ids:
            del self._instances[cen_id]

    def collect(self) -> Iterable[Metric]:
        links = [
            ((report.cen_id, link.peer_region_id), link)
            for report in list(self._instances.values())
            for link in report.links
        ]
        for name, (meaning, count) in _COUNTERS.items():
            counter = CounterMetricFamily(f"opencen_gateway_{name}", meaning, labels=_LABELS)
            for labels, link in links:
                counter.add_metric(labels, count(link))
            yield counter
        for name, (meaning, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"opencen_gateway_{name}", meaning, labels=_LABELS)
            for labels, link in links:
                if (now := value(link)) is not None:
                    gauge.add_metric(labels, now)
            yield gauge


class SpoolMetrics(Collector):
    """What was metered and is not yet with the control plane."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def collect(self) -> Iterable[Metric]:
        waiting = "that the control plane does not have yet"
        yield GaugeMetricFamily("opencen_gateway_usage_waiting_batches", f"Batches {waiting}", self._spool.waiting)
        yield GaugeMetricFamily("opencen_gateway_usage_waiting_bytes", f"Bytes {waiting}", self._spool.waiting_bytes)
        yield CounterMetricFamily(
            "opencen_gateway_usage_lost_batches", "Batches given up, the oldest first", self._spool.lost_batches
        )


@contextmanager
def served(metrics: LinkMetrics, listen: tuple[str, int] | None) -> Iterator[int | None]:
    """Answer scrapes at `listen` while the block runs; None: nobody. Yields the port. Raises OSError."""
    if listen is None:
        yield None
        return
    host, port = listen
    server, thread = start_http_server(port, host, metrics.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
