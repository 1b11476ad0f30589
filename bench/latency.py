"""From the API's answer until both kernels have changed, as the kernels themselves announce it."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time

from bench.report import Result
from bench.site import running_site

A, B = "us-west-1", "cn-hangzhou"
CHANGES = 300
_TIMEOUT_S = 5.0


class _Watcher:
    """Listens to what the kernel of a namespace says of its traffic classes."""

    def __init__(self, namespace: str) -> None:
        self._process = subprocess.Popen(["ip", "netns", "exec", namespace, "tc", "monitor"], stdout=subprocess.PIPE)
        self._changed = threading.Event()
        self.at_s = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"class htb 1:10 "):
                self.at_s = time.monotonic()
                self._changed.set()

    def expect(self) -> None:
        self._changed.clear()

    def wait(self) -> float:
        if not self._changed.wait(_TIMEOUT_S):
            raise RuntimeError("the kernel was not changed")
        return self.at_s

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def run() -> Result:
    """Median and 99th percentile."""
    latencies_ms: list[float] = []
    calls_ms: list[float] = []
    active_ms: list[float] = []
    with running_site() as site:
        site.set(A, B, 10)
        watchers = [_Watcher(site.namespace(region_id)) for region_id in (A, B)]
        path = site.path(A, B)
        time.sleep(0.5)  # until the watchers listen
        for number in range(CHANGES):
            for watcher in watchers:
                watcher.expect()
            began = time.monotonic()
            site.client.request("PUT", path, body={"bandwidth_mbps": 9 + number % 2})
            answered = time.monotonic()
            both = max(watcher.wait() for watcher in watchers)
            calls_ms.append((answered - began) * 1000)
            latencies_ms.append((both - answered) * 1000)
            while site.client.get(path)["status"] != "Active":
                pass
            active_ms.append((time.monotonic() - answered) * 1000)
        for watcher in watchers:
            watcher.end()
    median, worst = statistics.median(latencies_ms), _percentile(latencies_ms, 0.99)
    rows = [
        (name, f"{statistics.median(values):.1f}", f"{_percentile(values, 0.99):.1f}", f"{max(values):.1f}")
        for name, values in (
            ("API answer -> both kernels changed", latencies_ms),
            ("API answer -> status Active", active_ms),
            ("the call itself (durable)", calls_ms),
        )
    ]
    return Result(
        name="latency",
        title=f"A change reaches the kernels, {CHANGES} changes, 4 gateways",
        promise="median under 20 ms, 99th percentile under 50 ms from the answer to both kernels",
        columns=("ms", "median", "99th percentile", "most"),
        rows=rows,
        met=median < 20 and worst < 50,
        notes=("A negative figure: the kernels had changed before the caller had read the answer.",),
    )
