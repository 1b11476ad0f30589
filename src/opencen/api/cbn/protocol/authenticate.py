"""Who calls: a signature that fits, a clock within 15 minutes, a nonce never seen before.

Codes: reference `cbn-api.md`, sections 1.5, 1.6 and 1.10. Clients look for `server string to sign is:` in the message
of a wrong signature: the Go SDK compares it with its own to tell a wrong secret from a wrong canonical form, and the
older Python SDK fails without a colon in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from opencen.api.cbn.protocol import signature as signatures
from opencen.api.cbn.protocol.decode import RpcRequest, Scheme
from opencen.api.cbn.protocol.errors import RpcError, missing_parameter
from opencen.domain.nouns import AccessKey

CLOCK_WINDOW = timedelta(minutes=15)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
_REQUIRED_SIGNED_HEADERS = (
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-content-sha256",
    "x-acs-signature-nonce",
)


class Keys(Protocol):
    """What authentication needs to know and to remember; the services provide it."""

    def find_access_key(self, access_key_id: str) -> AccessKey | None: ...

    def admit(self, key: AccessKey, source_address: str | None) -> bool:
        """Whether this key, proven and active, may be used from this address."""
        ...

    def take_turn(self, access_key_id: str) -> float:
        """0 when this key may be answered now; otherwise the seconds after which it may be."""
        ...

    def remember_nonce(self, access_key_id: str, nonce: str, expires_at_s: int) -> bool:
        """False when this access key has used the nonce already; kept until `expires_at_s` (Unix time).

        Durable, and shared by all servers.
        """
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its sender, still unproven."""

    access_key_id: str
    nonce: str
    stamped_at: datetime
    signature: str
    string_to_sign: str
    sign: Callable[[str, str], str]
    explanation: str = ""


def authenticate(request: RpcRequest, keys: Keys, now: datetime) -> AccessKey:
    """The access key that signed `request`, which has not been seen before. Raises RpcError."""
    claim = read_claim(request)
    if abs(now - claim.stamped_at) > CLOCK_WINDOW:
        raise RpcError(
            "InvalidTimeStamp.Expired",
            400,
            f"Specified time stamp or date value is expired: it says {claim.stamped_at:%Y-%m-%dT%H:%M:%SZ}, "
            f"the server's clock says {now:%Y-%m-%dT%H:%M:%SZ}; at most 15 minutes may lie between.",
        )
    key = keys.find_access_key(claim.access_key_id) if _TOKEN.fullmatch(claim.access_key_id) else None
    if key is None:
        raise RpcError("InvalidAccessKeyId.NotFound", 404, "Specified access key is not found.")
    if not signatures.same_signature(claim.sign(key.secret, claim.string_to_sign), claim.signature):
        raise RpcError(
            "SignatureDoesNotMatch",
            400,
            "Specified signature is not matched with our calculation. "
            f"server string to sign is:{claim.string_to_sign}{claim.explanation}",
        )
    if not key.active:
        raise RpcError("InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled.")
    if not keys.admit(key, request.source_address):
        raise RpcError("Forbidden.AccessKey", 403, "Specified access key may not be used from this source address.")
    expires_at_s = int((claim.stamped_at + CLOCK_WINDOW).timestamp())
    if not keys.remember_nonce(key.access_key_id, claim.nonce, expires_at_s):
        raise RpcError("SignatureNonceUsed", 400, "Specified signature nonce was used already.")
    retry_after_s = keys.take_turn(key.access_key_id)
    if retry_after_s:
        raise RpcError("Throttling.User", 400, "Request was denied due to user flow control.", retry_after_s)
    return key


def read_claim(request: RpcRequest) -> Claim:
    """What the request claims, without looking at any secret. Raises RpcError when a part is missing or malformed."""
    return _acs3_claim(request) if request.scheme is Scheme.ACS3 else _rpc_claim(request)


