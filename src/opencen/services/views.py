"""Region connections as people see them: what is set, with what gateways do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opencen.domain.bandwidth import MBPS
from opencen.domain.connection import Connection, ConnectionView, SideView
from opencen.domain.errors import NotFoundError
from opencen.domain.geography import region_pair
from opencen.domain.nouns import Actor
from opencen.domain.status import Liveness, Side, connection_verdict, liveness
from opencen.services import instances as instance_service
from opencen.services.context import Context
from opencen.store import connections, drift, gateways, links, networks, packages, remainders
from opencen.store.database import Transaction
from opencen.store.gateways import GatewayRow, Presence
from opencen.store.links import Link, LinkSide
from opencen.store.records import Listing, Page
from opencen.store.remainders import Remainder


def get(context: Context, actor: Actor, cen_id: str, region_id: str, other_region_id: str) -> ConnectionView:
    """One region connection. Raises NotFoundError."""
    pair = region_pair(region_id, other_region_id)
    found = search(context, actor, Page(1, 1), cen_id=cen_id, pair=pair)
    if not found.items:
        raise NotFoundError("region connection", ":".join((cen_id, *pair)), field="id")
    return found.items[0]


def search(
    context: Context,
    actor: Actor,
    page: Page,
    *,
    cen_id: str | None = None,
    region_id: str | None = None,
    package_id: str | None = None,
    pair: tuple[str, str] | None = None,
) -> Listing[ConnectionView]:
    """Region connections of the account, of one instance, touching a region, or out of a package."""
    with context.database.read() as tx:
        if cen_id is not None and not instance_service.exists(tx, actor, cen_id):
            raise NotFoundError("CEN instance", cen_id, field="cen_id")
        found = connections.search(
            tx, actor.account_id, page, cen_id=cen_id, region_id=region_id, package_id=package_id, pair=pair
        )
        facts = _Facts(tx, found.items)
    with context.database.volatile() as tx:
        cen_ids = {connection.cen_id for connection in found.items}
        presences = gateways.presences(tx, [gateway.id for gateway in facts.gateways.values()], cen_ids)
        for gateway_id in presences:
            facts.drift[gateway_id] = drift.counts(tx, gateway_id, sorted(cen_ids))
    views = tuple(facts.view(connection, presences, context) for connection in found.items)
    return Listing(views, found.total)


class _Facts:
    """All that the views of a page need, read at once."""

    def __init__(self, tx: Transaction, items: Sequence[Connection]) -> None:
        keys = [(item.cen_id, item.region_a_id, item.region_b_id) for item in items]
        self.links: dict[links.Key, Link] = links.find_many(tx, keys)
        self.sides: dict[links.Key, list[LinkSide]] = links.sides_of(tx, keys)
        region_ids = {region_id for key in keys for region_id in key[1:]}
        self.gateways: dict[str, GatewayRow] = gateways.active_by_region(tx, region_ids) if region_ids else {}
        self.present = {
            (attachment.cen_id, attachment.region_id)
            for attachment in networks.attached(tx, *{item.cen_id for item in items})
        }
        self.expired = packages.expired(tx, {item.package_id for item in items})
        waiting = {link.package_id for link in self.links.values() if link.wanted_bps > link.granted_bps}
        self.drift: dict[str, dict[tuple[str, str], int]] = {}
        self.holders: dict[str, list[str]] = {}
        package_ids = sorted(package_id for package_id in waiting if package_id)
        for package_id, side in links.holders(tx, package_ids) if package_ids else ():
            self.holders.setdefault(package_id, []).append(_still_holds(side))
        for package_id in package_ids:
            for remainder in remainders.of_package(tx, package_id):
                self.holders.setdefault(package_id, []).append(_still_holds(remainder))

    def view(self, connection: Connection, presences: dict[str, Presence], context: Context) -> ConnectionView:
        key = (connection.cen_id, connection.region_a_id, connection.region_b_id)
        link = self.links[key]
        now = context.clock()
        sides: list[Side] = []
        views: list[SideView] = []
        for region_id in (connection.region_a_id, connection.region_b_id):
            gateway = self.gateways.get(region_id)
            presence = presences.get(gateway.id) if gateway else None
            state = Liveness.ABSENT if gateway is None else liveness(presence.seen_at if presence else None, now)
            here = [side for side in self.sides.get(key, []) if side.region_id == region_id]
            row = next((side for side in here if gateway is not None and side.gateway_id == gateway.id), None)
            sides.append(
                Side(
                    region_id=region_id,
                    has_network=(connection.cen_id, region_id) in self.present,
                    gateway_id=gateway.id if gateway else None,
                    liveness=state,
                    in_kernel_bps=row.in_kernel_bps if row else None,
                    acknowledged=row is not None and row.acked_revision >= link.revision,
                    error=(row.error if row else None) or (presence.trouble if presence else None),
                    former=next((_may_still_send(side) for side in here if side is not row and side.held_bps), None),
                )
            )
            peer_id = connection.region_b_id if region_id == connection.region_a_id else connection.region_a_id
            figures = presence.links.get(f"{connection.cen_id}/{peer_id}", {}) if presence else {}
            drifted = self.drift.get(gateway.id, {}).get((connection.cen_id, peer_id), 0) if gateway else 0
            views.append(_side_view(region_id, gateway, state, row, figures, drifted))
        holders = self.holders.get(connection.package_id, [])
        verdict = connection_verdict(link.wanted_bps, link.granted_bps, sides, holders)
        return ConnectionView(
            connection,
            verdict.status,
            verdict.enforcement,
            (*self._expiry(connection), *verdict.reasons),
            link.granted_bps,
            link.wanted_bps,
            (views[0], views[1]),
        )

    def _expiry(self, connection: Connection) -> tuple[str, ...]:
        since = self.expired.get(connection.package_id)
        if since is None:
            return ()
        return (f"package {connection.package_id} expired: 1 kbit/s since {since:%Y-%m-%d %H:%M} UTC, until renewed",)


def _still_holds(side: LinkSide | Remainder) -> str:
    return (
        f"gateway {side.gateway_id} of {side.region_id} still holds {side.held_bps / MBPS:g} Mbit/s of "
        f"{side.region_a_id} - {side.region_b_id}"
    )


def _may_still_send(side: LinkSide) -> str:
    return (
        f"gateway {side.gateway_id} of {side.region_id}, which was the active one, may still send "
        f"{side.held_bps / MBPS:g} Mbit/s"
    )


def _side_view(
    region_id: str,
    gateway: GatewayRow | None,
    state: Liveness,
    row: LinkSide | None,
    figures: dict[str, Any],
    drifted: int,
) -> SideView:
    shown = figures if state in (Liveness.LIVE, Liveness.LATE) else {}
    return SideView(
        region_id=region_id,
        gateway_id=gateway.id if gateway else None,
        liveness=state,
        in_kernel_bps=row.in_kernel_bps if row else None,
        held_bps=row.held_bps if row else 0,
        measured_bps=shown.get("measured_bps"),
        dropped_packets=shown.get("dropped_packets"),
        trimmed_packets=shown.get("trimmed_packets"),
        backlog_bytes=shown.get("backlog_bytes"),
        sent_bytes=shown.get("sent_bytes"),
        handshake_age_s=_handshake_age_s(shown),
        drift_count=drifted,
        error=row.error if row else None,
    )


def _handshake_age_s(figures: dict[str, Any]) -> float | None:
    """Of the tunnel that is sent through; None for a link that is not encrypted, and before the first handshake."""
    ages = [tunnel.get("handshake_age_s") for tunnel in figures.get("tunnels", ()) if tunnel.get("sends")]
    return ages[0] if ages else None
