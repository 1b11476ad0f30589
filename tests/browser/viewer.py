"""Somebody in front of a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Request, expect

from browser.served import password_of
from servers import ServerProcess

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Open = Callable[..., "Viewer"]
expect.set_options(timeout=10_000)


class Viewer:
    """A page of the console, and what went wrong on it."""

    def __init__(self, page: Page, server: ServerProcess) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._watch)

    def _watch(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.server.url).netloc:
            self.foreign.append(request.url)

    def check_clean(self) -> None:
        """No script failed, and nobody but the server was asked."""
        assert self.errors == []
        assert self.foreign == []

    def go(self, path: str = "/instances") -> Page:
        """A page of the console, loaded and connected."""
        self.page.goto(f"{self.server.url}/console{path}")
        self.ready()
        return self.page

    def ready(self) -> None:
        """The page is drawn and its connection stands, so that a click is heard."""
        self.page.wait_for_function("window.did_handshake === true")

    def log_on(self, password: str | None = None) -> None:
        username, right = password_of(self.server)
        self.go("/login")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password or right)
        self.page.get_by_role("button", name="Log on").click()
        if password is None:
            self.page.wait_for_url("**/console/instances**")
            self.ready()

    def instance(self, cen_id: str, tab: str) -> Page:
        """A tab of an instance's page."""
        return self.go(f"/instances/{cen_id}?tab={tab}")

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def row(self, identifier: str) -> Locator:
        """The table's row of an id."""
        return self.page.locator(f'tr[data-row="{identifier}"]')

    def cell(self, identifier: str, column: str) -> Locator:
        return self.row(identifier).locator(f'[data-column="{column}"]')

    def button(self, name: str, **options: Any) -> Locator:
        return self.page.get_by_role("button", name=name, **options)


def plan_edge(viewer: Viewer, edge_id: str, mbps: str) -> None:
    """Give a connection of the plan's map another bandwidth."""
    viewer.page.locator(f'[data-edge="{edge_id}"]').click()
    dialog = viewer.dialog()
    dialog.get_by_role("spinbutton", name="Planned bandwidth").fill(mbps)
    dialog.get_by_role("button", name="OK").click()
    expect(dialog).to_be_hidden()