def _rpc_claim(request: RpcRequest) -> Claim:
    given = request.parameters
    for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"):
        if not given.get(name):
            raise missing_parameter(name)
    _refuse_security_token(given["AccessKeyId"], given.get("SecurityToken", ""))
    if given["SignatureMethod"].upper() != "HMAC-SHA1" or given.get("SignatureType"):
        raise RpcError(
            "InvalidSignatureMethod",
            400,
            "Specified signature method is not supported: use HMAC-SHA1 with an empty SignatureType, or "
            "ACS3-HMAC-SHA256.",
        )
    if given["SignatureVersion"] != "1.0":
        raise RpcError("InvalidSignatureVersion", 400, "Specified signature version is not supported: use 1.0.")
    _check_content_md5(request)
    return Claim(
        access_key_id=given["AccessKeyId"],
        nonce=_checked_nonce(given["SignatureNonce"], "SignatureNonce"),
        stamped_at=parse_timestamp(given["Timestamp"]),
        signature=given["Signature"],
        string_to_sign=signatures.rpc_string_to_sign(request.method, given),
        sign=signatures.rpc_signature,
    )


def _acs3_claim(request: RpcRequest) -> Claim:
    headers = request.headers
    authorization = headers["authorization"]
    if not authorization.startswith(f"{signatures.ACS3_ALGORITHM} "):
        raise RpcError(
            "InvalidSignatureMethod", 400, "Specified signature method is not supported: use ACS3-HMAC-SHA256."
        )
    for name in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "host"):
        if not headers.get(name):
            raise missing_parameter(name)
    payload_sha256 = hashlib.sha256(request.body).hexdigest()
    parts = signatures.parse_acs3_authorization(authorization)
    if parts is None:
        raise _incomplete("Authorization is not `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`")
    unsigned = [name for name in _REQUIRED_SIGNED_HEADERS if name not in parts.signed_headers]
    if unsigned:
        raise _incomplete(f"SignedHeaders lacks {', '.join(unsigned)}")
    _refuse_security_token(parts.access_key_id, headers.get("x-acs-security-token", ""))
    if headers["x-acs-content-sha256"] != payload_sha256:
        raise RpcError(
            "SignatureDoesNotMatch",
            400,
            "x-acs-content-sha256 is not the SHA-256 of the body. "
            f"server string to sign is:{signatures.ACS3_ALGORITHM}, with the body's hash {payload_sha256}",
        )
    canonical = signatures.acs3_canonical_request(
        request.method,
        request.path,
        request.query,
        headers=headers,
        signed_headers=parts.signed_headers,
        payload_sha256=payload_sha256,
    )
    return Claim(
        access_key_id=parts.access_key_id,
        nonce=_checked_nonce(headers["x-acs-signature-nonce"], "x-acs-signature-nonce"),
        stamped_at=parse_timestamp(headers["x-acs-date"]),
        signature=parts.signature,
        string_to_sign=signatures.acs3_string_to_sign(canonical),
        sign=signatures.acs3_signature,
        explanation=f", server canonical request is:{canonical}",
    )


def parse_timestamp(text: str) -> datetime:
    """A UTC time `YYYY-MM-DDThh:mm:ssZ`. Raises RpcError `InvalidTimeStamp.Format`."""
    if _TIMESTAMP.fullmatch(text):
        try:
            return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
        except ValueError:
            pass
    raise RpcError(
        "InvalidTimeStamp.Format",
        400,
        "Specified time stamp or date value is not well formatted: YYYY-MM-DDThh:mm:ssZ.",
    )


def _checked_nonce(nonce: str, name: str) -> str:
    if _TOKEN.fullmatch(nonce) is None:
        raise RpcError("InvalidParameter", 400, f"{name} has 1 to 128 printable ASCII characters.")
    return nonce


def _refuse_security_token(access_key_id: str, token: str) -> None:
    """Temporary credentials: none are issued here, so no token can be a right one."""
    if token:
        raise RpcError("InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed.")
    if access_key_id.startswith("STS."):
        raise RpcError("MissingSecurityToken", 400, "SecurityToken is mandatory for this access key.")


def _check_content_md5(request: RpcRequest) -> None:
    stated = request.headers.get("content-md5")
    if not stated or not request.body:
        return
    actual = hashlib.md5(request.body, usedforsecurity=False).digest()
    try:
        matches = base64.b64decode(stated, validate=True) == actual
    except (binascii.Error, ValueError):
        matches = False
    if not matches:
        raise RpcError("ContentMD5NotMatched", 400, "Specified Content-MD5 is not that of the body.")


def _incomplete(reason: str) -> RpcError:
    return RpcError(
        "IncompleteSignature",
        400,
        f"The request signature does not conform to the standards: {reason}. "
        f"server string to sign is:{signatures.ACS3_ALGORITHM}",
    )
