"""Another key for the sealed secrets, while servers run: `opencen secrets rotate`."""

from __future__ import annotations

from opencen.domain.errors import UnavailableError
from opencen.services.context import Context
from opencen.services.vault import KEY_VARIABLE, SecretsKeyError, Vault
from opencen.store import audit_seals, sealed
from opencen.store.database import Transaction

_MOST_PASSES = 10


def rotate(context: Context) -> int:
    """Seal everything with a new key, and forget the old ones; how many secrets there are.

    A key file first holds both keys, so that a crash at any point loses nothing, and running servers, which read the
    file again when it changed, open both. With keys in the environment, the new one stands in front of the
    old one.
    Raises SecretsKeyError, UnavailableError.
    """
    if context.vault.path is None and context.vault.key_count < 2:
        raise SecretsKeyError(
            f"the key comes from {KEY_VARIABLE}: set it to the new key and the old one, separated by a blank, for "
            "every server, and run this again; then set it to the new one alone"
        )
    context.vault = context.vault if context.vault.path is None else context.vault.rotated()
    newest = context.vault.newest_alone()
    for _ in range(_MOST_PASSES):
        with context.database.write() as tx:
            count, changed = _seal_again(tx, context.vault, newest)
        if not changed:
            break
    else:
        raise UnavailableError("servers keep sealing with the old key; do all of them read the same key file?")
    context.vault = context.vault.without_old()
    return count


def _seal_again(tx: Transaction, both: Vault, newest: Vault) -> tuple[int, int]:
    """How many secrets there are, and how many were not sealed with the newest key."""
    count = changed = 0
    for column in sealed.COLUMNS:
        for key, secret in sealed.every(tx, column):
            count += 1
            label = column.label(key)
            if not newest.opens(secret, label):
                sealed.replace(tx, column, key, newest.seal(both.open(secret, label), label))
                changed += 1
    last = audit_seals.last(tx)
    if last is not None and not newest.made_tag(last.tag, last.sha256) and both.made_tag(last.tag, last.sha256):
        audit_seals.retag(tx, last.number, newest.tag(last.sha256))
        changed += 1
    return count, changed
