"""Requests for the RPC API's tests: recorded ones of real clients, and signed ones made here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from opencen.api.cbn.protocol import signature
from opencen.api.cbn.protocol.decode import HttpRequest
from opencen.domain.nouns import AccessKey, Role

RECORDED = Path(__file__).parent.parent / "fixtures" / "signed-requests"
RECORDED_KEY = AccessKey("AKTESTTESTTEST", "SKTESTTESTTEST", "acc-1", "usr-1", "admin", Role.ADMINISTRATOR, active=True)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class KnownKeys:
    """Access keys and nonces in memory."""

    def __init__(self, *keys: AccessKey) -> None:
        self.keys = {key.access_key_id: key for key in keys}
        self.nonces: dict[tuple[str, str], int] = {}

    def admit(self, key: AccessKey, source_address: str | None) -> bool:
        return True

    def take_turn(self, access_key_id: str) -> float:
        return 0.0

    def find_access_key(self, access_key_id: str) -> AccessKey | None:
        return self.keys.get(access_key_id)

    def remember_nonce(self, access_key_id: str, nonce: str, expires_at_s: int) -> bool:
        if (access_key_id, nonce) in self.nonces:
            return False
        self.nonces[access_key_id, nonce] = expires_at_s
        return True


def recorded_requests() -> list[tuple[str, HttpRequest, datetime]]:
    """Each recorded request with a name and the time at which it arrived."""
    found = []
    for file in sorted(RECORDED.glob("*.jsonl")):
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            recorded = json.loads(line)
            path, _, query = recorded["target"].partition("?")
            headers = {name.lower(): value for name, value in recorded["headers"]}
            request = HttpRequest(recorded["method"], path, query.encode(), headers, recorded["body"].encode())
            found.append((f"{file.stem}:{number}", request, datetime.fromtimestamp(recorded["t"], UTC)))
    return found


def rpc_request(
    parameters: Mapping[str, str],
    *,
    key: AccessKey = RECORDED_KEY,
    method: str = "POST",
    in_form: Iterable[str] = (),
    nonce: str = "n-1",
    timestamp: str = "2026-01-02T03:04:05Z",
    system: Mapping[str, str] | None = None,
) -> HttpRequest:
    """A version 1.0 request; parameters named in `in_form` travel in the body."""
    given = {
        "Version": "2017-09-12",
        "Format": "JSON",
        "AccessKeyId": key.access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce,
        "Timestamp": timestamp,
        **(system or {}),
        **parameters,
    }
    given["Signature"] = signature.rpc_signature(key.secret, signature.rpc_string_to_sign(method, given))
    form_names = set(in_form)
    form = urlencode({name: value for name, value in given.items() if name in form_names})
    query = urlencode({name: value for name, value in given.items() if name not in form_names})
    headers = {"host": "127.0.0.1:8400"}
    if form:
        headers["content-type"] = "application/x-www-form-urlencoded"
    return HttpRequest(method, "/", query.encode(), headers, form.encode(), "127.0.0.1")


def acs3_request(
    action: str,
    parameters: Mapping[str, str],
    *,
    key: AccessKey = RECORDED_KEY,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    signed: Iterable[str] | None = None,
) -> HttpRequest:
    """An ACS3-HMAC-SHA256 request with `parameters` in the query; all headers are signed unless `signed` says which."""
    payload_sha256 = hashlib.sha256(body).hexdigest()
    given = {
        "host": "127.0.0.1:28471",
        "x-acs-action": action,
        "x-acs-version": "2017-09-12",
        "x-acs-date": "2026-01-02T03:04:05Z",
        "x-acs-signature-nonce": "0a1b2c3d4e5f",
        "x-acs-content-sha256": payload_sha256,
        **(headers or {}),
    }
    names = sorted(signed if signed is not None else given)
    canonical = signature.acs3_canonical_request(
        "POST", "/", parameters, headers=given, signed_headers=names, payload_sha256=payload_sha256
    )
    value = signature.acs3_signature(key.secret, signature.acs3_string_to_sign(canonical))
    authorization = f"ACS3-HMAC-SHA256 Credential={key.access_key_id},SignedHeaders={';'.join(names)},Signature={value}"
    return HttpRequest(
        "POST", "/", urlencode(parameters).encode(), {**given, "authorization": authorization}, body, "127.0.0.1"
    )


def with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    return replace(request, headers={**request.headers, name: value})
