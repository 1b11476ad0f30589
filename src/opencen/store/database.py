"""Where the rows are: SQLite (default) or PostgreSQL, and the two ways to talk to them.

`read()` is a snapshot. `write()` is one durable transaction: on SQLite the writer takes its lock at once (BEGIN
IMMEDIATE; a deferred BEGIN fails half of the time under load), on PostgreSQL rows are locked as they are needed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError, DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opencen.domain.errors import InvalidValueError, UnavailableError
from opencen.store import schema, usage_schema, volatile_schema
from opencen.store.json_text import to_json
from opencen.store.postgres import LISTENS, need_room, postgres_engine, take_all_the_time_it_needs

Transaction = Connection
"""What the functions of this folder are given; nobody outside of it looks inside."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_MS = 10_000
_POOL_SIZE = 24
POSTGRES_CHANNEL = "opencen_changes"


class SchemaTooNewError(Exception):
    """The database was written by a newer OpenCEN."""


def _sqlite_engine(path: Path, synchronous: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=56, json_serializer=to_json)

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _record: Any) -> None:
        raw.isolation_level = None
        for pragma in (
            f"busy_timeout={_BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-32768",
        ):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = "IMMEDIATE" if connection.get_execution_options().get("opencen_write") else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


class _SqliteWriter:
    """The one writer of a SQLite file. It keeps its connection: getting one from the pool costs three statements."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(opencen_write=True)
            try:
                with self._connection.begin():
                    yield self._connection
            except DatabaseError:
                self._forget()
                raise

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def newest_migration() -> str:
    """The one revision that no other follows."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for path in (_MIGRATIONS / "versions").glob("*.py"):
        content = path.read_text()
        revisions.update(re.findall(r'^revision = "(\w+)"$', content, re.MULTILINE))
        followed.update(re.findall(r'^down_revision = "(\w+)"$', content, re.MULTILINE))
    (newest,) = revisions - followed
    return newest


class Database:
    """Three stores in one: `main` (durable), `volatile` (nonces, what gateways last said) and `usage` (durable)."""

    def __init__(self, main: Engine, volatile: Engine, usage: Engine) -> None:
        self._main = main
        self._volatile = volatile
        self._usage = usage
        self._sqlite = main.dialect.name == "sqlite"
        self._main_writer = _SqliteWriter(main)
        self._volatile_writer = _SqliteWriter(volatile)
        self._usage_writer = _SqliteWriter(usage)
        self._trouble: str | None = None

    @classmethod
    def sqlite(cls, directory: Path, *, durable: bool = True) -> Database:
        """The default: three files in `directory`, which is made if missing; `durable` waits for the disk."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        synchronous = "FULL" if durable else "OFF"
        return cls(
            _sqlite_engine(directory / "opencen.db", synchronous),
            _sqlite_engine(directory / "volatile.db", "OFF"),
            _sqlite_engine(directory / "usage.db", synchronous),
        )

    @classmethod
    def from_url(cls, url: str) -> Database:
        """PostgreSQL, from `postgresql://user:password@host/database`."""
        parsed = make_url(url)
        if not parsed.drivername.startswith("postgresql"):
            raise ValueError(f"--database takes postgresql://…, not {parsed.drivername}://…")
        parsed = parsed.set(drivername="postgresql+psycopg")
        main = postgres_engine(parsed, _POOL_SIZE)
        volatile = postgres_engine(parsed, _POOL_SIZE // 2, "-c synchronous_commit=off")
        return cls(main, volatile, main)

    @property
    def is_sqlite(self) -> bool:
        return self._sqlite

    def upgrade(self) -> None:
        """Bring the schema to this version. Raises SchemaTooNewError rather than touch a newer one."""
        if not self._is_current():
            self._migrate()
        self._create_volatile(volatile_schema.WHOLE)
        self._upgrade_usage()

    def _is_current(self) -> bool:
        """Whether the schema is this version's; found without Alembic, which takes a quarter of a second to import."""
        with self.read() as tx:
            if not inspect(tx).has_table("alembic_version"):
                return False
            return tx.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest_migration()

    def upgrade_to(self, revision: str) -> None:
        """Bring an empty database to the schema of an earlier version. Raises SchemaTooNewError for a later one."""
        self._migrate(revision)

    def _migrate(self, wanted: str = "head") -> None:
        from alembic import command  # noqa: PLC0415  only servers wait for it, once
        from alembic.config import Config  # noqa: PLC0415
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        script = ScriptDirectory.from_config(config)
        with self.write() as tx:
            if not self._sqlite:
                take_all_the_time_it_needs(tx)
                tx.execute(text("SELECT pg_advisory_xact_lock(7218430)"))
            present = MigrationContext.configure(tx).get_current_revision()
            known = {None, "head", *(revision.revision for revision in script.walk_revisions())}
            for unknown in {present, wanted} - known:
                raise SchemaTooNewError(
                    f"the database has schema {unknown!r}, which this OpenCEN does not know; a newer one wrote it"
                )
            config.attributes["connection"] = tx
            command.upgrade(config, wanted)

    def _create_volatile(self, metadata: MetaData) -> None:
        with self.volatile() as tx:
            metadata.create_all(tx, checkfirst=True)

    def _upgrade_usage(self) -> None:
        versions = usage_schema.usage_version
        with self.usage_write() as tx:
            if not self._sqlite:
                tx.execute(text("SELECT pg_advisory_xact_lock(7218431)"))
            usage_schema.usage.create_all(tx, checkfirst=True)
            present = tx.execute(select(versions.c.version)).scalar()
            if present is None:
                tx.execute(insert(versions), {"id": 1, "version": usage_schema.VERSION})
                return
            if present > usage_schema.VERSION:
                raise SchemaTooNewError(
                    f"the usage tables have version {present}, this OpenCEN knows {usage_schema.VERSION}; "
                    "a newer one wrote them"
                )
            for version in range(present + 1, usage_schema.VERSION + 1):
                if version in usage_schema.UPGRADES:
                    usage_schema.UPGRADES[version](tx)
            tx.execute(update(versions).values(version=usage_schema.VERSION))

    @contextmanager
    def usage_read(self) -> Iterator[Transaction]:
        """A consistent snapshot of `usage`."""
        with _unavailable_when_broken(), self._usage.connect() as connection:
            if not self._sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def usage_write(self) -> Iterator[Transaction]:
        """A transaction on `usage`: when the block ends it is on disk, when it raises nothing has changed."""
        if not self._sqlite:
            with _unavailable_when_broken(), self._usage.begin() as connection:
                yield connection
            return
        with _unavailable_when_broken(), self._usage_writer.transaction() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot of `main`."""
        with _unavailable_when_broken(), self._main.connect() as connection:
            if not self._sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction on `main`: when the block ends it is on disk, when it raises nothing has changed."""
        try:
            with _unavailable_when_broken(), self._begun() as connection:
                yield connection
        except UnavailableError as error:
            self._trouble = error.message
            raise

    def _begun(self) -> AbstractContextManager[Connection]:
        return self._main_writer.transaction() if self._sqlite else self._main.begin()

    def check_ready(self) -> None:
        """Raises UnavailableError when it cannot be read, or could not be written lately and still cannot."""
        with self.read() as tx:
            tx.execute(select(schema.control.c.revision)).one()
        if self._trouble is None:
            return
        with self.write() as tx:  # a real change: an equal value would not be written at all
            tx.execute(update(schema.control).values(revision=schema.control.c.revision + 1))
            if not self._sqlite:
                need_room(tx)
        self._trouble = None

    @contextmanager
    def volatile(self) -> Iterator[Transaction]:
        """A transaction on `volatile`, which does not wait for the disk."""
        if not self._sqlite:
            with _unavailable_when_broken(), self._volatile.begin() as connection:
                yield connection
            return
        with _unavailable_when_broken(), self._volatile_writer.transaction() as connection:
            yield connection

    def joined(self, tx: Transaction) -> Database:
        """The same stores; but whatever is read from or written to `main` takes part in `tx`."""
        return _Joined(self, tx)

    def guarded(self, check: Callable[[Transaction], None]) -> Database:
        """The same stores; but each transaction on `main` begins with `check`, and is undone when that raises."""
        return _Guarded(self, check)

    def notify(self, tx: Transaction, payload: str) -> None:
        """Tell the other servers, when this transaction commits. On SQLite there are none."""
        if not self._sqlite:
            tx.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": POSTGRES_CHANNEL, "payload": payload})

    def notifications(self, timeout_s: float) -> Iterator[str]:
        """Payloads of `notify` by any server, forever; an empty string each time `timeout_s` passes without one."""
        with self._main.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.connection.info[LISTENS] = True
            raw = cast(Any, connection.connection.driver_connection)
            raw.execute(f"LISTEN {POSTGRES_CHANNEL}")
            yield ""
            while True:
                received = False
                for notification in raw.notifies(timeout=timeout_s, stop_after=1):
                    received = True
                    yield notification.payload
                if not received:
                    raw.execute("SELECT 1")  # a connection that is gone tells nothing
                    yield ""

    def close(self) -> None:
        self._main_writer.close()
        self._volatile_writer.close()
        self._usage_writer.close()
        self._main.dispose()
        self._volatile.dispose()
        self._usage.dispose()


