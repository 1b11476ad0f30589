"""What the documentation names exists, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from opencen.api.rest import problems
from opencen.cli.main import app
from opencen.domain import errors
from opencen.gateway.exposition import LinkMetrics, SpoolMetrics
from opencen.gateway.usage.spool import Spool
from opencen.serve import Metrics
from opencen.services.context import Context

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"opencen((?: [a-z][a-z-]+)+)")


def _documented_codes() -> set[str]:
    rows = [line for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_refusal_of_the_rest_api_is_documented_with_its_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DomainError) and value is not errors.DomainError
    ]
    for kind in kinds:
        status = next(status for base, status, _ in problems.STATUS if issubclass(kind, base))
        assert re.search(rf"\| `{kind.code}` \| {status} \|", page), kind.code
    beyond = {"NoSuchRoute", "MethodNotAllowed", "BodyTooLarge", "InternalError"}
    assert _documented_codes() == {kind.code for kind in kinds} | beyond


def test_every_metric_is_documented_and_every_documented_one_exists(context: Context, tmp_path: Path) -> None:
    described = set(re.findall(r"^\| `(opencen_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    real = {
        f"{family.name}{'_total' if family.type == 'counter' else ''}"
        for registry in (Metrics(context).registry, LinkMetrics().registry, SpoolMetrics(Spool(tmp_path)))
        for family in registry.collect()
    }
    assert described == real


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    root = get_command(app)
    for words in COMMAND.findall(page.read_text()):
        command: object = root
        for word in words.split():
            commands = getattr(command, "commands", None)
            if commands is None:
                break
            assert word in commands, f"{page.name}: opencen{words}"
            command = commands[word]


def test_every_command_says_what_it_does() -> None:
    def walk(command: object, path: str) -> None:
        assert getattr(command, "help", None), path
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}")

    walk(get_command(app), "opencen")
    assert isinstance(app, typer.Typer)
