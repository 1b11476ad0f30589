"""`opencen serve`: the one place that puts the parts together behind one HTTP port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import signal
import socket
import ssl
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from anyio import to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencen import __version__
from opencen.api.cbn.app import CbnEndpoint, is_rpc_request
from opencen.api.cbn.protocol.decode import MAX_BODY_BYTES
from opencen.changes.feed import Change, ChangeFeed
from opencen.domain.alarms import Kind
from opencen.domain.errors import UnavailableError
from opencen.pinning import AUTHORITY_PATH
from opencen.services import alarms, audit_seals, encryption, expiry, following, gateways, identities, plans, watching
from opencen.services.context import Context
from opencen.services.duties import Duty, Leader
from opencen.services.notifying import outbox
from opencen.services.pairs import Arbiter, begin_epoch
from opencen.services.usage.rolling import roll_up
from opencen.services.usage.rolling import summary as usage_summary
from opencen.services.vault import Vault
from opencen.slow_clients import GuardedProtocol
from opencen.store.database import Database
from opencen.tls import Reloader, TlsError

MAX_REPORT_BYTES = 1 << 24
"""A gateway's report has some 250 bytes for each of its links, a batch of usage at most 2,000."""
_REPORTS = frozenset({"/v1/gateway/report", "/v1/gateway/usage"})
_COLLECT_EVERY = (50_000, 20, 20)
"""Python's default looks after 700 allocations, which with a hundred open pages was a third of what they cost."""
DUTIES: tuple[Duty, ...] = (
    Duty("usage roll-up", every_s=10.0, work=roll_up),
    Duty("audit head", every_s=audit_seals.HEAD_EVERY_S, work=audit_seals.log_head),
    Duty("audit seal", every_s=audit_seals.SEAL_EVERY_S, work=audit_seals.seal),
    encryption.ROTATE_KEYS,
    Duty("plan roll-back", every_s=1.0, work=plans.roll_back_due),
    Duty("package expiry", every_s=expiry.EVERY_S, work=expiry.expire),
    Duty("follow the traffic", every_s=following.EVERY_S, work=following.follow),
    Duty("alarm messages", every_s=1, work=outbox.deliver),
    Duty("alarm messages, old", every_s=3600, work=outbox.forget_old),
)
"""What one server process does in the background for all of them; besides looking for alarms, which remembers."""
_LISTEN_AGAIN_S = 1.0
_SHUTDOWN_S = 1
_HANDSHAKE_S = 10.0
_LOOK_FOR_CERTIFICATES_S = 1.0
_HSTS = b"max-age=31536000"
_log = structlog.get_logger()


