"""A server that stops answers what it cannot wait for with a clean 503."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from opencen.serve import _Front


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [("/v1/instances", b"", "Unavailable"), ("/", b"Action=DescribeCens", "ServiceUnavailable")],
)
def test_a_call_that_is_under_way_when_the_server_stops_is_told_to_come_again(
    path: str, query: bytes, code: str
) -> None:
    sent: list[dict[str, Any]] = []

    async def forever(*_: Any) -> None:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        scope = {"type": "http", "scheme": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
        task = asyncio.create_task(_Front(forever, forever)(scope, forever, send))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(call())
    start, body = sent
    document = json.loads(body["body"])
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert document.get("code", document.get("Code")) == code
