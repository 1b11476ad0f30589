"""A real transfer between two hosts: an unpaced sender, counted where it arrives."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, Literal

from opencen.lab.arrivals import ArrivalCounter, counting_arrivals, rate_bps
from opencen.lab.commands import loss_based_congestion_control, within
from opencen.lab.errors import TransferError

Transport = Literal["tcp", "udp"]
WARM_UP_S = 2.0
_START_TIMEOUT_S = 10.0
_START_PACKETS = 30
_POLL_S = 0.05
_GRACE_S = 3.0
_SPARE_S = 30.0
_PORTS = range(20_000, 32_000)
_SLOW_BPS = 100_000
_TCP_LENGTH = 128 * 1024
_UDP_LENGTH = 1472
_SLOW_PACKET = 100


@dataclass(frozen=True)
class Endpoint:
    """A host, as far as a transfer is concerned."""

    name: str
    namespace: str
    ip: IPv4Address


@dataclass(frozen=True)
class Measurement:
    """What arrived over `seconds`, counted in IP packets at the receiver's interface."""

    measured_bps: float
    received_bytes: int
    received_packets: int
    seconds: float
    sender: Literal["iperf3", "opencen"]


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def failure(self) -> str | None:
        """What a process that has ended said; None while it runs."""
        if self.process.poll() is None:
            return None
        self.log.seek(0)
        output = self.log.read().decode("utf-8", "replace").strip()
        return output or f"exit code {self.process.returncode}"


@contextmanager
def _running(namespace: str, argv: Sequence[str], bound_s: float) -> Iterator[_Running]:
    """A process in a namespace. It ends with the block, when this process is killed, or after `bound_s`."""
    bounded = within(namespace, ["setpriv", "--pdeathsig", "TERM", "timeout", "-k", "2", f"{bound_s:.0f}", *argv])
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            bounded, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield _Running(process, log)
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its children: they are a session of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
            return


def _listens(pid: int, port: int) -> bool:
    """Whether someone listens on a TCP port in the network namespace of a process."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return True
    return False


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


@contextmanager
def _receiver(namespace: str, command: Callable[[int], Sequence[str]], bound_s: float) -> Iterator[int]:
    """A listening receiver's port. Another one is tried when a port is taken."""
    message = "no answer"
    for _ in range(5):
        port = secrets.choice(_PORTS)
        with _running(namespace, command(port), bound_s) as receiver:

            def settled(receiver: _Running = receiver, port: int = port) -> bool:
                return receiver.failure() is not None or _listens(receiver.process.pid, port)

            _wait_until(settled, _START_TIMEOUT_S)
            failure = receiver.failure()
            if failure is None:
                yield port
                return
            message = failure
    raise TransferError(f"no receiver in {namespace}: {message}")


def _iperf3(sink: Endpoint, transport: Transport, length: int | None, bound_s: float) -> _Sender:
    def receive(port: int) -> list[str]:
        return ["iperf3", "-s", "-1", "-p", str(port)]

    def send(port: int) -> list[str]:
        command = ["iperf3", "-c", str(sink.ip), "-p", str(port), "-t", f"{bound_s:.0f}", "-b", "0", "-i", "0"]
        command += ["-u", "-l", str(length or _UDP_LENGTH)] if transport == "udp" else []
        if transport == "tcp":
            command += ["-C", loss_based_congestion_control()]
            command += ["-l", str(length)] if length else []
        return command

    return _Sender("iperf3", receive, send)


def _plain(sink: Endpoint, transport: Transport, length: int | None, slow: bool) -> _Sender:
    """On a slow pair packets are small: at 1 kbit/s one of 1,500 bytes takes 12 s, longer than what is measured."""
    program = [sys.executable, "-m", "opencen.lab.flow"]
    size = length or ((_SLOW_PACKET if slow else _UDP_LENGTH) if transport == "udp" else _TCP_LENGTH)
    segment = _SLOW_PACKET if slow else 0
    return _Sender(
        "opencen",
        lambda port: [*program, "receive", str(port)],
        lambda port: [*program, "send", transport, str(sink.ip), str(port), str(size), str(segment)],
    )


@dataclass(frozen=True)
class _Sender:
    name: Literal["iperf3", "opencen"]
    receive: Callable[[int], Sequence[str]]
    send: Callable[[int], Sequence[str]]


def _measure(sender: _Sender, counter: ArrivalCounter, source: Endpoint, sink: Endpoint, seconds: float) -> Measurement:
    bound_s = seconds + WARM_UP_S + _SPARE_S
    with (
        _receiver(sink.namespace, sender.receive, bound_s) as port,
        _running(source.namespace, sender.send(port), bound_s) as sending,
    ):
        enough = counter.read().packets + _START_PACKETS
        if sender.name == "iperf3" and not _wait_until(
            lambda: sending.failure() is not None or counter.read().packets >= enough, _START_TIMEOUT_S
        ):
            raise TransferError(f"iperf3 from {source.name} to {sink.name} did not begin in {_START_TIMEOUT_S:.0f} s")
        time.sleep(WARM_UP_S)
        start = counter.read()
        time.sleep(max(0.0, start.at_s + seconds - time.monotonic()))
        end = counter.read()
        failure = sending.failure()
        if failure is not None:
            raise TransferError(f"{sender.name} from {source.name} to {sink.name} ended early: {failure}")
    return Measurement(
        measured_bps=rate_bps(start, end),
        received_bytes=end.bytes - start.bytes,
        received_packets=end.packets - start.packets,
        seconds=end.at_s - start.at_s,
        sender=sender.name,
    )


def measure(
    source: Endpoint,
    sink: Endpoint,
    *,
    seconds: float = 10.0,
    transport: Transport = "tcp",
    length: int | None = None,
    set_bps: int | None = None,
) -> Measurement:
    """Sends from `source` to `sink` without pacing and counts what arrives over `seconds`, after 2 s of warm-up.

    `length` is the payload of a UDP datagram, or of a TCP write, in bytes. The sender is iperf3; where its control
    connection does not get through (a pair at the test rate, or filled by other traffic), a plain one that has none.
    Raises TransferError.
    """
    with counting_arrivals(sink.namespace, source.ip, sink.ip) as counter:
        slow = set_bps is not None and set_bps < _SLOW_BPS
        if not slow:
            with contextlib.suppress(TransferError):
                return _measure(
                    _iperf3(sink, transport, length, seconds + WARM_UP_S + _SPARE_S), counter, source, sink, seconds
                )
        return _measure(_plain(sink, transport, length, slow), counter, source, sink, seconds)
