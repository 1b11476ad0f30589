"""`PYTHONPATH=tests python -m faults`: many rounds, and the file that says what was injected and what was found."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bench.report import machine  # noqa: E402

from faults.rounds import Course, Round  # noqa: E402
from faults.site import Site  # noqa: E402

RESULT = ROOT / "bench" / "results" / "faults.json"
_PER_SITE = 20
"""Rounds before a site is made anew, with the other database."""


def run_rounds(seed: int, rounds: int, *, say: object = print) -> list[Round]:
    """Rounds of the seeds from `seed` on: two thirds on PostgreSQL with two servers, one third on SQLite."""
    done: list[Round] = []
    turn = 0
    while len(done) < rounds:
        site = Site("sqlite" if turn % 3 == 2 else "postgresql")
        turn += 1
        try:
            course = Course(site)
            course.prepare()
            for _ in range(min(_PER_SITE, rounds - len(done))):
                finished = course.run(seed + len(done))
                done.append(finished)
                say(f"{len(done)}: {finished}")  # type: ignore[operator]
            for server in site.servers[:1]:
                server.check()
        finally:
            site.close()
    return done


def main() -> int:
    """Exit code 1 when a promise did not hold in a round."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write bench/results/faults.json")
    parser.add_argument("--append", action="store_true", help="to the rounds that the file has already")
    given = parser.parse_args()
    done = run_rounds(given.seed, given.rounds, say=lambda line: print(line, flush=True))
    if given.append:
        done = [*_saved(), *done]
    injected = Counter(name for finished in done for name in finished.injected)
    broken = [finished for finished in done if finished.found]
    for finished in broken:
        print(f"BROKEN in the round of seed {finished.seed}: {finished.found}")
    print(f"{len(done)} rounds, {sum(injected.values())} faults, {len(broken)} rounds in which a promise did not hold")
    if given.save:
        _save(done, injected)
    return 1 if broken else 0


def _saved() -> list[Round]:
    rounds = json.loads(RESULT.read_text())["rounds"]
    return [Round(**{**one, "injected": tuple(one["injected"]), "found": tuple(one["found"])}) for one in rounds]


def _save(done: list[Round], injected: Counter[str]) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT)
    broken = sum(1 for finished in done if finished.found)
    acknowledged = sum(finished.acknowledged for finished in done)
    unknown = sum(finished.unknown + finished.unavailable for finished in done)
    slowest_s = max(finished.recovered_s for finished in done)
    document = {
        "name": "faults",
        "command": f"make faults ROUNDS={len(done)} SEED={done[0].seed}",
        "title": "Faults at random moments, with seven clients writing",
        "promise": "no acknowledged write lost, the cap never broken, every invariant holds, no hand needed",
        "columns": ["fault", "times"],
        "rows": [
            *([name, str(count)] for name, count in sorted(injected.items())),
            ["rounds", str(len(done))],
            ["rounds in which a promise did not hold", str(broken)],
        ],
        "met": broken == 0,
        "notes": [
            f"{acknowledged} acknowledged writes, {unknown} that ended without an answer or with 503; after the last "
            f"fault of a round every server was ready within {slowest_s:.1f} s (its start is a part of that).",
            "SQLite: one server on a filesystem of its own. PostgreSQL: two servers. After each round the connections, "
            "the package and the audit log are held against what was acknowledged; every invariant is recomputed.",
        ],
        "machine": machine(),
        "commit": commit.stdout.strip(),
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": [asdict(finished) for finished in done],
    }
    RESULT.write_text(json.dumps(document, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
