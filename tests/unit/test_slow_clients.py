"""A client that is slow, or sends what never ends, loses its connection; one that waits for an answer does not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from opencen import slow_clients
from opencen.slow_clients import GuardedProtocol

SHORT_S = 0.4
BIG = 64 << 20


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/wait":
        await asyncio.sleep(3 * SHORT_S)
    size = BIG if scope["path"] == "/big" else 2
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, size, 1 << 20):
        more = start + (1 << 20) < size
        await send({"type": "http.response.body", "body": b"x" * min(size, 1 << 20), "more_body": more})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("HEAD_S", "BODY_S", "TAKE_S"):
        monkeypatch.setattr(slow_clients, name, SHORT_S)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=GuardedProtocol, log_config=None, lifespan="off", timeout_keep_alive=30)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield bound.getsockname()[1]
    server.should_exit = True
    thread.join()


def is_closed(connection: socket.socket, within_s: float = 10.0) -> bool:
    """Whether the other side ends the connection without an answer."""
    connection.settimeout(within_s)
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234"],
    ids=["nothing", "an empty line", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_ends_the_connection(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert is_closed(connection)


def send_slowly(connection: socket.socket, request: bytes) -> None:
    for byte in request:
        connection.sendall(bytes([byte]))
        time.sleep(SHORT_S / 4)


def test_a_byte_now_and_then_gains_no_time(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.monotonic()
        request = b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 1000
        with pytest.raises(OSError, match=r"reset|pipe"):
            send_slowly(connection, request)
        assert time.monotonic() - began < 20 * SHORT_S


def test_a_head_without_end_ends_the_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection, pytest.raises(OSError, match=r"reset|pipe"):
        connection.sendall(b"GET / HTTP/1.1\r\n" + (b"X-Long: " + b"x" * 8000 + b"\r\n") * 4000)


def test_who_waits_for_an_answer_keeps_the_connection_and_asks_again(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        for path in (b"/wait", b"/"):
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"xx"):
                answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(2 * SHORT_S)  # idle between requests is another bound: keep-alive


def test_who_does_not_read_an_answer_loses_it(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3 * SHORT_S)
        connection.settimeout(10)
        taken = 0
        try:
            while chunk := connection.recv(1 << 20):
                taken += len(chunk)
        except ConnectionResetError:
            pass
        assert taken < BIG
