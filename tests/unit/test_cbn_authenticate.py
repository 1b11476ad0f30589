"""Who is let in, and with which words the others are refused."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cbn_requests import NOW, RECORDED_KEY, KnownKeys, acs3_request, rpc_request, with_header
from opencen.api.cbn.protocol.authenticate import authenticate
from opencen.api.cbn.protocol.decode import HttpRequest, decode
from opencen.api.cbn.protocol.errors import RpcError
from opencen.domain.nouns import AccessKey

DESCRIBE = {"Action": "DescribeCens"}
ACS3 = acs3_request("DescribeCens", {})
INACTIVE = replace(RECORDED_KEY, access_key_id="AKINACTIVE", active=False)
STRANGER = replace(RECORDED_KEY, access_key_id="AKSTRANGER")
TEMPORARY = replace(RECORDED_KEY, access_key_id="STS.abc")


def _refusal(request: HttpRequest, keys: KnownKeys | None = None, now=NOW) -> RpcError:
    with pytest.raises(RpcError) as refusal:
        authenticate(decode(request), keys or KnownKeys(RECORDED_KEY, INACTIVE), now)
    return refusal.value


def _accepted(request: HttpRequest, now=NOW) -> AccessKey:
    return authenticate(decode(request), KnownKeys(RECORDED_KEY), now)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_version_1_parameters_may_travel_in_query_and_form(method: str) -> None:
    assert _accepted(rpc_request({**DESCRIBE, "Tag.1.Value": ""}, method=method, in_form=["Tag.1.Value", "Format"]))


def test_a_clock_may_differ_by_15_minutes_either_way() -> None:
    for difference in (timedelta(minutes=15), timedelta(minutes=-15)):
        assert _accepted(rpc_request(DESCRIBE), now=NOW + difference)
    for difference in (timedelta(minutes=15, seconds=1), timedelta(minutes=-15, seconds=-1)):
        refusal = _refusal(rpc_request(DESCRIBE), now=NOW + difference)
        assert (refusal.code, refusal.http_status) == ("InvalidTimeStamp.Expired", 400)


def test_a_nonce_is_accepted_once_and_remembered_for_as_long_as_its_timestamp_is_valid() -> None:
    keys = KnownKeys(RECORDED_KEY)
    request = decode(rpc_request(DESCRIBE))
    authenticate(request, keys, NOW)
    with pytest.raises(RpcError) as refusal:
        authenticate(request, keys, NOW)
    assert (refusal.value.code, refusal.value.http_status) == ("SignatureNonceUsed", 400)
    assert keys.nonces == {(RECORDED_KEY.access_key_id, "n-1"): int((NOW + timedelta(minutes=15)).timestamp())}


def test_a_request_with_a_wrong_signature_does_not_use_up_its_nonce() -> None:
    keys = KnownKeys(RECORDED_KEY)
    forged = replace(RECORDED_KEY, secret="guess")
    assert _refusal(rpc_request(DESCRIBE, key=forged), keys).code == "SignatureDoesNotMatch"
    assert authenticate(decode(rpc_request(DESCRIBE)), keys, NOW)


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        (rpc_request(DESCRIBE, key=STRANGER), "InvalidAccessKeyId.NotFound", 404),
        (rpc_request(DESCRIBE, system={"AccessKeyId": "a\0b"}), "InvalidAccessKeyId.NotFound", 404),
        (rpc_request(DESCRIBE, key=INACTIVE), "InvalidAccessKeyId.Inactive", 400),
        (rpc_request(DESCRIBE, key=TEMPORARY), "MissingSecurityToken", 400),
        (rpc_request(DESCRIBE, system={"SecurityToken": "t"}), "InvalidSecurityToken.Malformed", 400),
        (rpc_request(DESCRIBE, system={"SignatureMethod": "HMAC-MD5"}), "InvalidSignatureMethod", 400),
        (rpc_request(DESCRIBE, system={"SignatureType": "PRIVATEKEY"}), "InvalidSignatureMethod", 400),
        (rpc_request(DESCRIBE, system={"SignatureVersion": "2.0"}), "InvalidSignatureVersion", 400),
        (rpc_request(DESCRIBE, timestamp="2026-01-02 03:04:05"), "InvalidTimeStamp.Format", 400),
        (rpc_request(DESCRIBE, timestamp="2026-13-02T03:04:05Z"), "InvalidTimeStamp.Format", 400),
        (rpc_request(DESCRIBE, nonce="x" * 129), "InvalidParameter", 400),
        (with_header(ACS3, "x-acs-security-token", "t"), "InvalidSecurityToken.Malformed", 400),
        (with_header(ACS3, "authorization", "ACS3-HMAC-SM3 x"), "InvalidSignatureMethod", 400),
        (with_header(ACS3, "authorization", "ACS3-HMAC-SHA256 x"), "IncompleteSignature", 400),
        (acs3_request("DescribeCens", {}, signed=["host", "x-acs-date"]), "IncompleteSignature", 400),
        (replace(acs3_request("DescribeCens", {}), body=b"x"), "SignatureDoesNotMatch", 400),
    ],
)  # fmt: skip
def test_a_caller_who_is_not_let_in_is_told_why(request_: HttpRequest, code: str, status: int) -> None:
    refusal = _refusal(request_)
    assert (refusal.code, refusal.http_status) == (code, status)


@pytest.mark.parametrize(
    "name", ["AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"]
)
def test_a_missing_system_parameter_is_named(name: str) -> None:
    parameters = [
        pair for pair in rpc_request(DESCRIBE).query_string.decode().split("&") if not pair.startswith(f"{name}=")
    ]
    refusal = _refusal(replace(rpc_request(DESCRIBE), query_string="&".join(parameters).encode()))
    assert (refusal.code, refusal.http_status) == ("MissingParameter", 400)
    assert f'"{name}"' in refusal.message


@pytest.mark.parametrize(
    "request_",
    [
        rpc_request(DESCRIBE, key=replace(RECORDED_KEY, secret="wrong")),
        acs3_request("DescribeCens", {}, key=replace(RECORDED_KEY, secret="wrong")),
        acs3_request("DescribeCens", {}, signed=["host"]),
    ],
)
def test_a_wrong_signature_says_what_the_server_would_have_signed(request_: HttpRequest) -> None:
    assert "server string to sign is:" in _refusal(request_).message


def test_a_content_md5_that_a_client_sends_is_checked() -> None:
    request = rpc_request({**DESCRIBE, "Name": "x"}, in_form=["Name"])
    right = base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert _accepted(with_header(request, "content-md5", right))
    for wrong in (base64.b64encode(bytes(16)).decode(), "not base64"):
        assert _refusal(with_header(request, "content-md5", wrong)).code == "ContentMD5NotMatched"


def test_acs3_bodies_carry_parameters_as_form_or_json() -> None:
    document = {"Name": "ü", "Bandwidth": 5, "AutoPay": True, "Tag": [{"Key": "k", "Value": "v"}], "Filter": None}
    as_json = acs3_request(
        "CreateCen", {"CenId": "c"}, body=json.dumps(document).encode(), headers={"content-type": "application/json"}
    )
    assert _accepted(as_json)
    assert decode(as_json).parameters == {
        "CenId": "c", "Name": "ü", "Bandwidth": "5", "AutoPay": "true", "Tag.1.Key": "k", "Tag.1.Value": "v",
    }  # fmt: skip
    as_form = acs3_request(
        "CreateCen", {}, body=b"Name=a+b", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert _accepted(as_form)
    assert decode(as_form).parameters == {"Name": "a b"}


def test_a_json_body_counts_for_nothing_with_a_signature_that_does_not_cover_it() -> None:
    request = with_header(replace(rpc_request(DESCRIBE), body=b'{"Name": "x"}'), "content-type", "application/json")
    assert "Name" not in decode(request).parameters


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'{"a":' * 20 + b"1" + b"}" * 20])
def test_a_json_body_that_is_no_flat_object_is_refused(body: bytes) -> None:
    with pytest.raises(RpcError) as refusal:
        decode(acs3_request("CreateCen", {}, body=body, headers={"content-type": "application/json"}))
    assert refusal.value.code == "InvalidParameter"
