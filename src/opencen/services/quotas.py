"""How many instances, networks, packages and region connections an account may have."""

from __future__ import annotations

from collections.abc import Mapping

from opencen.domain.errors import InvalidValueError, NotFoundError, QuotaExceededError
from opencen.domain.nouns import Actor, Quota, QuotaKind, Role
from opencen.services.context import Context, Work
from opencen.store import identities, quotas
from opencen.store.database import Transaction

MOST = 1_000_000


def find(context: Context, actor: Actor, account_id: str) -> list[Quota]:
    """The quotas of an account and their use: of one's own, to an administrator of any. Raises NotFoundError."""
    with context.database.read() as tx:
        if account_id != actor.account_id and actor.role is not Role.ADMINISTRATOR:
            raise NotFoundError("account", account_id, field="account_id")
        return _of(tx, account_id)


def put(context: Context, actor: Actor, account_id: str, given: Mapping[QuotaKind, int | None]) -> list[Quota]:
    """Set what is given; None: no limit. Below what is used nothing more comes. Raises NotFoundError."""
    with context.change(actor, "quota.set", account_id) as work:
        work.revision()
        before = _of(work.tx, account_id)
        for kind, most in given.items():
            if most is not None and not 0 <= most <= MOST:
                raise InvalidValueError(f"a quota is 0 to {MOST}, not {most}", field=kind.value, value=most)
            quotas.put(work.tx, account_id, kind, most)
        after = _of(work.tx, account_id)
        work.tell({quota.kind.value: quota.most for quota in before}, {quota.kind.value: quota.most for quota in after})
    return after


def take(work: Work, kind: QuotaKind) -> None:
    """The caller's account is about to get one more. Raises QuotaExceededError.

    Under the revision's lock, so that two who take the last one come one after the other.
    """
    account_id = work.actor.account_id
    if quotas.most(work.tx, account_id, kind) is None:
        return
    work.revision()
    most, used = quotas.most(work.tx, account_id, kind), quotas.used(work.tx, account_id, kind)
    if most is not None and used >= most:
        raise QuotaExceededError(kind.value, most=most, used=used)


def _of(tx: Transaction, account_id: str) -> list[Quota]:
    if identities.find_account(tx, account_id) is None:
        raise NotFoundError("account", account_id, field="account_id")
    limits = quotas.find(tx, account_id)
    return [Quota(kind, limits.get(kind), quotas.used(tx, account_id, kind)) for kind in QuotaKind]
