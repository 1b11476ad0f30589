"""Backups: a whole database in one file, made while the servers run, with a checksum."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from opencen.store import copies
from opencen.store.copies import BadCopyError, NotEmptyError
from opencen.store.database import Database

__all__ = ["BadCopyError", "NotEmptyError", "backup", "copy", "restore"]


def backup(database: Database, path: Path, at: datetime) -> int:
    """Write a backup that is whole or not there at all, readable by its owner alone; its size in bytes."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with gzip.open(file, "wt", encoding="utf-8", newline="\n", compresslevel=6) as compressed:
                for line in copies.lines_of(database, at):
                    compressed.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def restore(database: Database, path: Path) -> tuple[str, int]:
    """Fill an empty database; when the backup was made, and the number of rows. Raises BadCopyError, NotEmptyError."""
    header = copies.checked(_lines(path))
    return str(header["made_at"]), copies.load(database, lambda: _lines(path))


def copy(source: Database, target: Database, at: datetime) -> int:
    """Fill an empty database with another one, which nobody should change meanwhile; the number of rows."""
    return copies.load(target, lambda: copies.lines_of(source, at))


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\n")
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BadCopyError(f"{path} is damaged: {error}") from error
