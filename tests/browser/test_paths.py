"""The things that people do in the console, each from the click to what they see, against a real server."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from browser.fake_gateways import FakeGateways
from browser.served import get, make_network, password_of, send, set_connection
from browser.viewer import Open, Viewer
from servers import ServerProcess, running_server

pytestmark = pytest.mark.usefixtures("gateways")


def test_logging_on_and_off(open_as: Open) -> None:
    viewer = open_as(anonymous=True)
    page = viewer.go("/gateways")
    expect(page).to_have_url(re.compile(r"/console/login\?next="))
    viewer.log_on("not-the-password")
    expect(page.get_by_role("alert")).to_have_text("The username or the password is wrong")
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Username")).to_have_value("admin")
    viewer.log_on()
    expect(page.get_by_role("heading", name="CEN Instances")).to_be_visible()
    viewer.button("Log off").click()
    expect(page).to_have_url(re.compile("/console/login$"))
    page.goto(f"{viewer.server.url}/console/gateways")
    expect(page).to_have_url(re.compile("/console/login"))


def test_logging_on_leads_to_the_page_that_was_asked_for(open_as: Open) -> None:
    viewer = open_as(anonymous=True)
    page = viewer.go("/instances?search=nothing-like-it")
    username, password = password_of(viewer.server)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/console/instances\?search=nothing-like-it"))


def test_a_first_time_visitor_is_led_to_the_first_region_connection(
    open_as: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_server(tmp_path_factory.mktemp("empty") / "data") as empty:
        viewer = open_as(server=empty)
        page = viewer.page
        viewer.log_on()
        steps = page.locator(".oc-step")
        expect(steps).to_have_count(4)
        steps.nth(0).get_by_role("button", name="Create CEN instance").click()
        viewer.dialog().get_by_label("Name").fill("first")
        viewer.dialog().get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="first", exact=True)).to_be_visible()
        viewer.ready()
        for region, block in (("us-west-1", "10.1.0.0/16"), ("cn-hangzhou", "10.2.0.0/16")):
            steps.nth(1).get_by_role("link", name="Attach network").click()
            dialog = viewer.dialog()
            dialog.get_by_label("Region").select_option(region)
            dialog.get_by_label("Address blocks").fill(block)
            dialog.get_by_role("button", name="Attach").click()
            expect(page.locator("tr", has_text=region)).to_be_visible()
            expect(dialog).to_be_hidden()
        steps.nth(2).get_by_role("link", name="Buy bandwidth package").click()
        dialog = viewer.dialog()
        dialog.get_by_label("Bandwidth").fill("20")
        dialog.get_by_role("button", name="Buy and bind").click()
        expect(page.locator("tr", has_text="cenbwp-")).to_be_visible()
        steps.nth(3).get_by_role("link", name="Set Region Connection").click()
        dialog = viewer.dialog()
        dialog.get_by_role("spinbutton", name="Bandwidth").fill("10")
        dialog.get_by_role("button", name="OK").click()
        expect(page.locator("td", has_text="Active, not enforced")).to_be_visible()
        expect(page.locator("td", has_text="has no gateway").first).to_be_visible()
        expect(steps).to_have_count(0)
        viewer.check_clean()


def test_instances_are_searched_created_renamed_and_deleted(viewer: Viewer) -> None:
    page = viewer.go()
    viewer.button("Create CEN instance").first.click()
    viewer.dialog().get_by_label("Name").fill("of the shop")
    viewer.dialog().get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="of the shop")).to_be_visible()
    cen_id = page.url.split("/instances/")[1].split("?")[0]
    viewer.go()
    page.get_by_label("Search by name or ID").fill("the shop")
    expect(viewer.row(cen_id)).to_contain_text("of the shop")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"search=the\+shop"))
    viewer.button("Rename of the shop").click()
    viewer.dialog().get_by_label("Name").fill("of the shops")
    viewer.dialog().get_by_role("button", name="Save").click()
    expect(viewer.row(cen_id)).to_contain_text("of the shops")
    viewer.button("Delete of the shops").click()
    viewer.dialog().get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No instance has this in its name or ID.")).to_be_visible()


def test_the_id_of_an_instance_leads_to_its_page_with_its_tabs(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "tabs")
    page = viewer.go("/instances?search=tabs")
    page.get_by_role("link", name=made["cen_id"]).click()
    tabs = page.get_by_role("navigation", name="Parts of this instance").get_by_role("link")
    expect(tabs).to_have_text(["Networks4", "Bandwidth Packages1", "Region Connections0", "Map", "Plan", "Audit"])
    for name, tab in (
        ("Networks", "networks"),
        ("Bandwidth Packages", "packages"),
        ("Map", "map"),
        ("Plan", "plan"),
        ("Audit", "audit"),
    ):
        tabs.filter(has_text=name).click()
        expect(page).to_have_url(re.compile(f"tab={tab}"))
        expect(tabs.filter(has_text=name)).to_have_attribute("aria-current", "page")


def test_setting_a_region_connection_until_it_is_active_and_measured(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "setting")
    identifier = f"{made['cen_id']}:cn-hangzhou:us-west-1"
    page = viewer.instance(made["cen_id"], "connections")
    viewer.button("Set Region Connection").click()
    dialog = viewer.dialog()
    expect(dialog.get_by_label("Bandwidth Package")).to_contain_text("setting 20M · 20 Mbit/s, 20 free")
    first, second = dialog.get_by_label("First connected region"), dialog.get_by_label("Second connected region")
    assert first.locator("option").all_inner_texts() == [
        "China East 1 (Hangzhou)",
        "China East 2 (Shanghai)",
        "China South 1 (Shenzhen)",
    ]
    assert second.locator("option").all_inner_texts() == ["US West 1 (Silicon Valley)"]
    slider = dialog.get_by_role("slider")
    slider.evaluate("(it) => { it.value = 12; it.dispatchEvent(new Event('input', { bubbles: true })); }")
    expect(dialog.get_by_text("this pair takes 12, 8 stay free")).to_be_visible()
    dialog.get_by_role("spinbutton", name="Bandwidth").fill("10")
    expect(dialog.get_by_text("this pair takes 10, 10 stay free")).to_be_visible()
    dialog.get_by_role("button", name="OK").click()
    expect(viewer.cell(identifier, "bandwidth")).to_contain_text("10 Mbit/s")
    expect(viewer.cell(identifier, "status")).to_have_text("Active")
    expect(viewer.cell(identifier, "kernel")).to_contain_text(re.compile(r"10.Mbit/s.*10.Mbit/s", re.S))
    expect(viewer.cell(identifier, "measured")).to_contain_text(re.compile(r"5.Mbit/s.*5.Mbit/s", re.S))

    viewer.button("Set Region Connection").click()
    viewer.dialog().get_by_label("First connected region").select_option("cn-shanghai")
    amount = viewer.dialog().get_by_role("spinbutton", name="Bandwidth")
    amount.fill("11")
    viewer.dialog().get_by_role("button", name="OK").click()
    expect(viewer.dialog().get_by_role("alert")).to_have_text(
        "20 Mbit/s bound, 10 allocated, 10 free, 11 asked; at most 10 would fit"
    )
    expect(amount).to_have_value("11")
    expect(amount).to_be_focused()
    amount.fill("10")
    page.keyboard.press("Enter")
    expect(viewer.cell(f"{made['cen_id']}:cn-shanghai:us-west-1", "status")).to_have_text("Active")


def test_modifying_and_deleting_beside_the_value(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "modifying")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    identifier = f"{made['cen_id']}:cn-hangzhou:us-west-1"
    viewer.instance(made["cen_id"], "connections")
    bandwidth = viewer.cell(identifier, "bandwidth")
    bandwidth.get_by_role("button", name="Modify").click()
    viewer.dialog().get_by_role("spinbutton", name="Bandwidth").fill("8")
    viewer.dialog().get_by_role("button", name="OK").click()
    expect(bandwidth).to_contain_text("8 Mbit/s")
    expect(viewer.cell(identifier, "kernel")).to_contain_text(re.compile(r"8.Mbit/s.*8.Mbit/s", re.S))
    bandwidth.get_by_role("button", name="Delete").click()
    expect(viewer.dialog()).to_contain_text("falls back from 8 Mbit/s to 1 kbit/s")
    viewer.dialog().get_by_role("button", name="Delete").click()
    expect(viewer.row(identifier)).to_have_count(0)
    assert get(console, "/v1/region-connections", cen_id=made["cen_id"])["total"] == 0


def test_two_people_editing_the_same_connection_are_told_both_values(open_as: Open, console: ServerProcess) -> None:
    made = make_network(console, "two-people")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    viewer = open_as()
    identifier = f"{made['cen_id']}:cn-hangzhou:us-west-1"
    viewer.instance(made["cen_id"], "connections")
    viewer.cell(identifier, "bandwidth").get_by_role("button", name="Modify").click()
    amount = viewer.dialog().get_by_role("spinbutton", name="Bandwidth")
    amount.fill("12")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 7)
    viewer.dialog().get_by_role("button", name="OK").click()
    expect(viewer.dialog().get_by_role("alert")).to_have_text(
        "Somebody else changed this meanwhile. You saw 10 Mbit/s; it is now 7 Mbit/s. OK again sets your 12 Mbit/s."
    )
    expect(amount).to_have_value("12")
    assert get(console, "/v1/region-connections", cen_id=made["cen_id"])["items"][0]["bandwidth_mbps"] == 7
    viewer.dialog().get_by_role("button", name="OK").click()
    expect(viewer.cell(identifier, "bandwidth")).to_contain_text("12 Mbit/s")


def test_two_people_renaming_the_same_instance_are_told(viewer: Viewer, console: ServerProcess) -> None:
    cen_id = send(console, "POST", "/v1/instances", {"name": "before"})["id"]
    viewer.go("/instances?search=before")
    viewer.button("Rename before").click()
    viewer.dialog().get_by_label("Name").fill("before, mine")
    send(console, "PATCH", f"/v1/instances/{cen_id}", {"name": "before, theirs"})
    viewer.dialog().get_by_role("button", name="Save").click()
    expect(viewer.dialog().get_by_role("alert")).to_contain_text("its name is now 'before, theirs'")
    expect(viewer.dialog().get_by_label("Name")).to_have_value("before, mine")
    viewer.dialog().get_by_role("button", name="Save").click()
    expect(viewer.row(cen_id)).to_contain_text("before, mine")


def test_packages_are_bought_bound_resized_unbound_and_deleted(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "packages")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 6)
    page = viewer.instance(made["cen_id"], "packages")
    held = viewer.cell(made["package_id"], "held")
    expect(held).to_contain_text("cn-hangzhou – us-west-1: 6 Mbit/s")
    expect(held.get_by_role("img")).to_have_accessible_name("20 Mbit/s, 6 allocated, 14 free")

    viewer.button("Modify packages 20M").click()
    viewer.dialog().get_by_label("Bandwidth").fill("5")
    viewer.dialog().get_by_role("button", name="Save").click()
    expect(viewer.dialog().get_by_role("alert")).to_have_text(
        "6 of 20 Mbit/s are allocated to region connections; 5 is too little"
    )
    viewer.dialog().get_by_label("Bandwidth").fill("30")
    viewer.dialog().get_by_role("button", name="Save").click()
    expect(viewer.cell(made["package_id"], "free")).to_contain_text("24 Mbit/s")

    viewer.button("Unbind packages 20M").click()
    viewer.dialog().get_by_role("button", name="Unbind").click()
    expect(viewer.dialog().get_by_role("alert")).to_contain_text("delete those first")
    viewer.dialog().get_by_role("button", name="Cancel").click()
    path = f"/v1/instances/{made['cen_id']}/region-connections/us-west-1/cn-hangzhou"
    send(console, "DELETE", path)
    viewer.button("Unbind packages 20M").click()
    viewer.dialog().get_by_role("button", name="Unbind").click()
    expect(page.get_by_text("No package bound yet.")).to_be_visible()
    viewer.button("Bind package").click()
    viewer.dialog().get_by_label("Package").select_option(made["package_id"])
    viewer.dialog().get_by_role("button", name="Bind").click()
    expect(viewer.row(made["package_id"])).to_be_visible()

    viewer.go("/packages")
    viewer.button("Buy bandwidth package").click()
    viewer.dialog().get_by_label("Bandwidth").fill("7")
    viewer.dialog().get_by_label("Name").fill("spare")
    viewer.dialog().get_by_role("button", name="Buy").click()
    expect(page.locator("tr", has_text="spare")).to_contain_text("not bound")
    viewer.button("Delete spare").click()
    viewer.dialog().get_by_role("button", name="Delete").click()
    expect(page.locator("tr", has_text="spare")).to_have_count(0)


def test_networks_are_attached_and_detached(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "attaching")
    body = {"region_id": "us-west-1", "cidr_blocks": ["10.77.0.0/16"], "name": "loose"}
    loose = send(console, "POST", "/v1/networks", body)["id"]
    page = viewer.instance(made["cen_id"], "networks")
    expect(viewer.cell(made["networks"]["us-west-1"], "carried")).to_have_text("Carried")
    viewer.button("Attach network").click()
    viewer.dialog().get_by_label("Network", exact=True).select_option(loose)
    viewer.dialog().get_by_role("button", name="Attach").click()
    expect(viewer.row(loose)).to_contain_text("10.77.0.0/16")
    viewer.button("Detach loose").click()
    expect(viewer.dialog()).to_contain_text("Region connections of US West 1 (Silicon Valley) stay")
    viewer.dialog().get_by_role("button", name="Detach").click()
    expect(viewer.row(loose)).to_have_count(0)

    viewer.button("Attach network").click()
    dialog = viewer.dialog()
    dialog.get_by_label("Network", exact=True).select_option("new")
    dialog.get_by_label("Address blocks").fill("fd00::/64")
    dialog.get_by_role("button", name="Attach").click()
    expect(dialog.get_by_role("alert")).to_contain_text("IPv6")
    expect(dialog.get_by_label("Address blocks")).to_have_value("fd00::/64")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_gateways_say_what_they_can_and_what_they_enforce(
    viewer: Viewer, console: ServerProcess, gateways: FakeGateways
) -> None:
    made = make_network(console, "gateways")
    set_connection(console, made["cen_id"], "us-west-1", "cn-shenzhen", 9)
    page = viewer.go("/gateways")
    gateway_id = gateways.by_region["cn-shenzhen"].credential.identifier
    expect(viewer.cell(gateway_id, "state")).to_contain_text("Live")
    expect(viewer.cell(gateway_id, "capabilities")).to_contain_text("fq_codel · encryption: wireguard")
    page.get_by_role("link", name=gateway_id).click()
    row = viewer.row(f"{made['cen_id']}:cn-shenzhen:us-west-1")
    expect(row.locator('[data-column="kernel"]')).to_contain_text("9 Mbit/s")
    expect(row.locator('[data-column="measured"]')).to_contain_text("4.5 Mbit/s")


def test_the_map_shows_connections_and_a_click_modifies_one(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "map")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    set_connection(console, made["cen_id"], "us-west-1", "cn-shanghai", 5)
    page = viewer.instance(made["cen_id"], "map")
    expect(page.locator(".oc-map-node")).to_have_count(4)
    expect(page.locator(".oc-map-area text")).to_have_text(["North America", "Mainland China"])
    wide = page.locator(f'[data-edge="{made["cen_id"]}:cn-hangzhou:us-west-1"]')
    thin = page.locator(f'[data-edge="{made["cen_id"]}:cn-shanghai:us-west-1"]')
    width = "(it) => Number(it.querySelector('.oc-map-line').getAttribute('stroke-width'))"
    assert wide.evaluate(width) == 2 * thin.evaluate(width)
    expect(wide).to_contain_text("50 % used")
    thin.focus()
    page.keyboard.press("Enter")
    viewer.dialog().get_by_role("spinbutton", name="Bandwidth").fill("10")
    viewer.dialog().get_by_role("button", name="OK").click()
    expect(thin).to_contain_text("10 Mbit/s")
    assert thin.evaluate(width) == wide.evaluate(width)


def test_changes_and_refusals_of_others_appear_without_reloading(viewer: Viewer, console: ServerProcess) -> None:
    made = make_network(console, "live")
    page = viewer.instance(made["cen_id"], "connections")
    expect(page.get_by_text("No region connection set.")).to_be_visible()
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 3)
    expect(viewer.cell(f"{made['cen_id']}:cn-hangzhou:us-west-1", "status")).to_have_text("Active")
    expect(page.get_by_role("link", name="Region Connections")).to_contain_text("1")
    viewer.instance(made["cen_id"], "audit")
    with pytest.raises(Exception, match="BandwidthExceeded"):
        set_connection(console, made["cen_id"], "us-west-1", "cn-shanghai", 18)
    expect(page.locator("tbody tr").first).to_contain_text("18 asked")
    expect(page.locator("tbody tr").first).to_contain_text("Refused")
