"""Two gateways in a region: promoting the standby, and telling it its rates once the former one is off the wire.

While they change places both may have the region's rates in their kernels. What the former active gateway may still
send counts (design, rule 9), link by link, until it says that its tunnel is down, or until the gateway at the other end
has acknowledged the change: from then on that one takes nothing that comes from the former's address.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Container, Iterable

import structlog

from opencen.domain.errors import ConflictError, NotFoundError
from opencen.domain.failover import Member, Succession, Watch, succession
from opencen.domain.nouns import Actor, Role
from opencen.domain.status import Liveness, liveness
from opencen.services.context import Context, Work
from opencen.services.identities import GATEWAY_USERNAME
from opencen.store import control, epochs, gateways, links, networks
from opencen.store.gateways import GatewayRow
from opencen.store.links import ACTIVE, STANDBY, Key, LinkSide

SOURCE_CHECK = "source_check"
"""The capability of a gateway that takes tunnelled packets from its peers' present addresses only."""
_log = structlog.get_logger()


def as_actor(row: GatewayRow) -> Actor:
    """The gateway itself, as one who acts."""
    return Actor(row.account_id, row.id, GATEWAY_USERNAME, Role.OPERATOR)


def begin_epoch(context: Context) -> None:
    """This server process starts: what it commits can be told from what another copy of the database commits."""
    with context.database.write() as tx:
        epochs.begin(tx, uuid.uuid4().hex[:16], control.next_revision(tx))


def promote(context: Context, actor: Actor, gateway_id: str, *, prefer: bool = False) -> None:
    """Make a standby its region's active gateway. Raises ConflictError when it is not alive, or alone.

    With `prefer` it takes over again by itself whenever it is back for a while; without, neither gateway is preferred.
    """
    with context.change(actor, "gateway.promote", gateway_id) as work:
        work.revision()
        row = gateways.find(work.tx, gateway_id)
        if row is None:
            raise NotFoundError("gateway", gateway_id, field="gateway_id")
        former = next((item for item in gateways.of_region(work.tx, row.region_id) if item.id != gateway_id), None)
        if former is None:
            raise ConflictError(f"{gateway_id} is the only gateway of {row.region_id}", gateway_id=gateway_id)
        gateways.prefer(work.tx, row.region_id, gateway_id if prefer else None)
        if not row.is_active:
            _check_alive(context, work, row)
            take_over(work, row, former)
        work.tell(_roles(row, former), _roles(row, former, active_id=gateway_id) | {"preferred": prefer})


def _check_alive(context: Context, work: Work, row: GatewayRow) -> None:
    with context.database.volatile() as tx:
        heard = gateways.heartbeats(tx, [row.id]).get(row.id)
    if heard is None or liveness(heard.at, work.now) is not Liveness.LIVE:
        when = "never heard" if heard is None else f"last heard {(work.now - heard.at).total_seconds():.0f} s ago"
        raise ConflictError(f"gateway {row.id} was {when}: it cannot take over", gateway_id=row.id)


def _roles(row: GatewayRow, other: GatewayRow, active_id: str | None = None) -> dict[str, object]:
    active_id = active_id or (row.id if row.is_active else other.id)
    return {"region_id": row.region_id, "active_gateway_id": active_id}


def take_over(work: Work, row: GatewayRow, former: GatewayRow) -> None:
    """Exchange the roles; peers are told the new endpoint, and what they acknowledge frees the rates for it."""
    revision = work.revision()
    gateways.set_role(work.tx, former.id, STANDBY, revision)  # first: the database refuses two active ones
    gateways.set_role(work.tx, row.id, ACTIVE, revision)
    touching = links.touching_region(work.tx, row.region_id)
    links.renumber(work.tx, [link.key for link in touching], revision)
    sides = links.sides_of(work.tx, [link.key for link in touching])
    held = {side.key for found in sides.values() for side in found if side.gateway_id == former.id and side.held_bps}
    complete(work, sides.keys() - held)
    touch_peers(work, row.region_id)


def touch_peers(work: Work, region_id: str) -> None:
    """All that a region's gateways and their peers are told has changed."""
    for cen_id in control.instances_of_region(work.tx, region_id):
        work.touch(cen_id, networks.attached_regions(work.tx, cen_id))


