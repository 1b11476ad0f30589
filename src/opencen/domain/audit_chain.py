"""The chain of seals over the audit log: how an event becomes a line, a batch of lines a seal, and what is amiss. Pure.

The digest of an event is the SHA-256 of its line, which is JSON. A seal covers the events after the last seal's, in the
order of their ids; its hash is the SHA-256 of

    opencen-audit-1 NUMBER SEALED_AT PREVIOUS_HASH

and a line `ID DIGEST` for each event (hashes in hexadecimal, lines ended by a newline). So each seal vouches for every
event before it, and the last one for all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

FIELDS = (
    "id",
    "at",
    "account_id",
    "actor",
    "access_key_id",
    "source_address",
    "request_id",
    "action",
    "resource",
    "outcome",
    "before",
    "after",
)
NO_SEAL = bytes(32)
"""The previous hash of the first seal."""
_ID_BYTES = 8
_DIGEST_BYTES = 32
_ENTRY_BYTES = _ID_BYTES + _DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Seal:
    """`digests`: id (8 bytes, big endian) and SHA-256 of each event. `tag`: made of `sha256` with the secrets' key."""

    number: int
    last_id: int
    event_count: int
    sealed_at: datetime
    digests: bytes
    sha256: bytes
    tag: bytes

    @property
    def head(self) -> str:
        """What is kept elsewhere to notice later that the log was cut or made anew: `NUMBER:HASH`."""
        return f"{self.number}:{self.sha256.hex()}"


def line_of(values: Sequence[object]) -> str:
    """An event as the line of JSON that is exported and hashed; `before` and `after` come as JSON text."""
    *plain, before, after = values
    return json.dumps(
        dict(zip(FIELDS, (*plain, _parsed(before), _parsed(after)), strict=True)),
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _parsed(text: object) -> object:
    try:
        return None if text is None else json.loads(str(text))
    except ValueError:
        return text  # nothing that was ever written: its digest will not be the sealed one


def digest(line: str) -> bytes:
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).digest()


def pack(digests: Mapping[int, bytes]) -> bytes:
    """The digests of a batch of events by id, in the order of the ids."""
    return b"".join(identifier.to_bytes(_ID_BYTES, "big") + digests[identifier] for identifier in sorted(digests))


def unpack(packed: bytes) -> dict[int, bytes]:
    entries = (packed[start : start + _ENTRY_BYTES] for start in range(0, len(packed), _ENTRY_BYTES))
    return {int.from_bytes(entry[:_ID_BYTES], "big"): entry[_ID_BYTES:] for entry in entries}


def seal_hash(number: int, sealed_at: datetime, previous: bytes, packed: bytes) -> bytes:
    """The hash of a seal: see the top of this module."""
    whole = hashlib.sha256(f"opencen-audit-1 {number} {sealed_at.isoformat()} {previous.hex()}\n".encode())
    for identifier, event_digest in unpack(packed).items():
        whole.update(f"{identifier} {event_digest.hex()}\n".encode())
    return whole.digest()


def amiss_in_chain(seals: Iterable[Seal]) -> Iterator[str]:
    """A sentence for each seal that is missing or not what it was."""
    expected, previous = 1, NO_SEAL
    for seal in seals:
        if seal.number != expected:
            yield f"the seals from {expected} up to {seal.number} are missing"
        elif seal_hash(seal.number, seal.sealed_at, previous, seal.digests) != seal.sha256:
            yield f"seal {seal.number} is not what it was: it was altered, or one before it was"
        elif (seal.event_count, seal.last_id) != (len(unpack(seal.digests)), max(unpack(seal.digests), default=0)):
            yield f"seal {seal.number} does not say how many events it covers, or up to which"
        expected, previous = seal.number + 1, seal.sha256


def amiss_in_events(seal: Seal, found: Mapping[int, bytes]) -> Iterator[str]:
    """A sentence for each event that is not what was sealed; `found`: the digests of the rows in its place."""
    sealed = unpack(seal.digests)
    for identifier in sorted(sealed.keys() | found.keys()):
        if identifier not in found:
            yield f"event {identifier} was removed (seal {seal.number})"
        elif identifier not in sealed:
            yield f"event {identifier} was inserted after seal {seal.number} was made"
        elif sealed[identifier] != found[identifier]:
            yield f"event {identifier} was altered (seal {seal.number})"
