"""Packages that end: warned of, then their connections fall back to the connectivity-test rate, until a renewal.

What is set stays set and stays allocated: an expired package holds its shares for its renewal. Only what gateways are
told changes, by the way of every change: rows under the package's lock, grants, acknowledgements. Carried out by a
background duty some seconds after the end.
"""

from __future__ import annotations

from contextlib import suppress

from opencen.domain.errors import InvalidValueError, PackageExpiredError
from opencen.domain.expiry import MAX_MONTHS, WARN_BEFORE, has_expired, is_ending, renewed_until
from opencen.domain.nouns import Actor, Package, Role
from opencen.services import grants
from opencen.services.context import Context, Work
from opencen.store import allocations, connections, links, packages

EVERY_S = 2.0
_USERNAME = "expiry"


class _NothingToDoError(Exception):
    """It was renewed or deleted in between."""


def expire(context: Context) -> None:
    """Warn of what ends soon, and end what has ended. The background duty."""
    now = context.clock()
    with context.database.read() as tx:
        due = packages.ending(tx, now, now + WARN_BEFORE)
    for package_id, account_id in due:
        with suppress(_NothingToDoError):
            _look_at(context, package_id, Actor(account_id, _USERNAME, _USERNAME, Role.OPERATOR))


def _look_at(context: Context, package_id: str, actor: Actor) -> None:
    with context.database.read() as tx:
        seen = packages.find(tx, actor.account_id, package_id)
    if seen is None:
        return
    action = "package.expire" if has_expired(seen.expires_at, context.clock()) else "package.warn"
    with context.change(actor, action, package_id) as work:
        before = packages.find(work.tx, actor.account_id, package_id, lock=True)
        if before is None or before.expired_at is not None or not is_ending(before.expires_at, work.now):
            raise _NothingToDoError
        if has_expired(before.expires_at, work.now):
            allocations.end_package(work.tx, before, work.now)
            _tell_gateways(work, before, carries=False)
        else:
            packages.note_warning(work.tx, package_id, work.now)
        work.tell(before, packages.find(work.tx, actor.account_id, package_id))


def renew(context: Context, actor: Actor, package_id: str, months: int) -> Package:
    """Let a package that was bought for a time last longer; its connections get back what is set.

    Raises NotFoundError, InvalidValueError.
    """
    from opencen.services.packages import require  # noqa: PLC0415  packages.py refuses what has expired

    with context.change(actor, "package.renew", package_id) as work:
        before = require(work.tx, actor, package_id, lock=True)
        if isinstance(months, bool) or not 1 <= months <= MAX_MONTHS:
            raise InvalidValueError(
                f"a package is renewed for 1 to {MAX_MONTHS} months, not {months}", field="months", value=months
            )
        if before.expires_at is None:
            raise InvalidValueError(
                f"package {package_id} does not end: there is nothing to renew", field="package_id", value=package_id
            )
        allocations.renew_package(work.tx, before, renewed_until(before.expires_at, work.now, months))
        _tell_gateways(work, before, carries=True)
        after = require(work.tx, actor, package_id)
        work.tell(before, after)
    return after


def check_current(package: Package, work: Work) -> None:
    """Raises PackageExpiredError: out of a package that has ended nothing is set, and it is not resized or bound."""
    if has_expired(package.expires_at, work.now):
        raise PackageExpiredError(
            f"package {package.id} expired at {package.expires_at:%Y-%m-%d %H:%M} UTC; renew it first",
            field="package_id",
            package_id=package.id,
            expires_at=package.expires_at,
        )


def _tell_gateways(work: Work, package: Package, *, carries: bool) -> None:
    for connection in connections.of_packages(work.tx, [package.id]):
        key = (connection.cen_id, connection.region_a_id, connection.region_b_id)
        links.want(work.tx, key, package.id, connection.rate_bps if carries else 0, work.revision())
        work.touch(connection.cen_id, key[1:])
    grants.settle(work, package.id, package.bandwidth_mbps)
