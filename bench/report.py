"""Results with what they were measured on, and the table in docs/performance.md that is made of them."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from opencen import __version__

_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "bench" / "results"
PAGE = _ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True)
class Result:
    """One benchmark's table. `met` says whether its promise held; `promise` is that promise in words."""

    name: str
    title: str
    promise: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    met: bool
    notes: Sequence[str] = ()
    machine: str = field(default_factory=lambda: machine())  # noqa: PLW0108 - defined below
    at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    def show(self) -> None:
        table = Table(title=self.title, caption=f"{self.promise}: {'met' if self.met else 'NOT MET'}", box=None)
        for column in self.columns:
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*row)
        console = Console(width=140)
        console.print(table)
        for note in self.notes:
            console.print(note, highlight=False)
        console.print(f"{self.machine}; {self.at}", style="dim", highlight=False)

    def save(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")


def machine() -> str:
    """The machine, and the versions that matter."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    tc = subprocess.run(["tc", "-V"], capture_output=True, text=True, check=False).stdout.split(",")[-2:]
    return (
        f"{platform.node()}: {os.cpu_count()} x {model}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {tc[0].strip() if tc else 'no tc'}, OpenCEN {__version__}"
    )


def write_page() -> None:
    """Put all saved results into the documentation."""
    parts = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        parts += [f"## {result['title']}", "", f"{result['promise']}: {'met' if result['met'] else '**not met**'}.", ""]
        parts += ["| " + " | ".join(result["columns"]) + " |", "|" + " ---: |" * len(result["columns"])]
        parts += ["| " + " | ".join(row) + " |" for row in result["rows"]]
        parts += ["", *(f"{note}\n" for note in result["notes"])]
        command = result.get("command") or f"python -m bench {result['name']}"
        parts += [f"*{result['machine']}; {result['at']}; `{command}`*", ""]
    page = PAGE.read_text()
    before, after = page[: page.index(_BEGIN)], page[page.index(_END) :]
    PAGE.write_text(before + _BEGIN + "\n\n" + "\n".join(parts) + "\n" + after)
