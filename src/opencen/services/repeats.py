"""Calls that a client may repeat: the same token, the same answer, and nothing done twice.

The token is claimed, the work done and the answer remembered in one transaction, so that neither a crash nor two
calls at once can do the work without remembering it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from opencen.domain.errors import TokenReusedError
from opencen.domain.nouns import Actor
from opencen.services.context import Context
from opencen.services.joined import joined_transaction
from opencen.store import client_tokens
from opencen.store.client_tokens import TokenKey

REMEMBERED = timedelta(hours=24)


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
    try:
        with joined_transaction(context) as (joined, tx):
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
            answer = do(joined)
            client_tokens.remember(tx, key, answer)
    except TokenReusedError as refusal:
        context.record_refusal(actor, f"rpc.{action}", action, refusal)
        raise
    return answer
