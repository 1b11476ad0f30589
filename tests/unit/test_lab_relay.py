"""Gateways reach a control plane on TCP through a Unix socket of the lab."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opencen.lab.errors import LabError
from opencen.lab.relay import gateway_server


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that gives back what it gets, in capitals."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while chunk := connection.recv(65536):
                        connection.sendall(chunk.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def ask(path: Path, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(question)
            while len(answer) < len(question) and (chunk := connection.recv(65536)):
                answer += chunk
        return answer


def test_bytes_pass_both_ways_and_the_socket_is_gone_afterwards(echo_port: int, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with gateway_server(f"http://127.0.0.1:{echo_port}", path) as address:
        assert address == f"unix:{path}"
        assert ask(path, b"hello") == b"HELLO"
        assert ask(path, b"x" * 300_000) == b"X" * 300_000
    assert not path.exists()


def test_a_server_that_is_down_ends_the_connection_and_not_the_relay(echo_port: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed_port = unused.getsockname()[1]
    path = tmp_path / "server.sock"
    with gateway_server(f"http://127.0.0.1:{closed_port}", path):
        for _ in range(2):
            assert ask(path, b"hello") == b""


def test_a_unix_socket_needs_no_relay(tmp_path: Path) -> None:
    with gateway_server("unix:/run/opencen.sock", tmp_path / "server.sock") as address:
        assert address == "unix:/run/opencen.sock"
    assert list(tmp_path.iterdir()) == []


def test_another_kind_of_address_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="ftp://example"),
        gateway_server("ftp://example", tmp_path / "server.sock"),
    ):
        pass