class AddressError(Exception):
    """A --listen value that is no address, or one that is taken."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and port, or a Unix socket. `plain` is HTTP even when there is a certificate."""

    host: str = ""
    port: int = 0
    path: str = ""
    plain: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        """`HOST:PORT`, `[IPV6]:PORT`, `http://HOST:PORT` or `unix:/PATH`. Raises AddressError."""
        if text.startswith("unix:"):
            return cls(path=text.removeprefix("unix:").removeprefix("//"), plain=True)
        host, colon, port = text.removeprefix("http://").rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise AddressError(f"--listen takes HOST:PORT or unix:/PATH, not {text!r}")
        return cls(host=host.strip("[]") or "127.0.0.1", port=int(port), plain=text.startswith("http://"))

    def check_private(self, *, secured: bool) -> None:
        """Raises AddressError when passwords and keys would cross a network in clear text."""
        if self.path or (secured and not self.plain) or _is_loopback(self.host):
            return
        raise AddressError(
            f"{self} would take passwords and keys in clear text over the network: give --tls-cert and --tls-key "
            "(`opencen tls init` makes both), listen on 127.0.0.1, or insist with --insecure-http"
        )

    def bind(self) -> socket.socket:
        """A listening socket. Raises AddressError when the address is taken or not this machine's."""
        try:
            if self.path:
                return self._bind_unix()
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            bound = socket.socket(family, socket.SOCK_STREAM)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
        except OSError as error:
            raise AddressError(f"cannot listen on {self}: {error.strerror or error}") from error
        return bound

    def _bind_unix(self) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
            if Path(self.path).exists():
                if probe.connect_ex(self.path) == 0:
                    raise AddressError(f"cannot listen on {self}: a server is listening there already")
                Path(self.path).unlink()
        bound.bind(self.path)
        Path(self.path).chmod(0o600)
        return bound

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_context(data: Path, database_url: str | None, *, durable: bool = True) -> tuple[Context, bool]:
    """The context of a data directory, its schema brought up to date; True when this was its first start.

    Without `durable`, SQLite does not wait for the disk: for data that ends with the process.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database.from_url(database_url) if database_url else Database.sqlite(data, durable=durable)
    database.upgrade()
    context = Context(database, ChangeFeed(), Vault.from_file(data / "secrets.key"))
    first_start = identities.bootstrap(context, data / "admin.json")
    identities.check_vault(context, data / "secrets.key")
    return context, first_start


class Metrics:
    """What Prometheus is told. Names are documented in docs/metrics.md."""

    def __init__(self, context: Context) -> None:
        self.registry = CollectorRegistry()
        self.rpc_calls = Counter(
            "opencen_rpc_calls_total", "RPC calls answered", ("product", "action", "code"), registry=self.registry
        )
        self.rpc_seconds = Histogram(
            "opencen_rpc_duration_seconds", "Time to answer an RPC call", ("product", "action"), registry=self.registry
        )
        self.duty_runs = Counter(
            "opencen_duty_runs_total", "Runs of background duties", ("duty", "outcome"), registry=self.registry
        )
        self.duties_leader = Gauge(
            "opencen_duties_leader", "Whether this process does the background duties", registry=self.registry
        )
        unsealed = Gauge(
            "opencen_audit_unsealed_events", "Audit events that no seal covers yet", registry=self.registry
        )
        unsealed.set_function(lambda: audit_seals.count_unsealed(context))
        gateways_live = Gauge("opencen_gateways", "Registered gateways", registry=self.registry)
        gateways_live.set_function(lambda: len(gateways.find_all(context)))
        raised = Gauge("opencen_alarms_raised", "Alarms that are raised", ("kind",), registry=self.registry)
        for kind in Kind:
            raised.labels(kind.value).set_function(partial(alarms.count_raised, context, kind))
        waiting = Gauge("opencen_alarm_messages_waiting", "Messages on their way", registry=self.registry)
        waiting.set_function(lambda: outbox.count_waiting(context))
        series = Gauge("opencen_usage_series", "Directions of which usage is kept", registry=self.registry)
        series.set_function(lambda: usage_summary(context)[0])
        unrolled = Gauge("opencen_usage_waiting_batches", "Batches of usage in no block yet", registry=self.registry)
        unrolled.set_function(lambda: usage_summary(context)[1])
        Gauge("opencen_build_info", "Version", ("version",), registry=self.registry).labels(__version__).set(1)

    def observe(self, product: str, action: str, code: str, duration_s: float) -> None:
        self.rpc_calls.labels(product, action, code).inc()
        self.rpc_seconds.labels(product, action).observe(duration_s)

    def observe_duty(self, duty: str, outcome: str) -> None:
        self.duty_runs.labels(duty, outcome).inc()


class _Front:
    """Outermost: gives every request an id, bounds its body, and sends RPC calls at `/` to the RPC API."""

    def __init__(self, rest: ASGIApp, rpc: ASGIApp) -> None:
        self._rest = rest
        self._rpc = rpc
        self.console: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["scheme"] == "https":
            send = _strict_transport(scope, send)
        if self.console is not None and scope["type"] != "lifespan" and _is_of_console(scope["path"]):
            await self.console(scope, receive, send)
            return
        if scope["type"] == "http":
            if scope["path"] == "/" and is_rpc_request(scope):
                await _or_unavailable(self._rpc, scope, receive, send, {"Code": "ServiceUnavailable"})
                return
            scope.setdefault("state", {})["request_id"] = str(uuid.uuid4())
            receive = _bounded(receive, MAX_REPORT_BYTES if scope["path"] in _REPORTS else MAX_BODY_BYTES)
            await _or_unavailable(self._rest, scope, receive, send, {"code": "Unavailable", "status": 503})
            return
        await self._rest(scope, receive, send)


async def _or_unavailable(app: ASGIApp, scope: Scope, receive: Receive, send: Send, refusal: dict[str, object]) -> None:
    """Answers with `app`; what a server that stops cannot wait for ends with a 503 rather than a failure."""
    begun = False

    async def noting(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await app(scope, receive, noting)
    except asyncio.CancelledError:
        if begun:
            raise
        detail = "the server stops; the call may have been carried out"
        body = json.dumps({**refusal, "detail": detail, "Message": detail}).encode()
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_of_console(path: str) -> bool:
    return path == "/console" or path.startswith("/console/")


def _strict_transport(scope: Scope, send: Send) -> Send:
    """`send` that tells browsers to come back by HTTPS only; not for a name that other servers of a machine share."""
    host = Headers(scope=scope).get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name == "localhost" or _is_address(name):
        return send

    async def strict(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"strict-transport-security", _HSTS)]}
        await send(message)

    return strict


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _bounded(receive: Receive, most_bytes: int) -> Receive:
    """`receive` for a body of at most that many bytes."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most_bytes:
            raise HTTPException(413, f"A request body has at most {most_bytes} bytes")
        return message

    return bounded