def complete(work: Work, keys: Iterable[Key]) -> None:
    """Of these links a former active gateway sends nothing any more: tell the present one its rate."""
    found = links.find_many(work.tx, sorted(set(keys)))
    active = gateways.active_by_region(work.tx, {region_id for key in found for region_id in key[1:]})
    links.renumber(work.tx, found, work.revision())
    for key, link in found.items():
        for region_id in key[1:]:
            if region_id in active:
                links.hold(work.tx, key, active[region_id].id, link.granted_bps)
        work.touch(key[0], key[1:])


def off_the_wire(
    work: Work, row: GatewayRow, acknowledged: Iterable[LinkSide], encrypted: Container[Key] = ()
) -> list[Key]:
    """The links whose former gateway at the other end counts no more, now that `row` has acknowledged the change.

    Only an active gateway that drops what comes from a wrong address says so by acknowledging, or one whose end of the
    link is `encrypted`, for it knows its peer by the key; and not while another gateway of its own region may still
    take what the former sends.
    """
    standbys = gateways.standbys(work.tx)
    if not standbys or not row.is_active:
        return []
    checks = row.capabilities.get(SOURCE_CHECK, "none") != "none"
    turned = [side for side in acknowledged if side.error is None and (checks or side.key in encrypted)]
    told = {side.key: side.acked_revision for side in turned}
    keys = [key for key, link in links.find_many(work.tx, list(told)).items() if told[key] >= link.revision]
    freed: list[Key] = []
    for key, sides in links.sides_of(work.tx, keys).items():
        held = [side for side in sides if side.held_bps and side.gateway_id in standbys]
        if held and all(side.region_id != row.region_id for side in held):
            for former in held:
                links.hold(work.tx, key, former.gateway_id, 0)
            freed.append(key)
    return freed


class Arbiter:
    """Promotes a standby whose active gateway is silent. The work of a background duty: one process does it."""

    def __init__(self) -> None:
        self._watch = Watch()

    def __call__(self, context: Context) -> None:
        self.decide(context, time.monotonic())

    def decide(self, context: Context, now_s: float) -> list[Succession]:
        """Look once, at `now_s` of a monotonic clock; the promotions that were carried out."""
        with context.database.read() as tx:
            rows = gateways.pairs(tx)
        with context.database.volatile() as tx:
            heard = gateways.heartbeats(tx, [row.id for row in rows])
        marks = {row.id: heard[row.id].at if row.id in heard else None for row in rows}
        silences = self._watch.look(marks, now_s)
        regions: dict[str, list[Member]] = {}
        for row in rows:
            silent_s, steady_s = silences[row.id]
            member = Member(row.id, row.is_active, row.preferred, silent_s, steady_s)
            regions.setdefault(row.region_id, []).append(member)
        found = [decision for members in regions.values() if (decision := succession(members)) is not None]
        return [decision for decision in found if self._carry_out(context, decision)]

    def _carry_out(self, context: Context, decision: Succession) -> bool:
        with context.database.read() as tx:
            row = gateways.find(tx, decision.gateway_id)
        if row is None:
            return False
        try:
            self._exchange(context, row, decision)
        except ConflictError as refusal:
            _log.info("nobody takes over", region=row.region_id, reason=refusal.message)
            return False
        _log.warning(
            "a standby gateway takes over",
            region=row.region_id,
            gateway=row.id,
            former=decision.from_gateway_id,
            reason=decision.reason,
        )
        return True

    @staticmethod
    def _exchange(context: Context, row: GatewayRow, decision: Succession) -> None:
        with context.change(as_actor(row), "gateway.take_over", row.id) as work:
            work.revision()
            former = gateways.active_by_region(work.tx, [row.region_id]).get(row.region_id)
            if former is None or former.id != decision.from_gateway_id:
                raise ConflictError(f"{decision.from_gateway_id} is not the active gateway of {row.region_id} any more")
            take_over(work, row, former)
            work.tell(_roles(row, former), _roles(row, former, active_id=row.id) | {"reason": decision.reason})
