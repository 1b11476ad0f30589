"""A Unix socket that leads to a TCP server.

A gateway's namespace has no route to the control plane, on purpose: only the underlay is there. A Unix socket is
reached from any namespace, so where the control plane has only a TCP address, the lab passes bytes between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from opencen.lab.errors import LabError

_CHUNK_BYTES = 65536
_END_TIMEOUT_S = 5


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes on until either end closes, then closes the other."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _serve(path: Path, host: str, port: int, stopped: asyncio.Event, started: threading.Event) -> None:
    """Relays connections until `stopped`; then ends them all, and their tasks with them."""
    ends: set[asyncio.StreamWriter] = set()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        pair = {writer, far_writer}
        ends.update(pair)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        ends.difference_update(pair)

    server = await asyncio.start_unix_server(join, path)
    started.set()
    await stopped.wait()
    server.close()
    for end in ends:
        end.transport.abort()
    open_tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if open_tasks:
        await asyncio.wait(open_tasks, timeout=_END_TIMEOUT_S)


@contextmanager
def gateway_server(server: str, socket: Path) -> Iterator[str]:
    """The address at which gateways reach `server` from their namespaces; a relay at `socket` runs while needed.

    Raises LabError for an address that is neither `unix:` nor `http://`.
    """
    if server.startswith("unix:"):
        yield server
        return
    parts = urlsplit(server)
    if parts.scheme != "http" or not parts.hostname:
        raise LabError(f"a lab's server is unix:/path or http://host:port, not {server!r}")
    socket.unlink(missing_ok=True)
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    started = threading.Event()
    task = _serve(socket, parts.hostname, parts.port or 80, stopped, started)
    thread = threading.Thread(target=loop.run_until_complete, args=(task,), name="opencen-lab-relay", daemon=True)
    thread.start()
    try:
        if not started.wait(5):
            raise LabError(f"no relay to {server} at {socket}")
        yield f"unix:{socket}"
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopped.set)
            thread.join(5)
        loop.close()
        socket.unlink(missing_ok=True)
