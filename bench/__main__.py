"""Runs benchmarks, prints their tables, and puts them into docs/performance.md."""

from __future__ import annotations

import sys

from bench import (
    cold_start,
    encrypted,
    following,
    footprint,
    gateway_faults,
    key_rotation,
    latency,
    live_change,
    metering,
    rates,
    usage,
    writes,
)
from bench.report import write_page

BENCHMARKS = {
    "writes": writes.run,
    "latency": latency.run,
    "live_change": live_change.run,
    "rates": rates.run,
    "cold_start": cold_start.run,
    "following": following.run,
    "footprint": footprint.run,
    "gateway_faults": gateway_faults.run,
    "usage": usage.run,
    "metering": metering.run,
    "key_rotation": key_rotation.run,
    "encrypted": encrypted.run,
}


def main() -> int:
    """`python -m bench [NAME …]`; exit code 1 when a promise is not met."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    met = True
    for name in names:
        result = BENCHMARKS[name]()
        result.show()
        result.save()
        met = met and result.met
    write_page()
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
