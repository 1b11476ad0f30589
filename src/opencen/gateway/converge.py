"""One round with the kernel: read, plan, diff, apply, read again, and say what it has now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opencen.gateway import shaping
from opencen.gateway.attachment import Claim, DeclaredNetwork, claims
from opencen.gateway.diff import diff, diff_sources
from opencen.gateway.encryption import LinkEnd
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.model import KernelNow
from opencen.gateway.keys import KeyStore
from opencen.gateway.meters import LinkMeter
from opencen.gateway.plan import Plan, Site, link_end, namespace_name, plan, sources, standing_by, tunnel_name
from opencen.wire.gateway import GatewayState, InstanceReport, InstanceState, LinkReport, NetworkReport

_ROUNDS = 3
LINGER_S = 4.0
"""A WireGuard device that neither end sends by stays so long: what is under way may still arrive."""


@dataclass(frozen=True)
class Round:
    """What a convergence found and left: `operations` were carried out, `refused` says what the kernel did not do."""

    site: Site
    now: KernelNow
    plan: Plan
    operations: Sequence[ops.Operation] = ()
    refused: Mapping[ops.Scope, str] = field(default_factory=dict)
    standby: bool = False
    """Tunnels were to be down: what is down counts as no tunnel."""


@dataclass
class Converger:
    """Keeps a kernel as a state wants it. Blocking; for one thread."""

    kernel: ops.Kernel
    keys: KeyStore | None = None
    clock: Callable[[], float] = time.monotonic
    retired_at_s: dict[ops.Scope, float] = field(default_factory=dict)
    """When a WireGuard device was first found to be used by neither end."""
    meters: dict[tuple[str, str], LinkMeter] = field(default_factory=dict)
    on_trimmed: Callable[[ops.Scope, int], None] = lambda _scope, _packets: None
    """Told of packets that a change of a limit dropped."""
    _held: tuple[GatewayState, Sequence[DeclaredNetwork], Mapping[Claim, str]] | None = None

    def converge(self, state: GatewayState, site: Site, cen_ids: Sequence[str] | None = None) -> Round:
        """Make the kernel what `state` wants, for all instances or for those named.

        An instance that is named and not in `state` is removed.
        """
        names = None if cen_ids is None else [namespace_name(site.gateway_id, cen_id) for cen_id in cen_ids]
        held = self._claims(state, site)
        taken_from = sources(state, site)
        if cen_ids is not None:
            listed = [instance for instance in state.instances if instance.cen_id in cen_ids]
            state = state.model_copy(update={"instances": listed})
        if self.keys is not None:
            site = replace(site, keys=self.keys.serve(state.instances, complete=cen_ids is None))
        now = self.kernel.read(names)
        carried_out: list[ops.Operation] = []
        refused: dict[ops.Scope, str] = {}
        for _ in range(_ROUNDS):
            self._observe(now)
            wanted = self._plan(state, site, now, held)
            left = self._due([*diff_sources(now.host.sources, taken_from), *diff(now, wanted.namespaces)], wanted)
            operations = [o for o in left if o.scope not in refused]
            if not operations:
                break
            outcome = self.kernel.apply(operations)
            carried_out += operations
            refused |= outcome.refused
            self._account(outcome)
            now = self.kernel.read(names)
        else:
            self._observe(now)
            left = self._due([*diff_sources(now.host.sources, taken_from), *diff(now, wanted.namespaces)], wanted)
        self._forget_gone(now, cen_ids is None)
        unfinished = {o.scope: f"{type(o).__name__} had no effect" for o in left if o.scope not in refused}
        return Round(site, now, wanted, carried_out, unfinished | refused, state.standby)

    def _due(self, operations: Sequence[ops.Operation], wanted: Plan) -> list[ops.Operation]:
        """Without those that remove a WireGuard device in which packets may still be under way."""
        now_s = self.clock()
        due: list[ops.Operation] = []
        for operation in operations:
            namespace = wanted.namespaces.get(operation.scope.namespace)
            retires = namespace is not None and operation.scope.part in namespace.retiring
            if retires and isinstance(operation, ops.DeleteWireGuard):
                since_s = self.retired_at_s.setdefault(operation.scope, now_s)
                if now_s - since_s < LINGER_S:
                    continue
                del self.retired_at_s[operation.scope]
            due.append(operation)
        return due

    @staticmethod
    def _plan(state: GatewayState, site: Site, now: KernelNow, held: Mapping[Claim, str]) -> Plan:
        wanted = plan(state, site, now, held)
        return standing_by(wanted) if state.standby else wanted

    def _claims(self, state: GatewayState, site: Site) -> Mapping[Claim, str]:
        """Which networks hold interfaces, of all instances; worked out once for each state."""
        if self._held is None or self._held[0] is not state or self._held[1] is not site.networks:
            self._held = (state, site.networks, claims(state.instances, site.networks))
        return self._held[2]

    def report(self, region_id: str, instance: InstanceState, done: Round, at_s: float) -> InstanceReport:
        """What is to be said of an instance after a round that covered it. `at_s` is a monotonic clock's."""
        namespace = namespace_name(done.site.gateway_id, instance.cen_id)
        networks = [_network_report(report, namespace, done) for report in done.plan.networks.get(instance.cen_id, [])]
        ends = [link_end(region_id, instance.cen_id, link, done.site) for link in instance.links]
        links = [self._link_report(end, namespace, done, at_s) for end in ends]
        return InstanceReport(cen_id=instance.cen_id, revision=instance.revision, networks=networks, links=links)

    def _link_report(self, end: LinkEnd, namespace: str, done: Round, at_s: float) -> LinkReport:
        peer_region_id = end.link.peer_region_id
        device = tunnel_name(peer_region_id)
        scopes = [ops.HOST, ops.Scope(namespace), *(ops.Scope(namespace, name) for name in [*end.names(), device])]
        error = next((done.refused[scope] for scope in scopes if scope in done.refused), None)
        error = error or done.plan.link_errors.get((end.cen_id, peer_region_id))
        there = done.now.namespaces.get(namespace)
        tunnel = there.tunnels.get(device) if there else None
        stands_by = done.standby and tunnel is not None and not tunnel.tunnel.up
        said = LinkReport(
            peer_region_id=peer_region_id,
            in_kernel_bps=None if tunnel is None or stands_by else shaping.rate_in(tunnel.tunnel.tree),
            error=error,
            tunnels=end.tunnel_reports(there, tunnel.tunnel.path if tunnel else None),
            held_preshared_key_ids=end.held_preshared_key_ids(),
        )
        if tunnel is None:
            return said
        meter = self.meters[namespace, device]
        totals = meter.totals
        figures = {
            "sent_bytes": totals.sent_bytes,
            "sent_packets": totals.sent_packets,
            "dropped_packets": totals.dropped_packets,
            "trimmed_packets": meter.trimmed_packets,
            "backlog_bytes": totals.queued_bytes,
            "measured_bps": meter.measured_bps(at_s),
        }
        return said.model_copy(update=figures)

    def _observe(self, now: KernelNow) -> None:
        for name, namespace in now.namespaces.items():
            for device, tunnel in namespace.tunnels.items():
                self.meters.setdefault((name, device), LinkMeter()).observe(tunnel.counters)

    def _forget_gone(self, now: KernelNow, complete: bool) -> None:
        if complete:
            there = {(name, device) for name, namespace in now.namespaces.items() for device in namespace.tunnels}
            self.meters = {key: meter for key, meter in self.meters.items() if key in there}

    def _account(self, outcome: ops.Outcome) -> None:
        for scope, packets in outcome.trimmed_packets.items():
            self.meters.setdefault((scope.namespace, scope.part), LinkMeter()).trimmed_packets += packets
            self.on_trimmed(scope, packets)
        for (scope, minor), last in outcome.last_counters.items():
            self.meters.setdefault((scope.namespace, scope.part), LinkMeter()).removed(minor, last)


def _network_report(report: NetworkReport, namespace: str, done: Round) -> NetworkReport:
    """A network that was to be carried is carried only if its interface came to be as wanted."""
    if not report.carried:
        return report
    port_name = done.plan.port_names[report.network_id]
    refusal = done.refused.get(ops.Scope(namespace, port_name)) or done.refused.get(ops.Scope(namespace))
    return report if refusal is None else report.model_copy(update={"carried": False, "reason": refusal})
