"""An HTTPS server that is not the right one: answers with somebody's authority, and writes down all that it hears.

imposter.py ADDRESS PORT TLS_DIRECTORY AUTHORITY_FILE HEARD_FILE
"""

from __future__ import annotations

import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ADDRESS, PORT, TLS, AUTHORITY, HEARD = sys.argv[1:]


class Imposter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(Path(AUTHORITY).read_bytes())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with Path(HEARD).open("ab") as heard:
            heard.write(body)
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        with Path(HEARD).open("ab") as heard:
            heard.write(self.raw_requestline + bytes(str(self.headers), "utf-8"))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(TLS) / "server.pem", Path(TLS) / "server.key")
    server = HTTPServer((ADDRESS, int(PORT)), Imposter)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()
