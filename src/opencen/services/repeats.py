"""Calls that a client may repeat: the same token, the same answer, and nothing done twice.

The token is claimed, the work done and the answer remembered in one transaction, so that neither a crash nor two
calls at once can do the work without remembering it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta

from opencen.changes.feed import Change, ChangeFeed
from opencen.domain.errors import DomainError, TokenReusedError
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.store import client_tokens
from opencen.store.client_tokens import TokenKey
from opencen.store.database import Database

REMEMBERED = timedelta(hours=24)


class _PendingFeed(ChangeFeed):
    """Keeps changes until they are committed."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []

    def publish(self, change: Change) -> None:
        self.changes.append(change)


class _Joined(Context):
    """A context whose changes take part in a transaction that is under way."""

    __slots__ = ("changes", "refusals")

    def __init__(self, context: Context, database: Database) -> None:
        feed = _PendingFeed()
        values = {field.name: getattr(context, field.name) for field in fields(Context)}
        super().__init__(**{**values, "database": database, "feed": feed})
        self.changes = feed.changes
        self.refusals: list[tuple[Actor, str, str, DomainError]] = []

    def record_refusal(self, actor: Actor, action: str, resource: str, refusal: DomainError) -> None:
        """Written later: a refusal rolls this transaction back."""
        self.refusals.append((actor, action, resource, refusal))


def once(
    context: Context,
    actor: Actor,
    action: str,
    token: str,
    parameters_sha256: bytes,
    do: Callable[[Context], Mapping[str, object]],
) -> Mapping[str, object]:
    """What `do` answers; or, when this account used this token for this action within 24 hours, what it answered then.

    Raises TokenReusedError when the parameters differ from the first call's. A call that is refused uses no token up.
    """
    key = TokenKey(actor.account_id, action, token)
    joined: _Joined | None = None
    try:
        with context.database.write() as tx:
            now = context.clock()
            client_tokens.forget_expired(tx, now)
            if not client_tokens.claim(tx, key, parameters_sha256, now + REMEMBERED):
                first_sha256, remembered = client_tokens.find(tx, key)
                if first_sha256 != parameters_sha256:
                    raise TokenReusedError(
                        f"the client token {token!r} was used for {action} with other parameters; take a new one",
                        field="client_token",
                        value=token,
                    )
                return remembered
            joined = _Joined(context, context.database.joined(tx))
            answer = do(joined)
            client_tokens.remember(tx, key, answer)
    except TokenReusedError as refusal:
        context.record_refusal(actor, f"rpc.{action}", action, refusal)
        raise
    finally:
        for refused in joined.refusals if joined else ():
            context.record_refusal(*refused)
    for change in joined.changes:
        context.feed.publish(change)
    return answer
