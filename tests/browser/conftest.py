"""A real Chromium, a real server, and gateways without a kernel."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from browser.fake_gateways import FakeGateways
from browser.served import REGIONS
from browser.viewer import CHROMIUM_ARGUMENTS, Open, Viewer
from conftest import missing
from servers import ServerProcess, running_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ended with the tests of this folder: while it runs, this thread has an event loop, which others want."""
    program = shutil.which("chromium")
    if program is None:
        missing("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all these tests: each makes what it looks at."""
    with running_server(tmp_path_factory.mktemp("console") / "data") as server:
        yield server


@pytest.fixture(scope="package")
def gateways(console: ServerProcess) -> Iterator[FakeGateways]:
    with FakeGateways(console.url, console.credential, REGIONS) as running:
        yield running


@pytest.fixture(scope="package")
def logged_on(browser: Browser, console: ServerProcess) -> Any:
    """The cookies of somebody who has logged on."""
    context = browser.new_context()
    viewer = Viewer(context.new_page(), console)
    viewer.log_on()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_as(browser: Browser, console: ServerProcess, logged_on: Any) -> Iterator[Open]:
    """Opens a browser of one's own, logged on unless told otherwise. No page may fail or ask anybody else."""
    contexts = []
    viewers: list[Viewer] = []

    def open_browser(*, anonymous: bool = False, server: ServerProcess | None = None, **options: Any) -> Viewer:
        state = None if anonymous or server else logged_on
        context = browser.new_context(storage_state=state, **({"locale": "en-GB"} | options))
        contexts.append(context)
        viewer = Viewer(context.new_page(), server or console)
        viewers.append(viewer)
        return viewer

    yield open_browser
    for viewer in viewers:
        viewer.check_clean()
    for context in contexts:
        context.close()


@pytest.fixture
def viewer(open_as: Open) -> Viewer:
    """Somebody who has logged on."""
    return open_as()


@pytest.fixture
def page(viewer: Viewer) -> Page:
    return viewer.page
