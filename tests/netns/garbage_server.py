"""An HTTPS server that answers gateways with what is no answer, a kind after the other. For tests.

ADDRESS PORT CERTIFICATE KEY GATEWAY_ID
"""

from __future__ import annotations

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

address, port, certificate, key, gateway_id = sys.argv[1:]
numbers = count()


def _state(**changed: Any) -> bytes:
    link = {
        "peer_region_id": "cn-hangzhou",
        "vni": 5,
        "peer_endpoint": "192.0.2.250",
        "remote_cidr_blocks": ["10.2.0.0/16"],
        "rate_bps": 1_000,
    }
    instance = {"cen_id": "cen-x", "revision": 10**9, "networks": [], "links": [link]}
    state = {"gateway_id": gateway_id, "region_id": "us-west-1", "revision": 10**9, "full": True}
    link |= changed.pop("link", {})
    instance |= changed.pop("instance", {})
    return json.dumps({**state, "instances": [instance], **changed}).encode()


KINDS = (
    b"<html><body>502 Bad Gateway</body></html>",
    b"",
    _state()[:-40],
    b"[]",
    b"\xff\xfe\x00nonsense",
    _state(gateway_id="gw-somebodyelse"),
    _state(revision="many"),
    _state(link={"rate_bps": -5}),
    _state(link={"rate_bps": 10**40}),
    _state(link={"vni": 1 << 30}),
    _state(link={"remote_cidr_blocks": ["10.2.0.0/99"]}),
    _state(link={"peer_endpoint": "the peer"}),
    _state(instance={"cen_id": "../../etc"}),
)


class Handler(BaseHTTPRequestHandler):
    """Says hello properly, so that the state is asked for."""

    def do_GET(self) -> None:
        number = next(numbers) % len(KINDS)
        self._answer(KINDS[number])
        print(number, flush=True)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = {"gateway_id": gateway_id, "region_id": "us-west-1"}
        self._answer(json.dumps(body).encode() if self.path.endswith("/hello") else b"<html>")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


server = ThreadingHTTPServer((address, int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
