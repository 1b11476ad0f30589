"""Carrying out rule 9: after each change and each acknowledgement, tell gateways what they may have now."""

from __future__ import annotations

from dataclasses import replace

from opencen.domain.bandwidth import MBPS
from opencen.domain.following import Follower, make_room
from opencen.domain.grants import Link, regrant
from opencen.services.context import Work
from opencen.store import connections, gateways, links, remainders
from opencen.store.database import Transaction


def settle(work: Work, package_id: str, bandwidth_mbps: int) -> None:
    """Grant what can be granted out of a package now, and have the gateways concerned told."""
    revision = work.revision()  # first, so that whoever else settles waits: both must see all that is on the wire
    present = _on_wire(work.tx, package_id)
    if sum(link.wanted_bps for link in present) > bandwidth_mbps * MBPS:
        _make_room(work, package_id, bandwidth_mbps, present)
        present = _on_wire(work.tx, package_id)
    granted = regrant(bandwidth_mbps, present)
    if granted:
        before_bps = {link.key: link.granted_bps for link in present}
        links.grant(work.tx, {key: (before_bps[key], rate_bps) for key, rate_bps in granted.items()}, revision)
        for cen_id, *region_ids in granted:
            work.touch(cen_id, region_ids)


def _make_room(work: Work, package_id: str, bandwidth_mbps: int, present: list[Link]) -> None:
    """What is set has grown into what followed the traffic: automatic connections give way, down to their minimums."""
    wanted_bps = {link.key: link.wanted_bps for link in present}
    followers = [
        Follower(key, item.rate_bps, item.most_bps, item.automatic.weight, wanted_bps[key])
        for item in connections.automatic_of(work.tx, package_id)
        if item.automatic and (key := (item.cen_id, item.region_a_id, item.region_b_id)) in wanted_bps
    ]
    manual_bps = sum(wanted_bps.values()) - sum(item.limit_bps for item in followers)
    for key, limit_bps in make_room(bandwidth_mbps * MBPS - manual_bps, followers).items():
        links.want(work.tx, key, package_id, limit_bps, work.revision())
        work.touch(key[0], key[1:])


def _on_wire(tx: Transaction, package_id: str) -> list[Link]:
    """The package's links, and what kernels may still hold of links that have left it."""
    found = {link.key: link for link in links.of_package(tx, package_id)}
    left = remainders.of_package(tx, package_id)
    standbys = gateways.standbys(tx) if left else frozenset()
    for remainder in sorted(left, key=lambda item: item.gateway_id in standbys):
        link = found.get(remainder.key, Link(remainder.key, wanted_bps=0, granted_bps=0, held_bps=0))
        # what a standby may still send comes on top of what the active gateway of its region sends
        beside = link.held_bps if remainder.gateway_id in standbys else 0
        found[link.key] = replace(link, held_bps=max(link.held_bps, beside + remainder.held_bps))
    return list(found.values())
