"""The two signatures of the RPC API as pure functions: RPC 1.0 (HMAC-SHA1) and ACS3-HMAC-SHA256.

Source: reference `cbn-api.md`, sections 1.3 and 1.4; its vectors and recorded requests of real clients are the tests.
What a client put on the wire may be encoded differently (`+` for a space, a bare `*`), so both take decoded values
and encode them the one canonical way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

ACS3_ALGORITHM = "ACS3-HMAC-SHA256"
_is_unreserved = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII).fullmatch
_ACS3_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([A-Za-z0-9;_-]+), *Signature=([0-9a-f]{64})"
)


def percent_encode(text: str) -> str:
    """RFC 3986: all but letters, digits and `-_.~` as UTF-8 bytes in upper hex."""
    # Most names and values need no encoding, and finding that out is ten times as fast as encoding them.
    return text if _is_unreserved(text) else quote(text, safe="")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """`key=value` joined by `&`, sorted by the raw key, both sides percent-encoded as RFC 3986 says."""
    return "&".join([f"{percent_encode(key)}={percent_encode(parameters[key])}" for key in sorted(parameters)])


def rpc_string_to_sign(method: str, parameters: Mapping[str, str]) -> str:
    """What a version 1.0 client signs; `parameters` are those of query and form together, decoded."""
    signed = {key: value for key, value in parameters.items() if key != "Signature"}
    return f"{method}&%2F&{percent_encode(canonical_query(signed))}"


def rpc_signature(secret: str, string_to_sign: str) -> str:
    """Base64 of the HMAC-SHA1; the key is the secret with `&` behind it."""
    digest = hmac.digest(f"{secret}&".encode(), string_to_sign.encode(), "sha1")
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Acs3Authorization:
    """The parts of an `Authorization: ACS3-HMAC-SHA256 …` header."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_acs3_authorization(header: str) -> Acs3Authorization | None:
    """The parts of the header, or None when it is malformed."""
    match = _ACS3_AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        return None
    return Acs3Authorization(match[1], tuple(match[2].lower().split(";")), match[3])


def acs3_canonical_request(
    method: str,
    path: str,
    query: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    signed_headers: Iterable[str],
    payload_sha256: str,
) -> str:
    """The canonical request; `headers` have lower-case names, `payload_sha256` is lower hex."""
    names = tuple(signed_headers)
    lines = "".join([f"{name}:{headers.get(name, '').strip()}\n" for name in names])
    return f"{method}\n{path}\n{canonical_query(query)}\n{lines}\n{';'.join(names)}\n{payload_sha256}"


def acs3_string_to_sign(canonical_request: str) -> str:
    # Header values arrive as bytes; surrogateescape gives back exactly the bytes that the client signed.
    digest = hashlib.sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ACS3_ALGORITHM}\n{digest}"


def acs3_signature(secret: str, string_to_sign: str) -> str:
    """Lower hex of the HMAC-SHA256; the key is the bare secret."""
    return hmac.digest(secret.encode(), string_to_sign.encode(), "sha256").hex()


def same_signature(expected: str, presented: str) -> bool:
    """Whether both are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(expected.encode(), presented.encode("utf-8", "surrogateescape"))
