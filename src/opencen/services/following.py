"""Bandwidth that follows the traffic: reads what passes, decides, and tells the gateways. A background duty."""

from __future__ import annotations

from datetime import timedelta

from opencen.domain.connection import Connection
from opencen.domain.following import Decision, Follower, Key
from opencen.domain.following import follow as decide
from opencen.domain.nouns import Actor, Role
from opencen.services import grants
from opencen.services import instances as instance_service
from opencen.services.context import Context, Work
from opencen.store import connections, decisions, gateways, links, packages
from opencen.store.database import Transaction
from opencen.store.decisions import DecisionRow
from opencen.store.records import Listing, Page

EVERY_S = 0.2
FRESH_WITHIN = timedelta(seconds=3)
"""Figures that are older say nothing of what passes now."""
_KEPT = timedelta(days=7)
_BACKLOG_S = 0.02
"""A queue of so much time at the limit means that the limit holds something back."""


def follow(context: Context) -> None:
    """Look at every package that has automatic connections, and change the limits that should change."""
    with context.database.read() as tx:
        package_ids = connections.followed_packages(tx)
    if not package_ids:
        return
    context.watch()  # gateways report every second while somebody follows
    figures = _figures(context)
    for package_id in package_ids:
        _follow_package(context, package_id, figures)


def search(context: Context, actor: Actor, cen_id: str, page: Page) -> Listing[DecisionRow]:
    """What was decided for the connections of an instance, the newest first. Raises NotFoundError."""
    with context.database.read() as tx:
        instance_service.require(tx, actor, cen_id)
    with context.database.volatile() as tx:
        return decisions.search(tx, cen_id, page)


Figures = dict[tuple[str, str, str], tuple[int, int]]
"""By (instance, from, to): the rate that is sent, bit/s, and the bytes that wait."""


def _figures(context: Context) -> Figures:
    """What gateways said lately of the traffic that they send."""
    with context.database.read() as tx:
        rows = {row.id: row.region_id for row in gateways.find_all(tx)}
    with context.database.volatile() as tx:
        presences = gateways.presences(tx, list(rows), None)
    oldest = context.clock() - FRESH_WITHIN
    found: Figures = {}
    for gateway_id, presence in presences.items():
        if presence.seen_at is None or presence.seen_at < oldest:
            continue
        for name, link in presence.links.items():
            cen_id, _, peer_id = name.partition("/")
            if link.get("measured_bps") is not None:
                sent = (int(link["measured_bps"]), int(link.get("backlog_bytes") or 0))
                found[cen_id, rows[gateway_id], peer_id] = sent
    return found


def _follow_package(context: Context, package_id: str, figures: Figures) -> None:
    with context.database.read() as tx:
        if not _decide(tx, package_id, figures):
            return
        account_id = packages.account_of(tx, package_id)
    if account_id is None:
        return
    follower = Actor(account_id, "follower", "follower", Role.OPERATOR)
    made: list[Decision] = []
    with context.change(follower, "connection.follow", package_id, audited=False) as work:
        package = packages.find(work.tx, account_id, package_id, lock=True)
        if package is not None and package.expired_at is None:
            made = _decide(work.tx, package_id, figures)  # again, with nobody else changing the package
            _carry_out(work, package_id, package.bandwidth_mbps, made)
    if made:
        with context.database.volatile() as tx:
            decisions.add(tx, context.clock(), package_id, made)
            decisions.forget_before(tx, context.clock() - _KEPT)


def _decide(tx: Transaction, package_id: str, figures: Figures) -> list[Decision]:
    sizes = packages.sizes(tx, package_id)
    automatic = connections.automatic_of(tx, package_id)
    if sizes is None or not automatic:
        return []
    present = links.find_many(tx, [_key(item) for item in automatic])
    followers = [_follower(item, present[_key(item)].wanted_bps, figures) for item in automatic]
    return decide(*sizes, followers)


def _key(connection: Connection) -> Key:
    return (connection.cen_id, connection.region_a_id, connection.region_b_id)


def _follower(connection: Connection, limit_bps: int, figures: Figures) -> Follower:
    cen_id, region_a_id, region_b_id = _key(connection)
    directions = ((cen_id, region_a_id, region_b_id), (cen_id, region_b_id, region_a_id))
    sent = [figures[direction] for direction in directions if direction in figures]
    waits = any(backlog_bytes * 8 > limit_bps * _BACKLOG_S for _, backlog_bytes in sent)
    return Follower(
        key=_key(connection),
        minimum_bps=connection.rate_bps,
        maximum_bps=connection.most_bps,
        weight=connection.automatic.weight if connection.automatic else 1,
        limit_bps=limit_bps,
        used_bps=max(rate_bps for rate_bps, _ in sent) if sent else None,
        held_back=waits,
    )


def _carry_out(work: Work, package_id: str, bandwidth_mbps: int, made: list[Decision]) -> None:
    for decision in made:
        links.want(work.tx, decision.key, package_id, decision.after_bps, work.revision())
        work.touch(decision.key[0], decision.key[1:])
    grants.settle(work, package_id, bandwidth_mbps)
