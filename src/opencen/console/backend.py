"""How the console reaches the REST API: in the server's own process, or at an address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from opencen.client import AsyncClient, Credential

_TIMEOUT_S = 70.0
_MAX_VIEWERS = 1000
MAX_PAGE_SIZE = 200
Json = dict[str, Any]


class _ForViewer(httpx.AsyncBaseTransport):
    """Tells the server whose address the viewer has, so that the audit log and the pace of log-ons know."""

    def __init__(self, inner: httpx.AsyncBaseTransport, address: str, user_agent: str) -> None:
        self._inner = inner
        self._address = address
        self._user_agent = user_agent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["x-forwarded-for"] = self._address
        if self._user_agent:
            request.headers["user-agent"] = self._user_agent
        return await self._inner.handle_async_request(request)


class Rest:
    """The REST API as one viewer."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **params: Any) -> Json:
        """GET. Raises ApiError and ServerUnreachableError, as all of these do."""
        given = {key: value for key, value in params.items() if value is not None}
        answer: Json = await self._client.request("GET", path, params=given)
        return answer

    async def send(self, method: str, path: str, body: Json | None = None, *, version: int | str | None = None) -> Json:
        """A request that changes something; `version` is what the viewer last saw (0: nothing was there)."""
        if_match = None if version is None else f'"{version}"'
        answer: Json | None = await self._client.request(method, path, body=body, if_match=if_match)
        return answer or {}

    async def everything(self, path: str, limit: int = 1000, **params: Any) -> list[Json]:
        """All items of a list, up to `limit`."""
        items = [item async for item in self._pages(path, limit, params)]
        return items[:limit]

    async def _pages(self, path: str, limit: int, params: Mapping[str, Any]) -> AsyncIterator[Json]:
        page, seen = 1, 0
        while seen < limit:
            answer = await self.get(path, page=page, page_size=MAX_PAGE_SIZE, **params)
            for item in answer["items"]:
                yield item
            seen += len(answer["items"])
            if not answer["items"] or seen >= answer["total"]:
                return
            page += 1


@dataclass(frozen=True)
class Backend:
    """Where the REST API is: `app` in this process, or else the address `server`."""

    server: str = "http://opencen"
    app: Any = None
    shared: httpx.AsyncBaseTransport | None = None
    _viewers: OrderedDict[tuple[str, str], Rest] = field(default_factory=OrderedDict)

    @classmethod
    def in_process(cls, app: Any) -> Backend:
        return cls(app=app)

    @classmethod
    def at(cls, server: str) -> Backend:
        """A server at `http://HOST:PORT` or `unix:/PATH`."""
        socket = server.removeprefix("unix:").removeprefix("//") if server.startswith("unix:") else None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        return cls(server=server, shared=httpx.AsyncHTTPTransport(uds=socket, limits=limits))

    async def log_on(self, username: str, password: str, code: str | None, address: str, user_agent: str) -> str:
        """A session, `ses-…:token`. Raises ApiError for a wrong name or password, and ServerUnreachableError."""
        given = {"username": username, "password": password} | ({"totp_code": code} if code else {})
        answer = await self.rest(None, address, user_agent).send("POST", "/v1/sessions", given)
        return f"{answer['session']['id']}:{answer['token']}"

    def rest(self, session: str | None, address: str, user_agent: str = "") -> Rest:
        """The API as the viewer at `address` with `session` (`ses-…:token`), or as nobody yet.

        One for all pages of a session: whether it still stands is asked once for all of them.
        """
        if session is None:
            return self._connect(None, address, user_agent)
        viewer = self._viewers.get((session, address)) or self._connect(session, address, user_agent)
        self._viewers[session, address] = viewer
        self._viewers.move_to_end((session, address))
        while len(self._viewers) > _MAX_VIEWERS:
            self._viewers.popitem(last=False)
        return viewer

    def _connect(self, session: str | None, address: str, user_agent: str) -> Rest:
        inner = self.shared or httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 0))
        identifier, _, token = (session or "").partition(":")
        credential = Credential(identifier, token, bearer=True) if session else None
        return Rest(AsyncClient(self.server, credential, _TIMEOUT_S, _ForViewer(inner, address, user_agent)))
