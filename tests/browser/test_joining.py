"""An operator lets a host join from the console: the command is shown once, its token works once."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import expect

from browser.viewer import Viewer
from opencen.client import Client
from opencen.wire.join_token import hash_of_secret
from servers import ServerProcess

pytestmark = pytest.mark.usefixtures("gateways")
REGION_ID = "ap-southeast-1"


def add_gateway(viewer: Viewer, region_id: str) -> str:
    """The command that is shown."""
    viewer.button("Add gateway").click()
    form = viewer.dialog().last
    form.get_by_label("Region").select_option(region_id)
    form.get_by_label("A host may join within").select_option(label="1 day")
    form.get_by_role("button", name="Show the command").click()
    shown = viewer.dialog().filter(has_text="Run this on the host")
    command = shown.locator(".oc-secret")
    expect(command).to_contain_text("opencen gateway join https://HOST:PORT --token jt-")
    expect(shown).to_contain_text("HOST:PORT is this server's address as that host reaches it.")
    text = command.inner_text()
    shown.get_by_role("button", name="I have copied it").click()
    expect(viewer.dialog()).to_have_count(0)
    return text


def test_the_command_that_is_shown_makes_a_host_a_gateway_once(viewer: Viewer, console: ServerProcess) -> None:
    page = viewer.go("/gateways")
    token = add_gateway(viewer, REGION_ID).rpartition(" ")[2]
    row = viewer.row(token.partition(".")[0])
    expect(row).to_contain_text("admin")
    body = {"token": token, "credential_sha256": hash_of_secret(secrets.token_urlsafe(32)), "name": "from the console"}
    with Client(console.url) as host:
        gateway_id = host.post("/v1/gateway/join", body)["gateway_id"]
    expect(viewer.cell(gateway_id, "state")).to_contain_text("Never heard from")
    expect(row).to_have_count(0)
    assert token not in page.content()

    page.get_by_role("link", name=gateway_id).click()
    viewer.button("Rotate credential").click()
    viewer.dialog().get_by_role("button", name="Rotate credential").click()
    expect(page.get_by_text("asked to make a new one")).to_be_visible()
    viewer.button("Revoke and remove").click()
    viewer.dialog().get_by_role("button", name="Revoke and remove").click()
    page.wait_for_url(re.compile(r"/console/gateways$"))
    expect(page.get_by_role("link", name=gateway_id)).to_have_count(0)


def test_a_token_that_is_not_used_yet_is_revoked(viewer: Viewer, console: ServerProcess) -> None:
    viewer.go("/gateways")
    token_id = add_gateway(viewer, REGION_ID).rpartition(" ")[2].partition(".")[0]
    viewer.button(f"Revoke {token_id}").click()
    expect(viewer.row(token_id)).to_have_count(0)
    with console.client() as admin:
        (token,) = [item for item in admin.get("/v1/join-tokens")["items"] if item["id"] == token_id]
    assert token["state"] == "revoked"
