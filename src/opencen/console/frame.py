"""What all pages share: who looks, the header, what is followed live, and how refusals show."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from nicegui import Client, ui

from opencen.client import ApiError, ServerUnreachableError
from opencen.console.backend import Backend, Json, Rest
from opencen.console.formats import local_time, zone_of
from opencen.console.live import Live, Question, Subscription, View
from opencen.console.texts import HTML_LANGUAGES, LANGUAGES, Texts, explain, texts_of
from opencen.console.tickets import Tickets
from opencen.console.widgets import Field, Text, box, button, go, link, notify

T = TypeVar("T")
PREFIX = "/console"
STATIC = Path(__file__).parent / "static"
SESSION_COOKIE = "opencen_session"
LANGUAGE_COOKIE = "opencen_language"
THEME_COOKIE = "opencen_theme"
ZONE_COOKIE = "opencen_zone"
RESPONSE_TIMEOUT_S = 20.0
THEMES: Mapping[str, bool | None] = {"auto": None, "light": False, "dark": True}
NAVIGATION = ("instances", "networks", "packages", "gateways", "alarms", "audit")
ADMINISTRATORS_NAVIGATION = ("people",)

_ZONE_SCRIPT = """<script>(() => {
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
  if (document.cookie.split("; ").includes("%(cookie)s=" + zone)) return;
  document.cookie = "%(cookie)s=" + zone + ";path=%(path)s;max-age=31536000;samesite=lax";
  if (%(reload)s && document.cookie.includes("%(cookie)s=" + zone)) location.reload();
})();</script>"""


@dataclass
class Console:
    """One per process: what the pages are made of."""

    backend: Backend
    live: Live = field(default_factory=Live)
    tickets: Tickets = field(default_factory=Tickets)


def console_of(request: Request) -> Console:
    return cast(Console, request.app.state.console)


def viewer_address(request: Request) -> str:
    return request.client.host if request.client else ""


@dataclass(eq=False)
class Visit:
    """One open page: the viewer, and the API as the viewer."""

    request: Request
    client: Client
    console: Console
    rest: Rest
    texts: Texts
    zone: ZoneInfo
    me: Json
    regions: dict[str, Json] = field(default_factory=dict)
    areas: dict[str, Json] = field(default_factory=dict)
    _subscriptions: list[Subscription[Any]] = field(default_factory=list)

    @property
    def may_change(self) -> bool:
        return bool(self.me["role"] != "viewer")

    @property
    def administers(self) -> bool:
        return bool(self.me["role"] == "administrator")

    def time(self, value: str | None) -> str:
        """A time of the API in the viewer's zone."""
        return local_time(value, self.zone)

    def view_key(self, *parts: Any) -> tuple[Any, ...]:
        """Pages with the same key show the same answer in the same way."""
        return (*parts, self.texts.language, self.zone.key, self.me["role"])

    def region(self, region_id: str) -> str:
        """A region's display name."""
        known = self.regions.get(region_id)
        return self.texts.name_of(known) if known else region_id

    def area(self, area_id: str) -> str:
        """An area's display name."""
        known = self.areas.get(area_id)
        return self.texts.name_of(known) if known else area_id

    async def learn_geography(self) -> None:
        self.regions = {item["id"]: item for item in (await self.rest.get("/v1/regions"))["items"]}
        self.areas = {item["id"]: item for item in (await self.rest.get("/v1/areas"))["items"]}

    async def follow(
        self, question: Question, view: View[T], told: Callable[[T, Any], None]
    ) -> tuple[T, Callable[[], None]]:
        """What to show now; `told` is called with news until the page is closed or the returned function is called."""

        def in_page(now: T, news: Any) -> None:
            if not self.client.is_deleted:
                with self.client:
                    told(now, news)

        shown, subscription = await self.console.live.follow(
            self.me["account_id"], self.rest, question, view, in_page, self.expired
        )
        self._subscriptions.append(subscription)
        if self.client.is_deleted:
            subscription.cancel()
        return shown, subscription.cancel

    def expired(self) -> None:
        """The session has ended: to the log-on page, and back here afterwards."""
        if not self.client.is_deleted:
            login = f"{PREFIX}/login?ended=1&next="
            self.client.run_javascript(
                f"location.href = '{login}' + encodeURIComponent(location.pathname + location.search)"
            )

    def closed(self) -> None:
        for subscription in self._subscriptions:
            subscription.cancel()

    async def attempt(self, action: Callable[[], Awaitable[Any]]) -> bool:
        """Do something outside of a dialog; a refusal is shown as a message. True when it was done."""
        try:
            await action()
        except ApiError as refusal:
            notify(explain(self.texts, refusal), bad=True)
            return False
        except ServerUnreachableError:
            notify(self.texts("error.unreachable"), bad=True)
            return False
        return True


def stylesheet_tag() -> str:
    digest = hashlib.sha256((STATIC / "console.css").read_bytes()).hexdigest()[:12]
    return f'<link rel="stylesheet" href="{PREFIX}/static/console.css?{digest}">'


