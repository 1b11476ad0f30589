"""What metering 10,000 links costs a gateway: processor time of reading, cutting into ticks and writing down."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.cold_start import kernel_of, site_of, state_of
from bench.report import Result
from opencen.gateway.converge import Converger
from opencen.gateway.kernel.counters import CounterReader
from opencen.gateway.usage.metering import Metering
from opencen.wire.usage import UsageAnswer

LINKS = (1_000, 10_000)
ROUNDS = 3
AT_MOST_SHARE = 0.05


class _Nobody:
    """A control plane that takes everything: what is measured is what goes on before."""

    async def usage(self, body: dict[str, Any]) -> UsageAnswer:
        return UsageAnswer()


def _seconds_of_cpu(links: int) -> float:
    """Processor seconds that ten seconds of metering take, the first ten left out."""
    gateway_id = f"gw-bm{os.getpid()}n{links}"
    state, site = state_of(gateway_id, links), site_of(gateway_id)
    with kernel_of(gateway_id) as kernel, tempfile.TemporaryDirectory(prefix="opencen-bench-") as directory:
        Converger(kernel).converge(state, site)
        reader = CounterReader(f"{gateway_id}-cen-")
        metering = Metering(gateway_id, reader, _Nobody(), Path(directory), state=lambda: state)
        metering.begin()
        used: list[float] = []
        for second in range(10 * (ROUNDS + 1)):
            now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            time.sleep(int(now_s) + 1 - now_s)
            before = time.process_time()
            metering.sample()
            if second >= 10:
                used.append(time.process_time() - before)
        metering.flush()
        reader.close()
    return sum(used) / ROUNDS


def run() -> Result:
    rows, shares = [], []
    for links in LINKS:
        share = _seconds_of_cpu(links) / 10
        shares.append(share)
        step = "second" if links <= 1_000 else "10 s"
        rows.append((str(links), f"every {step}", f"{share * 100:.2f} %", f"{share / AT_MOST_SHARE:.2f}"))
    return Result(
        name="metering",
        title="Metering on a gateway: share of one core",
        promise=f"under {AT_MOST_SHARE * 100:.0f} % of a core at 10,000 links",
        columns=("links", "read", "of a core", "of the limit"),
        rows=rows,
        met=shares[-1] < AT_MOST_SHARE,
        notes=("Ten links in each namespace; reading, cutting into ticks, and writing batches and state to disk.",),
    )
