"""Fixtures that several folders share. What a machine lacks is a skip with its reason; with CI=true a failure."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opencen.changes.feed import ChangeFeed
from opencen.domain.nouns import Actor, Role
from opencen.services import identities
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import identities as rows
from opencen.store.database import Database
from secret_search import SEARCH, watch_answers
from servers import ServerProcess, new_postgres_database, postgres_binaries, running_postgres, running_server

watch_answers()


LEAKS: list[str] = []
"""What the worker processes of a parallel run have found."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session when a secret that it used is in a log, a database or metrics."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    directory = getattr(factory, "_basetemp", None)
    leaks = list(LEAKS)
    if directory is not None:
        SEARCH.learn_files(directory)
        leaks += sorted(SEARCH.found(directory))
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # a worker: whoever started it says so
        output["leaks"] = leaks
    elif leaks:
        print("\nsecrets were found where none may be:", *leaks, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of a parallel run has ended."""
    LEAKS.extend(getattr(node, "workeroutput", {}).get("leaks", []))


def missing(reason: str) -> None:
    """Skip, or fail where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of this test run."""
    if postgres_binaries() is None:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    with running_postgres() as url:
        yield url


@pytest.fixture
def new_database(postgres: str) -> Callable[[], str]:
    """Makes an empty database in it."""
    return lambda: new_postgres_database(postgres, f"opencen_{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """None for SQLite, and the address of an empty PostgreSQL database: each test runs on both."""
    if request.param == "sqlite":
        return None
    make: Callable[[], str] = request.getfixturevalue("new_database")
    return make()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """The services over an empty SQLite database."""
    database = Database.sqlite(tmp_path / "data")
    database.upgrade()
    made = Context(database, ChangeFeed(), Vault.from_file(tmp_path / "data" / "secrets.key"))
    identities.bootstrap(made, tmp_path / "data" / "admin.json")
    yield made
    database.close()


@pytest.fixture
def admin(context: Context) -> Actor:
    """The first account's administrator."""
    return administrator(context)


def administrator(context: Context) -> Actor:
    with context.database.read() as tx:
        user = rows.find_user(tx, "admin")
    assert user is not None
    return Actor(user.account_id, user.id, user.username, Role(user.role))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server on SQLite, for the tests of a module; its invariants are checked at the end."""
    with running_server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running
