"""What is done to the audit log behind the server's back is found."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from conftest import administrator
from opencen.domain.nouns import Actor
from opencen.serve import open_context
from opencen.services import audit_seals, check, instances
from opencen.services import secrets as rotation
from opencen.services.context import Context
from opencen.store import audit_seals as rows
from servers import ServerProcess


@pytest.fixture
def context(tmp_path: Path, database_url: str | None) -> Iterator[Context]:
    opened, _ = open_context(tmp_path / "data", database_url)
    yield opened
    opened.database.close()


@pytest.fixture
def actor(context: Context) -> Actor:
    return administrator(context)


def write(context: Context, actor: Actor, count: int) -> None:
    for number in range(count):
        instances.create(context, actor, name=f"instance {number}")


def amiss(context: Context, head: str | None = None) -> list[str]:
    with context.database.read() as tx:
        return list(audit_seals.amiss(tx, context.vault, head))


def tamper(context: Context, *statements: str) -> None:
    """As somebody who holds the database does: the triggers are no obstacle to him."""
    off = ["DROP TRIGGER audit_events_keep_UPDATE", "DROP TRIGGER audit_events_keep_DELETE"]
    if not context.database.is_sqlite:
        off = ["DROP TRIGGER audit_events_keep ON audit_events"]
    with context.database.write() as tx:
        for statement in (*off, *statements):
            tx.execute(text(statement))


def head_of(context: Context) -> str:
    with context.database.read() as tx:
        last = rows.last(tx)
    assert last is not None
    return last.head


def test_what_was_written_is_sealed_in_batches_and_all_is_well(context: Context, actor: Actor) -> None:
    for _ in range(3):
        write(context, actor, 4)
        assert audit_seals.count_unsealed(context) == 4
        audit_seals.seal(context)
        assert audit_seals.count_unsealed(context) == 0
    chain = audit_seals.find_chain(context, actor)
    assert (chain.sealed_events, chain.head.number if chain.head else 0) == (12, 3)
    assert amiss(context, head_of(context)) == []
    assert check.check(context) == []


COPY = (
    "INSERT INTO audit_events (id, at, account_id, actor, action, resource, outcome) "
    "SELECT {id}, at, account_id, actor, action, resource, outcome FROM audit_events WHERE id = 2"
)


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (["DELETE FROM audit_events WHERE id = 3"], "event 3 was removed"),
        (["UPDATE audit_events SET actor = 'nobody' WHERE id = 2"], "event 2 was altered"),
        (['UPDATE audit_events SET after = \'{"name":"other"}\' WHERE id = 4'], "event 4 was altered"),
        (["UPDATE audit_events SET at = '2020-01-01 00:00:00.000000' WHERE id = 1"], "event 1 was altered"),
        (["DELETE FROM audit_events WHERE id = 3", COPY.format(id=3)], "event 3 was altered"),
        (
            [
                "UPDATE audit_events SET id = 99 WHERE id = 2",
                "UPDATE audit_events SET id = 2 WHERE id = 3",
                "UPDATE audit_events SET id = 3 WHERE id = 99",
            ],
            "event 2 was altered",
        ),
        (["UPDATE audit_events SET id = 900 WHERE id = 6"], "event 6 was removed"),
        ([COPY.format(id=-5)], "event -5 was inserted"),
        (["DELETE FROM audit_seals WHERE number = 1"], "the seals from 1 up to 2 are missing"),
        (["UPDATE audit_seals SET sealed_at = '2020-01-01 00:00:00.000000' WHERE number = 1"], "seal 1 is not what"),
        (["UPDATE audit_seals SET last_id = 2 WHERE number = 1"], "seal 1 does not say"),
        (["UPDATE audit_seals SET tag = sha256"], "not made with this installation's key"),
    ],
)
def test_whatever_is_done_to_it_is_found(context: Context, actor: Actor, statements: list[str], sentence: str) -> None:
    for _ in range(2):
        write(context, actor, 3)
        audit_seals.seal(context)
    tamper(context, *statements)
    assert any(sentence in found for found in amiss(context)), amiss(context)
    assert check.check(context) != []


def test_who_has_the_database_but_no_key_cannot_make_the_chain_anew(context: Context, actor: Actor) -> None:
    write(context, actor, 3)
    audit_seals.seal(context)
    tamper(context, "DELETE FROM audit_events WHERE id = 2", "DELETE FROM audit_seals")
    thief, _ = open_context(Path(context.vault.path or "").parent / "thief", None)
    key, context.vault = context.vault, thief.vault
    audit_seals.seal(context)
    context.vault = key
    assert ["not made with this installation's key" in sentence for sentence in amiss(context)] == [True]
    thief.database.close()


def test_a_log_cut_at_its_end_is_found_with_a_head_kept_elsewhere(context: Context, actor: Actor) -> None:
    for _ in range(2):
        write(context, actor, 2)
        audit_seals.seal(context)
    kept = head_of(context)
    tamper(context, "DELETE FROM audit_events WHERE id > 2", "DELETE FROM audit_seals WHERE number = 2")
    assert amiss(context) == []  # what cannot be found without it
    assert "the log was cut at its end" in amiss(context, kept)[0]


def test_no_event_can_be_changed_or_deleted_by_a_statement(context: Context, actor: Actor) -> None:
    write(context, actor, 1)
    for statement in ("DELETE FROM audit_events", "UPDATE audit_events SET actor = 'x'"):
        with pytest.raises(DatabaseError, match="append-only"), context.database.write() as tx:
            tx.execute(text(statement))


def test_writers_and_the_sealer_at_once_leave_nothing_out(context: Context, actor: Actor) -> None:
    done = threading.Event()

    def seal_all_the_time() -> None:
        while not done.is_set():
            audit_seals.seal(context)

    sealer = threading.Thread(target=seal_all_the_time)
    writers = [threading.Thread(target=write, args=(context, actor, 15)) for _ in range(4)]
    for thread in (sealer, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    sealer.join()
    audit_seals.seal(context)
    assert audit_seals.find_chain(context, actor).sealed_events == 60
    assert amiss(context) == []


def test_rotating_the_key_keeps_the_chain(context: Context, actor: Actor) -> None:
    write(context, actor, 2)
    audit_seals.seal(context)
    rotation.rotate(context)
    assert amiss(context, head_of(context)) == []
    write(context, actor, 2)
    audit_seals.seal(context)
    assert amiss(context) == []


def opencen(context: Context, database_url: str | None, *words: str) -> subprocess.CompletedProcess[str]:
    where = ["--database", database_url] if database_url else []
    data = str((context.vault.path or Path()).parent)
    argv = [sys.executable, "-m", "opencen", "audit", *words, "--data", data, *where]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_says_what_it_found(context: Context, actor: Actor, database_url: str | None) -> None:
    write(context, actor, 2)
    audit_seals.seal(context)
    write(context, actor, 1)
    well = opencen(context, database_url, "verify", "--head", head_of(context))
    assert (well.returncode, well.stdout) == (0, f"2 events sealed, 1 not yet\nhead: {head_of(context)}\n")
    tamper(context, "DELETE FROM audit_events WHERE id = 1")
    broken = opencen(context, database_url, "verify")
    assert (broken.returncode, broken.stderr) == (1, "broken: event 1 was removed (seal 1)\n")


def verify_export(lines: list[str]) -> int:
    """The chain of an export, recomputed with nothing but what docs/audit.md says; how many seals there are."""
    previous, batch, seals = "0" * 64, b"", 0
    for line in lines:
        entry: dict[str, Any] = json.loads(line)
        if "seal" not in entry:
            batch += f"{entry['id']} {hashlib.sha256(line.encode()).hexdigest()}\n".encode()
            continue
        head = f"opencen-audit-1 {entry['seal']} {entry['sealed_at']} {previous}\n".encode()
        assert entry["sha256"] == hashlib.sha256(head + batch).hexdigest()
        previous, batch, seals = entry["sha256"], b"", seals + 1
    return seals


def test_an_export_can_be_verified_by_others(context: Context, actor: Actor, database_url: str | None) -> None:
    for _ in range(2):
        instances.create(context, actor, name="Straße \N{SNOWMAN}", description='"quoted"')
        audit_seals.seal(context)
    lines = opencen(context, database_url, "export").stdout.splitlines()
    assert verify_export(lines) == 2
    assert json.loads(lines[0])["after"]["name"] == "Straße \N{SNOWMAN}"
    with pytest.raises(AssertionError):
        verify_export([line.replace("instance.create", "instance.delete") for line in lines])


def test_follow_prints_events_as_they_happen(server: ServerProcess) -> None:
    argv = [sys.executable, "-m", "opencen", "--server", server.url, "--data", str(server.data)]
    with (
        subprocess.Popen([*argv, "audit", "--follow", "-o", "json"], stdout=subprocess.PIPE, text=True) as follower,
        server.client() as client,
    ):
        try:
            assert follower.stdout is not None
            for name in ("one", "two"):
                cen_id = client.post("/v1/instances", {"name": name})["id"]
                while (event := json.loads(follower.stdout.readline()))["resource"] != cen_id:
                    pass
                assert event["after"]["name"] == name
        finally:
            follower.terminate()
