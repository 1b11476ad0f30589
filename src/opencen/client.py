"""The one HTTP client of the REST API, for command line, console, lab and gateway.

A server address is `http://host:port`, `https://host:port` or `unix:/path/of/socket`.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from opencen import __version__
from opencen.pinning import trusting

Problem = dict[str, Any]


class ApiError(Exception):
    """The server refused: an RFC 9457 problem document. `code` is stable; `detail` is written for a person."""

    def __init__(self, status: int, problem: Problem) -> None:
        self.status = status
        self.code = str(problem.get("code", "Unknown"))
        self.detail = str(problem.get("detail", problem.get("title", "")))
        self.problem = problem
        super().__init__(f"{self.code}: {self.detail}")


class ServerUnreachableError(Exception):
    """No answer from the server's address."""


@dataclass(frozen=True)
class Credential:
    """An access key (`secret` goes with HTTP Basic) or, for a gateway, its token (Bearer)."""

    identifier: str
    secret: str = field(repr=False)
    bearer: bool = False

    def headers(self) -> dict[str, str]:
        if self.bearer:
            return {"authorization": f"Bearer {self.identifier}:{self.secret}"}
        return {"authorization": "Basic " + b64encode(f"{self.identifier}:{self.secret}".encode()).decode()}


def _address(server: str) -> tuple[str, str | None]:
    if server.startswith("unix:"):
        return "http://opencen", server.removeprefix("unix:").removeprefix("//")
    return server, None


def _headers(credential: Credential | None) -> dict[str, str]:
    headers = {"user-agent": f"opencen/{__version__}", "accept": "application/json"}
    return headers | (credential.headers() if credential else {})


def _decode(response: httpx.Response) -> Any:
    if response.status_code >= 400:
        try:
            problem = response.json()
        except ValueError:
            problem = {
                "code": "NotOpenCEN",
                "detail": f"{response.status_code} from {response.url}: {response.text[:200]}",
            }
        raise ApiError(response.status_code, problem)
    return response.json() if response.content else None


def _trust(base_url: str, authority_file: Path | None) -> ssl.SSLContext | bool:
    """That one authority; without a file those that this machine trusts, or that SSL_CERT_FILE names."""
    if not base_url.startswith("https:"):
        return False
    return trusting(authority_file) if authority_file else ssl.create_default_context()


def certificate_trouble(error: BaseException) -> str | None:
    """What is wrong with the server's certificate, and what would help; None when that is not the trouble."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    said = cause.verify_message.rstrip(".")
    if "mismatch" in said:
        return f"{said}; on the server, `opencen tls init --name NAME-OR-ADDRESS` makes a certificate that fits"
    if "not yet valid" in said or "expired" in said:
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        return f"its certificate is refused: {said}; this machine's clock says {now}"
    return f"its certificate is refused: {said}; it is not from an authority that is trusted here"


class Client:
    """Blocking client. Raises ApiError for a refusal and ServerUnreachableError when nobody answers.

    `auth` is for credentials that change while the client lives. With `authority_file` an https:// server must have a
    certificate of that authority, whatever else this machine trusts; TlsError when the file cannot be used.
    """

    def __init__(
        self,
        server: str,
        credential: Credential | None = None,
        timeout_s: float = 30.0,
        *,
        auth: httpx.Auth | None = None,
        authority_file: Path | None = None,
    ) -> None:
        self.server = server
        base_url, socket = _address(server)
        transport = httpx.HTTPTransport(uds=socket) if socket else None
        self._http = httpx.Client(
            base_url=base_url,
            headers=_headers(credential),
            auth=auth,
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            verify=_trust(base_url, authority_file),
        )

    def request(
        self, method: str, path: str, *, body: Any = None, params: Any = None, if_match: str | None = None
    ) -> Any:
        headers = {"if-match": if_match} if if_match else {}
        try:
            response = self._http.request(method, path, json=body, params=params, headers=headers)
        except httpx.TransportError as error:
            reason = certificate_trouble(error) or str(error)
            raise ServerUnreachableError(f"no answer from {self.server}: {reason}") from error
        return _decode(response)

    def get(self, path: str, **params: Any) -> Any:
        return self.request("GET", path, params={k: v for k, v in params.items() if v is not None})

    def get_text(self, path: str, **params: Any) -> str:
        """An answer that is no JSON, such as CSV."""
        try:
            response = self._http.get(path, params={k: v for k, v in params.items() if v is not None})
        except httpx.TransportError as error:
            raise ServerUnreachableError(f"no answer from {self.server}: {error}") from error
        if response.status_code >= 400:
            _decode(response)
        return response.text

    def post(self, path: str, body: Any = None) -> Any:
        return self.request("POST", path, body=body)

    def delete(self, path: str, *, if_match: str | None = None) -> Any:
        return self.request("DELETE", path, if_match=if_match)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio. A `transport` of one's own replaces the network, for a server in the same process."""

    def __init__(
        self,
        server: str,
        credential: Credential | None = None,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        auth: httpx.Auth | None = None,
        authority_file: Path | None = None,
    ) -> None:
        self.server = server
        base_url, socket = _address(server)
        if socket and transport is None:
            transport = httpx.AsyncHTTPTransport(uds=socket)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers=_headers(credential),
            auth=auth,
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            verify=_trust(base_url, authority_file),
        )

    async def request(
        self, method: str, path: str, *, body: Any = None, params: Any = None, if_match: str | None = None
    ) -> Any:
        headers = {"if-match": if_match} if if_match else {}
        try:
            response = await self._http.request(method, path, json=body, params=params, headers=headers)
        except httpx.TransportError as error:
            reason = certificate_trouble(error) or str(error)
            raise ServerUnreachableError(f"no answer from {self.server}: {reason}") from error
        return _decode(response)

    async def aclose(self) -> None:
        await self._http.aclose()