def dress(request: Request, client: Client, texts: Texts, title: str, *, reload_for_zone: bool) -> None:
    """Language, theme, title and style of a page."""
    page = copy(client.page)
    page.language = cast(Any, HTML_LANGUAGES[texts.language])
    page.dark = THEMES[chosen_theme(request)]
    client.page = page
    client.title = f"{title} · OpenCEN"
    values = {"cookie": ZONE_COOKIE, "path": PREFIX, "reload": "true" if reload_for_zone else "false"}
    ui.add_head_html(stylesheet_tag() + _ZONE_SCRIPT % values)


def chosen_theme(request: Request) -> str:
    cookie = request.cookies.get(THEME_COOKIE, "auto")
    return cookie if cookie in THEMES else "auto"


def chosen_texts(request: Request) -> Texts:
    return texts_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def unknown_page(request: Request) -> Response:
    """What a browser gets where there is no page."""
    texts = chosen_texts(request)
    title, back = escape(texts("unknown.title")), escape(texts("unknown.back"))
    return HTMLResponse(
        f'<!doctype html><html lang="{HTML_LANGUAGES[texts.language]}"><head><title>{title} · OpenCEN</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{stylesheet_tag()}</head>'
        f'<body><main class="nicegui-content"><h1>{title}</h1>'
        f'<p class="oc-intro"><a href="{PREFIX}/instances">{back}</a></p></main></body></html>',
        404,
    )


def login_redirect(request: Request) -> Response:
    here = PREFIX + request.url.path.removeprefix(PREFIX)
    if request.url.query:
        here += f"?{request.url.query}"
    return RedirectResponse(f"{PREFIX}/login?next={quote(here)}", 303)


async def show(
    request: Request, section: str, build: Callable[[Visit], Awaitable[None]], *, title: str = ""
) -> Response | None:
    """A page for somebody who has logged on: the header, and what `build` puts below it."""
    session = request.cookies.get(SESSION_COOKIE)
    if not session:
        return login_redirect(request)
    console, texts, client = console_of(request), chosen_texts(request), ui.context.client
    zone = zone_of(unquote(request.cookies.get(ZONE_COOKIE, "")))
    visit = Visit(request, client, console, console.backend.rest(session, viewer_address(request)), texts, zone, {})
    client.on_delete(visit.closed)
    dress(request, client, texts, title or texts(f"nav.{section}"), reload_for_zone=True)
    try:
        visit.me = await visit.rest.get("/v1/me")
        await visit.learn_geography()
        _header(visit, section)
        await build(visit)
    except ApiError as refusal:
        if refusal.status == 401:
            return login_redirect(request)
        client.status_code = refusal.status
        client.content.clear()
        with client.content:
            Text("h1", texts("refused.title"))
            Text("p", explain(texts, refusal), "oc-intro")
    except ServerUnreachableError:
        client.status_code = 503
        client.content.clear()
        with client.content:
            Text("h1", texts("unreachable.title"))
            Text("p", texts("unreachable.text"), "oc-intro")
        client.run_javascript("setTimeout(() => location.reload(), 3000)")
    return None


def _header(visit: Visit, section: str) -> None:
    texts = visit.texts
    with ui.header(wrap=False).classes(replace="oc-header"):
        link(texts("skip"), "#oc-main", "oc-skip")
        link("OpenCEN", f"{PREFIX}/instances", "oc-brand")
        with box("nav", "oc-nav", aria_label=texts("nav.label")):
            for name in (*NAVIGATION, *(ADMINISTRATORS_NAVIGATION if visit.administers else ())):
                item = link(texts(f"nav.{name}"), f"{PREFIX}/{name}")
                if name == section:
                    item._props["aria-current"] = "page"
        with box("div", "oc-tools"):
            preferences(visit.request, texts)
            link(visit.me["username"], f"{PREFIX}/sessions", title=texts("nav.sessions"))
            button(texts("log_off"), lambda: _log_off(visit))
    visit.client.content._props["id"] = "oc-main"


async def _log_off(visit: Visit) -> None:
    if await visit.attempt(lambda: visit.rest.send("DELETE", "/v1/sessions/current")):
        go(f"{PREFIX}/leave")


def preferences(request: Request, texts: Texts) -> None:
    """Choose language and theme; kept in cookies of this browser."""
    current = {LANGUAGE_COOKIE: texts.language, THEME_COOKIE: chosen_theme(request)}
    options = {
        LANGUAGE_COOKIE: list(LANGUAGES.items()),
        THEME_COOKIE: [(theme, texts(f"theme.{theme}")) for theme in THEMES],
    }
    labels = {LANGUAGE_COOKIE: texts("language"), THEME_COOKIE: texts("theme")}
    for cookie, choices in options.items():
        select = box("select", "", aria_label=labels[cookie])
        select._props["value"] = current[cookie]
        script = (
            f'(event) => {{ document.cookie = "{cookie}=" + event.target.value + '
            f'";path={PREFIX};max-age=31536000;samesite=lax"; location.reload(); }}'
        )
        select.on("change", js_handler=script)
        with select:
            for value, text in choices:
                option = Text("option", text)
                option._props["value"] = value
                if value == current[cookie]:
                    option._props["selected"] = True


def search_field(visit: Visit, label: str, value: str, on_change: Callable[[str], Awaitable[None]]) -> Field:
    """A search box that searches while one types."""
    made: Field = Field("search", label, kind="search", value=value, on_change=lambda: on_change(made.text))
    return made
