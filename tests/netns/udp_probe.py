"""Numbered UDP packets between two hosts, for tests. Prints JSON.

send ADDRESS PAYLOAD_BYTES PACKETS_PER_S SECONDS | receive SECONDS | follow SECONDS | watch DEVICE SECONDS
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from itertools import pairwise

PORT = 7007
ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33  # beyond what the system allows: a receiver that has to wait for its turn loses nothing


def send(address: str, payload_bytes: int, packets_per_s: float, seconds: float) -> dict[str, object]:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    padding = b"\0" * (payload_bytes - 4)
    began = time.monotonic()
    sent = 0
    while (now := time.monotonic()) - began < seconds:
        due = int((now - began) * packets_per_s) + 1
        while sent < due:
            sender.sendto(struct.pack("!I", sent) + padding, (address, PORT))
            sent += 1
        time.sleep(max(0.0, began + due / packets_per_s - time.monotonic()))
    return {"sent": sent}


def receive(seconds: float) -> dict[str, object]:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
    receiver.bind(("", PORT))
    receiver.settimeout(0.1)
    print("ready", flush=True)
    until = time.monotonic() + seconds
    numbers: list[int] = []
    while time.monotonic() < until:
        try:
            numbers.append(struct.unpack_from("!I", receiver.recv(2_048))[0])
        except TimeoutError:
            continue
    reordered = sum(1 for before, after in pairwise(numbers) if after < before)
    return {"received": len(numbers), "distinct": len(set(numbers)), "reordered": reordered}


def follow(seconds: float) -> dict[str, object]:
    """As `receive`, with the longest time between two arrivals, and the most IP bits of any one second."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
    receiver.bind(("", PORT))
    receiver.settimeout(0.1)
    print("ready", flush=True)
    until = time.monotonic() + seconds
    arrivals: list[tuple[float, int, int]] = []
    while time.monotonic() < until:
        try:
            packet = receiver.recv(2_048)
        except TimeoutError:
            continue
        arrivals.append((time.monotonic(), struct.unpack_from("!I", packet)[0], len(packet) + 28))
    numbers = [number for _, number, _ in arrivals]
    most_bits, window_bits, first = 0, 0, 0
    for at_s, _, length in arrivals:
        window_bits += length * 8
        while at_s - arrivals[first][0] > 1.0:
            window_bits -= arrivals[first][2] * 8
            first += 1
        most_bits = max(most_bits, window_bits)
    return {
        "received": len(numbers),
        "distinct": len(set(numbers)),
        "reordered": sum(1 for before, after in pairwise(numbers) if after < before),
        "longest_gap_s": max((after[0] - before[0] for before, after in pairwise(arrivals)), default=0.0),
        "most_bps": most_bits,
    }


def watch(device: str, seconds: float) -> dict[str, object]:
    """When IP packets arrive at a device, how long they are and of which protocol."""
    watcher = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    watcher.bind((device, ETH_P_IP))
    watcher.settimeout(0.1)
    print("ready", flush=True)
    until = time.monotonic() + seconds
    arrivals: list[tuple[float, int, int]] = []
    while time.monotonic() < until:
        try:
            packet, address = watcher.recvfrom(2_048)
        except TimeoutError:
            continue
        if address[2] != PACKET_OUTGOING:
            arrivals.append((time.monotonic(), struct.unpack_from("!H", packet, 2)[0], packet[9]))
    return {"arrivals": arrivals}


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    if verb == "send":
        result = send(arguments[0], int(arguments[1]), float(arguments[2]), float(arguments[3]))
    elif verb == "receive":
        result = receive(float(arguments[0]))
    elif verb == "follow":
        result = follow(float(arguments[0]))
    else:
        result = watch(arguments[0], float(arguments[1]))
    print(json.dumps(result))
