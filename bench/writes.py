"""Durable, signed SetCenInterRegionBandwidthLimit calls a second, and what bounds them."""

from __future__ import annotations

import multiprocessing
import socket
import sqlite3
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from bench.report import Result
from bench.site import Server, running_server
from opencen.api.cbn.protocol.signature import rpc_signature, rpc_string_to_sign

CLIENTS = 16
PROCESSES = 2
CALLS = 400
PAIRS = (("us-west-1", "cn-hangzhou"), ("us-west-1", "cn-shanghai"), ("us-west-1", "cn-shenzhen"))


def _prepare(server: Server) -> str:
    with server.client() as client:
        cen_id = client.post("/v1/instances", {"name": "bench"})["id"]
        for number, region_id in enumerate(("us-west-1", "cn-hangzhou", "cn-shanghai", "cn-shenzhen"), 1):
            body = {"name": region_id, "region_id": region_id, "cidr_blocks": [f"10.{number}.0.0/16"]}
            network_id = client.post("/v1/networks", body)["id"]
            client.post(f"/v1/instances/{cen_id}/attachments", {"network_id": network_id})
        areas = {"area_a_id": "China", "area_b_id": "North-America", "bandwidth_mbps": 10_000}
        package_id = client.post("/v1/bandwidth-packages", areas)["id"]
        client.request("PUT", f"/v1/bandwidth-packages/{package_id}/binding", body={"cen_id": cen_id})
    return str(cen_id)


def _signed(server: Server, cen_id: str, number: int) -> bytes:
    """A whole HTTP request, signed beforehand so that the clients cost little of the machine that they share."""
    local, opposite = PAIRS[number % len(PAIRS)]
    parameters = {
        "Action": "SetCenInterRegionBandwidthLimit",
        "Version": "2017-09-12",
        "Format": "JSON",
        "AccessKeyId": server.credential.identifier,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid4().hex,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RegionId": "cn-hangzhou",
        "CenId": cen_id,
        "LocalRegionId": local,
        "OppositeRegionId": opposite,
        "BandwidthLimit": str(1 + number % 3000),
    }
    parameters["Signature"] = rpc_signature(server.credential.secret, rpc_string_to_sign("POST", parameters))
    body = urlencode(parameters).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _client(port: int, requests: list[bytes], start: threading.Barrier, failures: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start.wait()
        for request in requests:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536)
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            if not head.startswith(b"HTTP/1.1 200"):
                failures.append((head[:20] + body[:200]).decode())


def _drive(port: int, work: list[list[bytes]], ready: object, done: object) -> None:
    """One client process: a thread per client."""
    failures: list[str] = []
    start = threading.Barrier(len(work) + 1)
    threads = [threading.Thread(target=_client, args=(port, requests, start, failures)) for requests in work]
    for thread in threads:
        thread.start()
    ready.wait()  # type: ignore[attr-defined]
    start.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    done.put((began, time.monotonic(), failures))  # type: ignore[attr-defined]


def _sets_per_s(server: Server, cen_id: str) -> float:
    requests = [[_signed(server, cen_id, client * CALLS + call) for call in range(CALLS)] for client in range(CLIENTS)]
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Barrier(PROCESSES), spawn.Queue()
    share = CLIENTS // PROCESSES
    processes = [
        spawn.Process(target=_drive, args=(server.port, requests[index * share : (index + 1) * share], ready, done))
        for index in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    answers = [done.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    failures = [failure for _, _, failed in answers for failure in failed]
    if failures:
        raise RuntimeError(f"{len(failures)} calls failed, such as {failures[0]}")
    seconds = max(end for _, end, _ in answers) - min(began for began, _, _ in answers)
    return CLIENTS * CALLS / seconds


def _raw_commits_per_s() -> float:
    """SQLite alone doing a durable commit of the same rows: one writer, WAL, synchronous=FULL."""
    with tempfile.TemporaryDirectory(prefix="opencen-bench-") as directory:
        connection = sqlite3.connect(Path(directory) / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value INTEGER, text TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?, 0, '')", [(number,) for number in range(6)])
        count, began = 1500, time.monotonic()
        for number in range(count):
            connection.execute("BEGIN IMMEDIATE")
            for row in range(6):
                connection.execute("UPDATE rows SET value = ? WHERE id = ?", (number, row))
            connection.execute("INSERT INTO rows (value, text) VALUES (?, ?)", (number, "x" * 400))
            connection.execute("COMMIT")
        seconds = time.monotonic() - began
        connection.close()
    return count / seconds


def run() -> Result:
    """Calls a second beside raw SQLite."""
    raw = _raw_commits_per_s()
    with running_server() as server:
        cen_id = _prepare(server)
        sets = _sets_per_s(server, cen_id)
    return Result(
        name="writes",
        title=f"Durable signed SetCenInterRegionBandwidthLimit calls, {CLIENTS} clients, one server process, SQLite",
        promise="at least 500 a second",
        columns=("calls/s", "raw SQLite commits of as many rows/s", "share"),
        rows=[(f"{sets:.0f}", f"{raw:.0f}", f"{sets / raw:.2f}")],
        met=sets >= 500,
        notes=(
            "What bounds it: one Python process, so one core; the disk (the raw figure) would allow more. The clients' "
            "requests are signed beforehand, but sending them takes a part of the other core.",
        ),
    )
