"""Both signatures: the reference's vectors, and every request that a real client was recorded sending."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import pytest

from cbn_requests import RECORDED_KEY, KnownKeys, recorded_requests
from opencen.api.cbn.protocol import signature
from opencen.api.cbn.protocol.authenticate import authenticate, read_claim
from opencen.api.cbn.protocol.decode import HttpRequest, decode
from opencen.api.cbn.protocol.errors import RpcError

RECORDINGS = recorded_requests()
SECRET = "testsecret"
LIMIT = {
    "CenId": "cen-abc",
    "LocalRegionId": "cn-hangzhou",
    "OppositeRegionId": "us-west-1",
    "BandwidthLimit": "8",
    "Note": "a b*~ü",
}


def test_version_1_signs_the_reference_vector() -> None:
    parameters = {
        **LIMIT,
        "Action": "SetCenInterRegionBandwidthLimit",
        "Version": "2017-09-12",
        "Format": "JSON",
        "AccessKeyId": "testid",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureType": "",
        "SignatureNonce": "0a1b2c3d",
        "Timestamp": "2026-01-02T03:04:05Z",
        "RegionId": "cn-hangzhou",
    }
    string_to_sign = signature.rpc_string_to_sign("POST", parameters)
    assert string_to_sign == (
        "POST&%2F&AccessKeyId%3Dtestid%26Action%3DSetCenInterRegionBandwidthLimit%26BandwidthLimit%3D8%26CenId%3Dcen-abc"
        "%26Format%3DJSON%26LocalRegionId%3Dcn-hangzhou%26Note%3Da%2520b%252A~%25C3%25BC%26OppositeRegionId%3Dus-west-1"
        "%26RegionId%3Dcn-hangzhou%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D0a1b2c3d%26SignatureType%3D"
        "%26SignatureVersion%3D1.0%26Timestamp%3D2026-01-02T03%253A04%253A05Z%26Version%3D2017-09-12"
    )
    assert signature.rpc_signature(SECRET, string_to_sign) == "bqMfaZrRcGkX1JhyVBZelRSansc="


def test_acs3_signs_the_reference_vector() -> None:
    query = {**LIMIT, "Tag.1.Value": ""}
    empty_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    headers = {
        "host": "127.0.0.1:28471",
        "x-acs-action": "SetCenInterRegionBandwidthLimit",
        "x-acs-version": "2017-09-12",
        "x-acs-date": "2026-01-02T03:04:05Z",
        "x-acs-signature-nonce": "0a1b2c3d4e5f",
        "x-acs-content-sha256": empty_sha256,
    }
    canonical = signature.acs3_canonical_request(
        "POST", "/", query, headers=headers, signed_headers=sorted(headers), payload_sha256=empty_sha256
    )
    assert signature.canonical_query(query) == (
        "BandwidthLimit=8&CenId=cen-abc&LocalRegionId=cn-hangzhou&Note=a%20b%2A~%C3%BC&OppositeRegionId=us-west-1&Tag.1.Value="
    )
    string_to_sign = signature.acs3_string_to_sign(canonical)
    assert string_to_sign.endswith("\nc35d13027c0dc8f7a19ba2530bcd261ef4d160ccffcd6f86e0ccf0067699589a")
    assert (
        signature.acs3_signature(SECRET, string_to_sign)
        == "5a06e79182ca4009e172184a0cf0a07e6b5fc4aa34a8929c8b172c699719531c"
    )


def test_every_recorded_request_of_a_real_client_verifies() -> None:
    keys = KnownKeys(RECORDED_KEY)
    for name, request, arrived_at in RECORDINGS:
        assert authenticate(decode(request), keys, arrived_at) is RECORDED_KEY, name
    assert len(RECORDINGS) == 77


@pytest.mark.parametrize(("name", "request_", "arrived_at"), RECORDINGS, ids=[name for name, *_ in RECORDINGS])
def test_a_recorded_request_with_one_byte_changed_does_not_verify(name, request_, arrived_at) -> None:
    for changed in _with_one_byte_changed(request_):
        with pytest.raises(RpcError) as refusal:
            authenticate(decode(changed), KnownKeys(RECORDED_KEY), arrived_at)
        assert refusal.value.code != "InternalError"


def _with_one_byte_changed(request: HttpRequest) -> list[HttpRequest]:
    """One change in every parameter's name and value, in the method, and in everything that the headers sign."""
    changed = [replace(request, method="GET" if request.method == "POST" else "POST")]
    for pairs, rebuild in (
        (parse_qsl(request.query_string.decode(), keep_blank_values=True), lambda text: {"query_string": text}),
        (parse_qsl(request.body.decode(), keep_blank_values=True), lambda text: {"body": text}),
    ):
        for index, (key, value) in enumerate(pairs):
            for other in ((key, _flipped(value)), (_flipped(key), value)):
                tampered = [*pairs[:index], other, *pairs[index + 1 :]]
                changed.append(replace(request, **rebuild(urlencode(tampered).encode())))
    decoded = decode(request)
    if "authorization" in request.headers:
        parts = signature.parse_acs3_authorization(request.headers["authorization"])
        assert parts is not None
        for header in (*parts.signed_headers, "authorization"):
            flipped = _flipped(request.headers[header])
            changed.append(replace(request, headers={**request.headers, header: flipped}))
        changed.append(replace(request, body=request.body + b"x"))
    assert read_claim(decoded).access_key_id == RECORDED_KEY.access_key_id
    return changed


def _flipped(text: str) -> str:
    """`text` with its last character changed; one character when it is empty."""
    return text[:-1] + ("A" if not text.endswith("A") else "B")
