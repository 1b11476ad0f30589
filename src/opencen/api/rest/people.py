"""Accounts, users, access keys and the backbone's capacity: for administrators."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from opencen.api.rest.answers import whole
from opencen.api.rest.callers import ActorOf, ContextOf
from opencen.domain.nouns import Quota, QuotaKind, Role
from opencen.services import capacities, people, quotas
from opencen.wire import rest as wire

router = APIRouter(tags=["accounts"])


@router.post("/accounts", status_code=201)
def create_account(body: wire.AccountCreate, context: ContextOf, actor: ActorOf) -> wire.Account:
    """Another account (administrators)."""
    return wire.Account.model_validate(people.create_account(context, actor, body.name))


def _quotas(found: Sequence[Quota]) -> wire.Quotas:
    limits = {quota.kind.value: quota.most for quota in found}
    return wire.Quotas(**limits, used={quota.kind.value: quota.used for quota in found})


@router.get("/accounts/{account_id}/quotas")
def get_quotas(account_id: str, context: ContextOf, actor: ActorOf) -> wire.Quotas:
    """How many things an account may have, and has: the caller's own; any account's to administrators."""
    return _quotas(quotas.find(context, actor, account_id))


@router.patch("/accounts/{account_id}/quotas")
def modify_quotas(account_id: str, body: wire.QuotasModify, context: ContextOf, actor: ActorOf) -> wire.Quotas:
    """Limit how many things an account may have (administrators). What it has above a new quota stays."""
    given = {QuotaKind(name): getattr(body, name) for name in body.model_fields_set}
    return _quotas(quotas.put(context, actor, account_id, given))


@router.get("/users")
def list_users(context: ContextOf, actor: ActorOf) -> wire.Page[wire.User]:
    """The users of every account (administrators)."""
    return whole(wire.User, people.find_users(context, actor))


@router.post("/users", status_code=201)
def create_user(body: wire.UserCreate, context: ContextOf, actor: ActorOf) -> wire.UserPassword:
    """A user of an account; the password is shown this once (administrators)."""
    user, password = people.create_user(
        context, actor, account_id=body.account_id, username=body.username, role=Role(body.role)
    )
    return wire.UserPassword(user=wire.User.model_validate(user), password=password)


@router.patch("/users/{user_id}")
def modify_user(user_id: str, body: wire.UserModify, context: ContextOf, actor: ActorOf) -> wire.UserPassword:
    """Another role, disable or enable, a new password, no second factor any more (administrators)."""
    role = None if body.role is None else Role(body.role)
    user, password = people.modify_user(
        context,
        actor,
        user_id,
        role=role,
        disabled=body.disabled,
        reset_password=body.reset_password,
        reset_totp=body.reset_totp,
    )
    return wire.UserPassword(user=wire.User.model_validate(user), password=password)


@router.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Delete a user, its sessions and its access keys (administrators)."""
    people.delete_user(context, actor, user_id)


@router.get("/access-keys")
def list_access_keys(context: ContextOf, actor: ActorOf) -> wire.Page[wire.AccessKey]:
    """Every access key, with its last use to the minute (administrators)."""
    return whole(wire.AccessKey, people.find_keys(context, actor))


@router.post("/access-keys", status_code=201)
def create_access_key(body: wire.AccessKeyCreate, context: ContextOf, actor: ActorOf) -> wire.AccessKeySecret:
    """An access key of a user, limited to a role and to source networks if wanted (administrators)."""
    key, secret = people.create_key(
        context,
        actor,
        user_id=body.user_id,
        name=body.name,
        role=None if body.role is None else Role(body.role),
        source_networks=body.source_networks,
    )
    return wire.AccessKeySecret(access_key=wire.AccessKey.model_validate(key), access_key_secret=secret)


@router.patch("/access-keys/{access_key_id}")
def switch_access_key(
    access_key_id: str, body: wire.AccessKeySwitch, context: ContextOf, actor: ActorOf
) -> wire.AccessKey:
    """Disable or enable an access key (administrators)."""
    return wire.AccessKey.model_validate(people.switch_key(context, actor, access_key_id, active=body.active))


@router.delete("/access-keys/{access_key_id}", status_code=204)
def delete_access_key(access_key_id: str, context: ContextOf, actor: ActorOf) -> None:
    """Delete an access key (administrators)."""
    people.delete_key(context, actor, access_key_id)


@router.get("/capacities")
def list_capacities(context: ContextOf, actor: ActorOf) -> wire.Page[wire.Capacity]:
    """What may be sold between areas, and what is; a pair that is not listed has no limit (administrators)."""
    return whole(wire.Capacity, capacities.find_all(context, actor))


@router.put("/capacities/{area_id}/{other_area_id}")
def declare_capacity(
    area_id: str, other_area_id: str, body: wire.CapacityDeclare, context: ContextOf, actor: ActorOf
) -> wire.Capacity:
    """Declare what may be sold between two areas; not less than is sold (administrators)."""
    capacity = capacities.declare(context, actor, area_id, other_area_id, body.capacity_mbps)
    return wire.Capacity.model_validate(capacity)


@router.delete("/capacities/{area_id}/{other_area_id}", status_code=204)
def withdraw_capacity(area_id: str, other_area_id: str, context: ContextOf, actor: ActorOf) -> None:
    """No limit any more between two areas (administrators)."""
    capacities.withdraw(context, actor, area_id, other_area_id)
