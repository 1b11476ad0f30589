"""Joining as the server sees it: a token works once, a credential is never missing, and a revoked one ends."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from joined import join, join_over_http
from opencen.client import ApiError, Client
from opencen.domain.errors import (
    ConflictError,
    GatewayExistsError,
    InvalidValueError,
    JoinTokenRefusedError,
    UnauthenticatedError,
)
from opencen.domain.failover import MOST_GATEWAYS
from opencen.domain.joining import TokenState
from opencen.domain.nouns import Actor
from opencen.services import audit, gateway_credentials, gateways, joining
from opencen.services.context import Context
from opencen.services.identities import hash_token
from opencen.store.gateways import GatewayRow
from opencen.store.records import Page
from opencen.wire.join_token import JoinTokenText, hash_of_secret
from servers import ServerProcess

HOUR_S = 3600


def use(context: Context, token_id: str, secret: str, credential: str = "made on the host") -> GatewayRow:
    return joining.join(
        context,
        token_id,
        secret,
        name="west",
        credential_sha256=hash_token(credential),
        source_address="192.0.2.7",
        request_id=None,
    )


def refusals(context: Context, admin: Actor, action: str) -> list[str]:
    events = audit.search(context, admin, Page(1, 50)).items
    return [event.after["message"] for event in events if event.outcome == "refused" and event.action == action]


def later(context: Context, seconds: int) -> None:
    now = context.clock()
    context.clock = lambda: now + timedelta(seconds=seconds)


def test_a_host_joins_and_its_credential_is_accepted_from_then_on(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    row = use(context, token.id, secret)
    assert (row.region_id, row.name) == ("us-west-1", "west")
    assert gateway_credentials.authenticate(context, row.id, "made on the host").id == row.id
    (listed,) = joining.find_tokens(context, admin)
    assert (listed[1], listed[0].gateway_id, listed[0].used_from) == (TokenState.USED, row.id, "192.0.2.7")


def test_a_token_used_by_another_host_is_refused_and_the_audit_log_says_so(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    row = use(context, token.id, secret)
    with pytest.raises(JoinTokenRefusedError, match=rf"was used at .* from 192\.0\.2\.7, for {row.id}"):
        use(context, token.id, secret, "a thief's")
    assert any(token.id in message for message in refusals(context, admin, "gateway.join"))


def test_a_host_whose_answer_was_lost_asks_again_and_is_the_same_gateway(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    first = use(context, token.id, secret)
    later(context, 2 * HOUR_S)
    assert use(context, token.id, secret).id == first.id
    gateways.remove(context, admin, first.id)
    with pytest.raises(JoinTokenRefusedError, match="was used"):
        use(context, token.id, secret)


def test_a_token_expires_by_the_servers_clock(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    later(context, HOUR_S)
    with pytest.raises(JoinTokenRefusedError, match="expired at"):
        use(context, token.id, secret)
    assert any("expired" in message for message in refusals(context, admin, "gateway.join"))


def test_a_revoked_token_is_refused_and_a_used_one_cannot_be_revoked(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    joining.revoke_token(context, admin, token.id)
    with pytest.raises(JoinTokenRefusedError, match="was revoked"):
        use(context, token.id, secret)
    other, other_secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    row = use(context, other.id, other_secret)
    with pytest.raises(ConflictError, match=f"for {row.id}: remove that gateway instead"):
        joining.revoke_token(context, admin, other.id)


def test_a_wrong_secret_is_as_unknown_as_a_token_that_never_was(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    said = set()
    for token_id, given in ((token.id, secret[:-1]), ("jt-never", secret)):
        with pytest.raises(JoinTokenRefusedError) as refused:
            use(context, token_id, given)
        said.add(refused.value.message)
    assert len(said) == 1
    assert refusals(context, admin, "gateway.join") == []


def test_a_region_that_has_its_gateways_refuses_and_the_token_is_not_spent(context: Context, admin: Actor) -> None:
    present, *_ = [join(context, admin, "us-west-1") for _ in range(MOST_GATEWAYS)]
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    with pytest.raises(GatewayExistsError):
        use(context, token.id, secret)
    gateways.remove(context, admin, present.id)
    assert use(context, token.id, secret).region_id == "us-west-1"


@pytest.mark.parametrize("lifetime_s", [0, 59, 31 * 24 * HOUR_S])
def test_a_lifetime_beyond_its_bounds_is_refused(context: Context, admin: Actor, lifetime_s: int) -> None:
    with pytest.raises(InvalidValueError, match=f"not for {lifetime_s} s"):
        joining.create_token(context, admin, region_id="us-west-1", lifetime_s=lifetime_s)


def test_old_tokens_are_forgotten(context: Context, admin: Actor) -> None:
    joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    later(context, 31 * 24 * HOUR_S)
    kept, _ = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=HOUR_S)
    assert [token.id for token, _ in joining.find_tokens(context, admin)] == [kept.id]


def test_the_next_credential_is_accepted_beside_the_present_one_until_it_is_used(
    context: Context, admin: Actor
) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=600)
    row = use(context, token.id, secret, "first")
    gateway_credentials.ask_rotation(context, admin, row.id)
    row = gateway_credentials.authenticate(context, row.id, "first")
    assert row.rotation_wanted
    gateway_credentials.offer_next(context, row, hash_token("second"))
    assert gateway_credentials.authenticate(context, row.id, "first")
    assert not gateway_credentials.authenticate(context, row.id, "second").rotation_wanted
    with pytest.raises(UnauthenticatedError):
        gateway_credentials.authenticate(context, row.id, "first")
    assert gateway_credentials.authenticate(context, row.id, "second").token_sha256 == hash_token("second")


def test_an_offer_that_was_never_used_is_replaced_by_the_next(context: Context, admin: Actor) -> None:
    token, secret = joining.create_token(context, admin, region_id="us-west-1", lifetime_s=600)
    row = use(context, token.id, secret, "first")
    for offered in ("second", "third"):
        gateway_credentials.offer_next(context, row, hash_token(offered))
    with pytest.raises(UnauthenticatedError):
        gateway_credentials.authenticate(context, row.id, "second")
    assert gateway_credentials.authenticate(context, row.id, "first")
    assert gateway_credentials.authenticate(context, row.id, "third")


# over HTTP, against a real server


def in_parallel(number: int, work: Callable[[int], object]) -> list[object]:
    """All at the same moment."""
    gate = threading.Barrier(number)

    def one(index: int) -> object:
        gate.wait()
        try:
            return work(index)
        except ApiError as refusal:
            return refusal.code

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def test_of_hosts_that_race_for_one_token_exactly_one_wins(server: ServerProcess) -> None:
    with server.client() as admin:
        made = admin.post("/v1/join-tokens", {"region_id": "us-west-1"})

        def race(number: int) -> object:
            body = {"token": made["text"], "credential_sha256": hash_of_secret(f"host {number}"), "name": str(number)}
            with Client(server.url) as host:
                return host.post("/v1/gateway/join", body)["gateway_id"]

        outcomes = in_parallel(8, race)
        (winner,) = [outcome for outcome in outcomes if outcome != "JoinTokenRefused"]
        (gateway,) = admin.get("/v1/gateways")["items"]
        assert gateway["id"] == winner
        admin.delete(f"/v1/gateways/{winner}")


def test_a_token_is_shown_once_and_its_text_has_no_pin_without_https(server: ServerProcess) -> None:
    with server.client() as admin:
        made = admin.post("/v1/join-tokens", {"region_id": "us-west-1"})
        text = JoinTokenText.parse(made["text"])
        assert (text.id, text.pin, made["pinned"]) == (made["token"]["id"], None, False)
        said = str(admin.get("/v1/join-tokens")) + str(admin.get("/v1/audit"))
        assert text.id in said
        assert text.secret not in said


def test_a_gateway_that_waits_for_news_when_it_is_revoked_is_told_nothing_more(server: ServerProcess) -> None:
    with server.client() as admin:
        credential = join_over_http(admin, "us-west-1")
        instance = admin.post("/v1/instances", {"name": "joined"})
        for region_id, block in (("us-west-1", "10.1.0.0/16"), ("cn-hangzhou", "10.2.0.0/16")):
            network = admin.post("/v1/networks", {"region_id": region_id, "cidr_blocks": [block]})
            admin.post(f"/v1/instances/{instance['id']}/attachments", {"network_id": network["id"]})
        with Client(server.url, credential) as gateway, ThreadPoolExecutor(1) as pool:
            revision = gateway.get("/v1/gateway/state", after=0, wait_s=0)["revision"]
            waiting = pool.submit(gateway.get, "/v1/gateway/state", after=revision, wait_s=25)
            with Client(server.url, credential) as meanwhile:
                meanwhile.get("/v1/gateway/self")
            admin.delete(f"/v1/gateways/{credential.identifier}")
            with pytest.raises(ApiError) as refused:
                waiting.result(5)
            assert refused.value.status == 401


def test_a_gateway_leaves_by_itself(server: ServerProcess) -> None:
    with server.client() as admin:
        credential = join_over_http(admin, "us-west-1")
        with Client(server.url, credential) as gateway:
            gateway.delete("/v1/gateway/self")
            with pytest.raises(ApiError, match="unknown or was revoked"):
                gateway.get("/v1/gateway/self")
        assert admin.get("/v1/gateways")["items"] == []
        assert admin.get("/v1/audit")["items"][0]["action"] == "gateway.leave"


def test_a_credentials_hash_of_another_form_is_refused(server: ServerProcess) -> None:
    with server.client() as admin:
        token = admin.post("/v1/join-tokens", {"region_id": "us-west-1"})["text"]
        for value in ("", "ab", "zz" * 32, secrets.token_urlsafe(32)):
            with pytest.raises(ApiError) as refused:
                admin.post("/v1/gateway/join", {"token": token, "credential_sha256": value})
            assert (refused.value.status, refused.value.problem["field"]) == (400, "credential_sha256")
