"""`opencen alarm`, from an empty account to a suggestion carried out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from opencen.cli.durations import seconds_of, span_of
from opencen.cli.main import app
from rest_scenario import make_scenario
from servers import ServerProcess

Run = Callable[..., str]


@pytest.fixture
def run(server: ServerProcess) -> Run:
    """Runs a command against the server; what it printed."""
    key = server.credential

    def call(*words: str, code: int = 0) -> str:
        argv = ["--server", server.url, "--access-key-id", key.identifier, "--access-key-secret", key.secret]
        done = CliRunner().invoke(app, [*argv, *words])
        assert done.exit_code == code, done.output
        return done.output

    return call


def test_channels_and_rules_are_made_shown_changed_and_deleted(run: Run, server: ServerProcess) -> None:
    with server.client() as client:
        scenario = make_scenario(client)
        scenario.set("us-west-1", "cn-hangzhou", 10)
    assert "opencen alarm channel add-webhook" in run("alarm", "channel", "list")
    made = run("alarm", "channel", "add-webhook", "https://hooks.example.net/x", "--name", "noc").split()
    channel_id = made[0]
    assert (channel_id[:4], made[1], len(made[2])) == ("ach-", "secret", 43)
    assert "may not go" in run("alarm", "channel", "add-webhook", "http://127.0.0.1/", code=1)
    assert "--alarms-config" in run("alarm", "channel", "add-email", "noc@cen.example", code=1)
    rule_id = run(
        *("alarm", "rule", "add", "connection_use", "--instance", scenario.cen_id, "--channel", channel_id),
        *("--pair", "us-west-1", "cn-hangzhou", "--raise-at", "90", "--raise-for", "10m", "--remind-every", "4h"),
    ).strip()
    (rule,) = json.loads(run("alarm", "rule", "list", "-o", "json"))
    expected = {"raise_at": 90, "raise_for_s": 600, "clear_at": 70, "remind_every_s": 14_400}
    assert {name: rule[name] for name in expected} == expected
    listed = run("alarm", "rule", "list")
    assert "90 % for 10m" in listed
    assert "cn-hangzhou - us-west-1" in listed
    run("alarm", "rule", "change", rule_id, "--clear-at", "60", "--remind-every", "0")
    (rule,) = json.loads(run("alarm", "rule", "list", "-o", "json"))
    assert (rule["clear_at"], rule["remind_every_s"]) == (60, None)
    assert "on its way" in run("alarm", "channel", "test", channel_id)
    assert "test" in run("alarm", "messages", "--channel", channel_id)
    run("alarm", "rule", "delete", rule_id)
    run("alarm", "channel", "delete", channel_id)
    assert "nothing is watched" in run("alarm", "rule", "list")
    assert "no alarm yet" in run("alarm", "list")
    assert "nothing is raised" in run("alarm", "list", "--raised")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90", 90), ("30m", 1800), ("8h", 28_800), ("2d", 172_800)])
def test_spans_of_time_are_typed_and_shown(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
    assert seconds_of(span_of(seconds)) == seconds
