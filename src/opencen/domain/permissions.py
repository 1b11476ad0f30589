"""Who may do what, in one table: an administrator everything, an operator its account's networks, a viewer reads."""

from __future__ import annotations

from opencen.domain.errors import ForbiddenError
from opencen.domain.nouns import Actor, Role

ADMINISTRATORS_ONLY = frozenset(
    {
        "access_key.create",
        "access_key.delete",
        "access_key.list",
        "access_key.switch",
        "account.create",
        "account.list",
        "audit.seal",
        "capacity.declare",
        "capacity.list",
        "capacity.withdraw",
        "check.run",
        "encryption.choose",
        "gateway.ask_rotation",
        "gateway.promote",
        "gateway.release",
        "gateway.remove",
        "gateway.rotate_keys",
        "gateway.watch_drift",
        "join_token.create",
        "join_token.list",
        "join_token.revoke",
        "network.bind",
        "network.unbind",
        "quota.set",
        "region.add",
        "user.create",
        "user.delete",
        "user.list",
        "user.modify",
    }
)
"""What concerns the whole installation, changes and reads alike."""

_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMINISTRATOR: 2}


def lesser(role: Role, other: Role) -> Role:
    """What remains of a user's role when its key is limited to another."""
    return min(role, other, key=_RANK.__getitem__)


def check_read(actor: Actor, action: str) -> None:
    """Raises ForbiddenError when the caller may not read this."""
    if action in ADMINISTRATORS_ONLY and actor.role is not Role.ADMINISTRATOR:
        raise ForbiddenError(
            f"only an administrator may do {action}; {actor.username} acts as {actor.role.value}", action=action
        )


def check_change(actor: Actor, action: str) -> None:
    """Raises ForbiddenError when the caller may not change this."""
    if actor.role is Role.VIEWER:
        raise ForbiddenError(f"{actor.username} is a viewer and may not do {action}", action=action)
    check_read(actor, action)
