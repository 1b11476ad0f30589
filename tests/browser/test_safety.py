"""What the console must not do: run what people type, ask anybody else, or leave a session where scripts find it."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from browser.fake_gateways import FakeGateways
from browser.served import make_network, send, set_connection
from browser.viewer import Open, Viewer
from opencen.console.pages.login import HOME, safe_next
from servers import ServerProcess

SCRIPT = "<img src=x onerror=alert(1)>"
PAGES = ("/instances", "/networks", "/packages", "/gateways", "/audit", "/sessions")
TABS = ("networks", "packages", "connections", "map", "audit")


def test_names_that_are_html_show_as_text_everywhere(
    viewer: Viewer, console: ServerProcess, gateways: FakeGateways
) -> None:
    made = make_network(console, SCRIPT)
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 3)
    send(console, "PATCH", f"/v1/instances/{made['cen_id']}", {"description": "{{ 7 * 7 }} </script>" + SCRIPT})
    page = viewer.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in (*PAGES, *(f"/instances/{made['cen_id']}?tab={tab}" for tab in TABS)):
        viewer.go(path)
        expect(page.locator("table, svg.oc-map").first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0, path
        assert "49" not in page.locator(".oc-facts").all_inner_texts(), path
    viewer.instance(made["cen_id"], "packages")
    expect(page.get_by_text(f"{SCRIPT} 20M").first).to_be_visible()
    expect(page.get_by_text("{{ 7 * 7 }} </script>" + SCRIPT)).to_be_visible()
    viewer.button(f"Modify {SCRIPT} 20M").click()
    expect(viewer.dialog().get_by_role("heading")).to_contain_text(SCRIPT)
    viewer.dialog().get_by_role("button", name="Save").click()
    viewer.instance(made["cen_id"], "connections")
    viewer.button("Set Region Connection").click()
    expect(viewer.dialog().get_by_label("Bandwidth Package")).to_contain_text(SCRIPT)
    assert page.locator("img[src=x]").count() == 0
    assert dialogs == []


def test_no_script_can_read_the_session(viewer: Viewer) -> None:
    page = viewer.go()
    assert "ses-" not in page.evaluate("document.cookie")
    assert "ses-" not in page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert "ses-" not in page.content()
    cookie = next(item for item in page.context.cookies() if item["name"] == "opencen_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/console")


def test_pages_may_load_and_tell_nothing_elsewhere(console: ServerProcess) -> None:
    answer = httpx.get(f"{console.url}/console/login", trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.findall(r"https?://(?!www\.w3\.org)", answer.text)


@pytest.mark.parametrize("target", ["https://x.example/", "//x.example", "/console//x.example", "/console/\\x", None])
def test_logging_on_leads_nowhere_else(target: str | None) -> None:
    assert safe_next(target) == HOME


def test_a_session_is_ended_from_another_browser_and_its_pages_leave(open_as: Open, console: ServerProcess) -> None:
    lost, owner = open_as(anonymous=True), open_as()
    lost.log_on()
    expect(lost.page.get_by_role("heading", name="CEN Instances")).to_be_visible()
    owner.go("/sessions")
    expect(owner.page.get_by_text("This session")).to_be_visible()
    sessions = owner.page.locator("tbody tr").count()
    owner.page.locator("tbody tr", has_not_text="This session").first.get_by_role("button").click()
    expect(owner.page.locator("tbody tr")).to_have_count(sessions - 1)
    lost.page.wait_for_url("**/console/login?ended=1**", timeout=25_000)
    expect(lost.page.get_by_text("Your session has ended.")).to_be_visible()


def test_a_ticket_is_worth_nothing_in_another_browser(console: ServerProcess) -> None:
    with httpx.Client(base_url=console.url, trust_env=False) as client:
        refused = client.get("/console/enter", params={"ticket": "guessed", "next": "/console/instances"})
        assert refused.headers["location"] == "/console/login"
        assert "opencen_session" not in client.cookies