class _Joined(Database):
    """Inside of a transaction that is under way: a change that fails is undone alone, and is on disk with the rest."""

    def __init__(self, whole: Database, tx: Transaction) -> None:
        super().__init__(whole._main, whole._volatile, whole._usage)
        self._volatile_writer = whole._volatile_writer
        self._usage_writer = whole._usage_writer
        self._tx = tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        yield self._tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._tx.begin_nested():
            yield self._tx


class _Guarded(Database):
    """Whose writes are refused when something is not so any more: for work whose right to go on may have ended."""

    def __init__(self, whole: Database, check: Callable[[Transaction], None]) -> None:
        super().__init__(whole._main, whole._volatile, whole._usage)
        self._main_writer = whole._main_writer
        self._volatile_writer = whole._volatile_writer
        self._usage_writer = whole._usage_writer
        self._check = check

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with super().write() as tx:
            self._check(tx)
            yield tx

    @contextmanager
    def usage_write(self) -> Iterator[Transaction]:
        with super().usage_write() as tx:
            if not self._sqlite:
                self._check(tx)
            else:
                with self.read() as main_tx:
                    self._check(main_tx)
            yield tx


@contextmanager
def _unavailable_when_broken() -> Iterator[None]:
    """A database that is gone, full or locked is a 503 with nothing changed, not a stack trace.

    A value that it cannot keep (half a character, a NUL in PostgreSQL, a number beyond 64 bits) is the caller's: a 400.
    """
    try:
        yield
    except DataError as error:
        raise InvalidValueError(f"a value cannot be stored: {error.orig}") from error
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"a value cannot be stored: {error.reason}") from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise InvalidValueError("a value cannot be stored: a number is beyond 64 bits") from error
    except PoolTimeoutError as error:
        raise UnavailableError("too many requests wait for the database") from error
    except (OperationalError, InterfaceError) as error:
        raise UnavailableError(f"the database does not answer: {error.orig}") from error
    except DatabaseError as error:
        if any(word in str(error.orig) for word in ("disk", "malformed", "read-only")):
            raise UnavailableError(f"the database does not answer: {error.orig}") from error
        raise
