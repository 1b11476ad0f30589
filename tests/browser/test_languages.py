"""The viewer's language, time zone and theme."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from browser.served import get, make_network, set_connection
from browser.viewer import Open, Viewer
from servers import ServerProcess

pytestmark = pytest.mark.usefixtures("gateways")


def test_a_chinese_browser_gets_chinese(open_as: Open, console: ServerProcess) -> None:
    made = make_network(console, "中文")
    set_connection(console, made["cen_id"], "us-west-1", "cn-hangzhou", 10)
    viewer = open_as(locale="zh-CN")
    page = viewer.instance(made["cen_id"], "connections")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("link", name="跨地域互通")).to_be_visible()
    row = viewer.row(f"{made['cen_id']}:cn-hangzhou:us-west-1")
    expect(row).to_contain_text("华东1（杭州） – 美国西部1（硅谷）")
    expect(row).to_contain_text("可用")
    viewer.button("设置跨地域带宽").click()
    viewer.dialog().get_by_role("spinbutton").fill("21")
    viewer.dialog().get_by_role("button", name="确定").click()
    expect(viewer.dialog().get_by_role("alert")).to_have_text(
        "带宽包共 20 Mbit/s，已分配 10，剩余 10，申请 21；最多可设置 20"
    )


def test_language_and_theme_are_chosen_and_kept(viewer: Viewer) -> None:
    page = viewer.go()
    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("heading", name="云企业网实例")).to_be_visible()
    page.get_by_label("主题").select_option("dark")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    viewer.go("/gateways")
    expect(page.get_by_role("heading", name="网关")).to_be_visible()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))


def test_times_are_those_of_the_viewers_zone(open_as: Open, console: ServerProcess) -> None:
    made = make_network(console, "zones")
    viewer = open_as(timezone_id="Asia/Shanghai")
    viewer.go("/instances?search=zones")
    created = datetime.fromisoformat(get(console, f"/v1/instances/{made['cen_id']}")["created_at"])
    shown = created.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S CST")
    expect(viewer.cell(made["cen_id"], "created")).to_have_text(shown)