class _Late:
    """An application that is made by its first request: its framework takes half a second to import."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._lock = threading.Lock()

    def make(self) -> ASGIApp:
        """It, made now if it was not."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await to_thread.run_sync(self.make) if self._made is None else self._made
        await app(scope, receive, send)


class _LateConsole:
    """The console, made while the server answers other calls already: its framework takes a second to import."""

    def __init__(self, make: Callable[[], Starlette]) -> None:
        self._make = make
        self._made: asyncio.Future[Starlette] | None = None

    async def live(self) -> None:
        """Make it, and keep it alive until this is cancelled."""
        made = self._future()
        try:
            app = await to_thread.run_sync(self._make)
            gc.freeze()  # what is there now stays: later collections need not look at it again
        except Exception as error:
            _log.exception("the console could not be made", error=str(error))
            made.set_exception(error)
            return
        async with app.router.lifespan_context(app):
            made.set_result(app)
            await asyncio.Event().wait()

    def _future(self) -> asyncio.Future[Starlette]:
        if self._made is None:
            self._made = asyncio.get_running_loop().create_future()
        return self._made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await asyncio.shield(self._future())
        await app(scope, receive, send)


def _rest_app(context: Context) -> ASGIApp:
    from opencen.api.rest.app import make_rest_app  # noqa: PLC0415

    return make_rest_app(context)


def _no_such_page(request: Request, _: Exception) -> Response:
    from opencen.api.rest.problems import problem  # noqa: PLC0415  FastAPI takes half a second to import

    return problem(request, 404, "NoSuchRoute", "Not Found", f"{request.method} {request.url.path}")


def make_app(context: Context, *, with_console: bool = False) -> ASGIApp:
    """Everything that one port serves. The console, whose framework is one per process, only when asked for."""
    metrics = Metrics(context)

    async def root(_: Request) -> Response:
        return RedirectResponse("/console", 303)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_: Request) -> Response:
        try:
            context.database.check_ready()
        except UnavailableError as error:
            return JSONResponse({"ready": False, "reason": error.message}, 503, {"retry-after": "1"})
        return JSONResponse({"ready": True})

    async def authority(_: Request) -> Response:
        if context.authority is None:
            return PlainTextResponse("this server serves no HTTPS itself\n", 404)
        return PlainTextResponse(context.authority.pem, media_type="application/x-pem-file")

    def metrics_page(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stop = threading.Event()
        await to_thread.run_sync(begin_epoch, context)
        if not context.database.is_sqlite:
            threading.Thread(target=_follow_other_servers, args=(context, stop), daemon=True).start()
        duties = (
            *DUTIES,
            Duty("alarms", every_s=watching.EVERY_S, work=watching.Watcher().look),
            Duty("gateway failover", every_s=0.25, work=Arbiter()),
        )
        leader = Leader(context, duties, observe=metrics.observe_duty)
        metrics.duties_leader.set_function(lambda: float(leader.leading))
        leader.start()
        living = asyncio.create_task(console.live()) if with_console else None
        yield
        if living is not None:
            living.cancel()
            await asyncio.wait([living])
        stop.set()
        await to_thread.run_sync(leader.stop)

    def make_console() -> Starlette:
        rest_api.make()
        from opencen.console.app import mount  # noqa: PLC0415
        from opencen.console.backend import Backend  # noqa: PLC0415

        app = Starlette()
        mount(app, Backend.in_process(front))
        return app

    console = _LateConsole(make_console)
    rest_api = _Late(lambda: _rest_app(context))
    rest = Starlette(
        routes=[
            Route("/", root),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_page),
            Route(AUTHORITY_PATH, authority),
            Mount("/v1", rest_api),
        ],
        lifespan=lifespan,
        exception_handlers={404: _no_such_page},
    )
    front = _Front(rest, CbnEndpoint(context, observe=metrics.observe))
    if with_console:
        front.console = console
    return front


