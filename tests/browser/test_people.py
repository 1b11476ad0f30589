"""Administrators manage people in the console; everybody sets up a second factor, and logs on with it."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import expect

from browser.served import get, send
from browser.viewer import Open, Viewer
from servers import ServerProcess


def code_of(secret: str, *, after: str = "") -> str:
    """A code that was not used yet."""
    generator = TOTP(base64.b32decode(secret.replace(" ", "")), 6, SHA1(), 30)
    while (code := generator.generate(int(time.time())).decode()) == after:
        time.sleep(0.2)
    return code


def test_an_administrator_makes_an_account_with_quotas_a_user_and_a_key(viewer: Viewer, console: ServerProcess) -> None:
    page = viewer.go("/people")
    viewer.button("Create account").click()
    viewer.dialog().get_by_label("Name").fill("research")
    viewer.button("Create", exact=True).click()
    expect(page.get_by_role("cell", name="research")).to_be_visible()
    viewer.button("Limit research").click()
    viewer.dialog().get_by_label("Most instances").fill("many")
    viewer.button("Save").click()
    expect(viewer.dialog()).to_contain_text("A whole number, 0 or more.")
    viewer.dialog().get_by_label("Most instances").fill("3")
    viewer.button("Save").click()
    expect(page.get_by_text("0 / 3")).to_be_visible()
    account_id = next(item["id"] for item in get(console, "/v1/accounts")["items"] if item["name"] == "research")
    assert get(console, f"/v1/accounts/{account_id}/quotas")["instances"] == 3

    viewer.button("Create user").click()
    viewer.dialog().get_by_label("Username").fill("ana")
    viewer.dialog().get_by_label("Account").select_option("research")
    viewer.button("Create", exact=True).click()
    password = page.get_by_role("dialog", name="ana").locator(".oc-mono").inner_text()
    viewer.button("OK", exact=True).click()
    body = {"username": "ana", "password": password}
    assert send(console, "POST", "/v1/sessions", body)["session"]["username"] == "ana"

    viewer.button("Create access key").click()
    viewer.dialog().get_by_label("User").select_option("ana")
    viewer.dialog().get_by_label("Source networks").fill("everywhere")
    viewer.button("Create", exact=True).click()
    expect(viewer.dialog()).to_contain_text("address block")
    viewer.dialog().get_by_label("Source networks").fill("127.0.0.0/8 192.0.2.0/24")
    viewer.button("Create", exact=True).click()
    shown = page.get_by_role("dialog", name="Access keys")
    expect(shown).to_contain_text("Shown this once")
    key_id = shown.locator(".oc-mono").first.inner_text()
    viewer.button("OK", exact=True).click()
    (key,) = (item for item in get(console, "/v1/access-keys")["items"] if item["id"] == key_id)
    assert (key["username"], key["source_networks"]) == ("ana", ["127.0.0.0/8", "192.0.2.0/24"])
    viewer.row(key_id).get_by_role("button", name="Delete").click()
    viewer.dialog().get_by_role("button", name="Delete").click()
    expect(viewer.row(key_id)).to_have_count(0)
    viewer.check_clean()


def test_who_is_no_administrator_sees_nothing_of_it(open_as: Open, console: ServerProcess) -> None:
    account_id = get(console, "/v1/me")["account_id"]
    made = send(console, "POST", "/v1/users", {"username": "plain", "role": "operator", "account_id": account_id})
    viewer = open_as(anonymous=True)
    page = viewer.go("/login")
    page.get_by_label("Username").fill("plain")
    page.get_by_label("Password").fill(made["password"])
    viewer.button("Log on").click()
    page.wait_for_url("**/console/instances**")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    page.goto(f"{console.url}/console/people")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_role("table").count() == 0


@pytest.mark.timeout(180)
def test_a_second_factor_is_set_up_asked_for_and_removed(open_as: Open, console: ServerProcess) -> None:
    account_id = get(console, "/v1/me")["account_id"]
    made = send(console, "POST", "/v1/users", {"username": "careful", "role": "viewer", "account_id": account_id})
    viewer = open_as(anonymous=True)
    page = viewer.go("/login")

    def log_on() -> None:
        page.get_by_label("Username").fill("careful")
        page.get_by_label("Password").fill(made["password"])
        viewer.button("Log on").click()

    log_on()
    page.wait_for_url("**/console/instances**")
    viewer.go("/sessions")
    viewer.button("Set up").click()
    viewer.dialog().get_by_label("Password").fill(made["password"])
    viewer.button("Next").click()
    expect(page.get_by_alt_text("QR code of the secret")).to_be_visible()
    assert page.evaluate("document.querySelector('.oc-qr').naturalWidth") > 0
    secret = page.locator(".oc-dialog .oc-mono").inner_text()
    page.get_by_label("Code").fill("000000")
    viewer.button("Confirm").click()
    expect(viewer.dialog().last).to_contain_text("wrong")
    first = code_of(secret)
    page.get_by_label("Code").fill(first)
    viewer.button("Confirm").click()
    expect(page.get_by_text("Codes of your app are asked for since")).to_be_visible()
    viewer.button("Log off").click()
    page.wait_for_url("**/console/login**")
    viewer.ready()
    expect(page.get_by_label("Code")).to_be_hidden()
    log_on()
    expect(page.get_by_label("Code")).to_be_visible()
    page.get_by_label("Code").fill(code_of(secret, after=first))
    viewer.button("Log on").click()
    page.wait_for_url("**/console/instances**")
    viewer.check_clean()