def _follow_other_servers(context: Context, stop: threading.Event) -> None:
    """Publish what other servers commit. After a lost connection everybody is woken, for something may be missed."""
    missed = True  # whatever was committed before the first LISTEN
    while not stop.is_set():
        try:
            for payload in context.database.notifications(timeout_s=5.0):
                if stop.is_set():
                    return
                if missed:
                    context.feed.wake_all()
                    missed = False
                if payload:
                    context.feed.publish(Change.from_json(payload))
        except Exception as error:
            missed = True
            _log.warning("lost the database's notifications, trying again", error=str(error))
            stop.wait(_LISTEN_AGAIN_S)


class _Server(uvicorn.Server):
    """Serves some sockets with TLS and some without, and says when it does."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.secured: list[socket.socket] = []
        self.tls: ssl.SSLContext | None = None
        self.reloader: Reloader | None = None
        self._on_ready = on_ready

    async def main_loop(self) -> None:
        looking = asyncio.create_task(self._look_for_renewed_certificates()) if self.reloader else None
        await super().main_loop()
        if looking is not None:
            looking.cancel()

    async def _look_for_renewed_certificates(self) -> None:
        assert self.reloader is not None
        while True:
            await asyncio.sleep(_LOOK_FOR_CERTIFICATES_S)
            try:
                if await to_thread.run_sync(self.reloader.look):
                    _log.info("the renewed certificate is in use")
            except TlsError as error:
                _log.warning("the renewed certificate cannot be used; the old one stays in use", error=str(error))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([bound for bound in sockets or [] if bound not in self.secured])
        loop = asyncio.get_running_loop()
        protocol: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        for bound in self.secured:
            server = await loop.create_server(
                lambda: protocol(self.config, self.server_state, self.lifespan.state),
                sock=bound,
                ssl=self.tls,
                ssl_handshake_timeout=_HANDSHAKE_S,
                backlog=self.config.backlog,
            )
            self.servers.append(server)
        self._on_ready()


def run(
    addresses: Sequence[Address],
    context: Context,
    *,
    tls: ssl.SSLContext | None = None,
    reloader: Reloader | None = None,
    with_console: bool = True,
    trusted_proxies: Sequence[str] = (),
    on_ready: Callable[[Sequence[str]], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM; with `tls`, HTTPS at every address that is not plain.

    Callers of `trusted_proxies` (addresses or networks) say in X-Forwarded-For and X-Forwarded-Proto for whom they ask.
    `on_ready` is told, once it listens, the URL of each address in turn.
    """
    _allow_many_connections()
    signal.signal(signal.SIGTERM, _interrupt)  # uvicorn raises it again once it has stopped
    sockets = [address.bind() for address in addresses]
    config = uvicorn.Config(
        make_app(context, with_console=with_console),
        http=GuardedProtocol,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_SHUTDOWN_S,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=75,
        ws_per_message_deflate=False,  # compressing a console page's news costs more than sending them
    )
    gc.freeze()  # what is there now stays: later collections need not look at it again
    gc.set_threshold(*_COLLECT_EVERY)
    urls = [_url(address, bound, secured=tls is not None) for address, bound in zip(addresses, sockets, strict=True)]
    server = _Server(config, lambda: on_ready(urls))
    if tls is not None:
        server.tls, server.reloader = tls, reloader
        server.secured = [bound for address, bound in zip(addresses, sockets, strict=True) if not address.plain]
    try:
        server.run(sockets=sockets)
    except KeyboardInterrupt:
        pass
    finally:
        for address in addresses:
            if address.path:
                Path(address.path).unlink(missing_ok=True)
        context.database.close()


def _allow_many_connections() -> None:
    """Each waiting gateway is an open file; the usual soft limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _url(address: Address, bound: socket.socket, *, secured: bool) -> str:
    """Where clients find a bound address; the port is the real one."""
    if address.path:
        return str(address)
    host = f"[{address.host}]" if ":" in address.host else address.host
    scheme = "https" if secured and not address.plain else "http"
    return f"{scheme}://{host}:{bound.getsockname()[1]}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
