"""What is watched raises an alarm, says what could be done, and is cleared; people take it over or want quiet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alarm_site import REGIONS, Site, make_site
from opencen.domain.nouns import Actor
from opencen.services import connections, people
from opencen.services.context import Context
from opencen.services.notifying.settings import NotifyingSettings, parse
from opencen.services.watching import Watcher


@pytest.fixture
def site(context: Context, admin: Actor) -> Site:
    return make_site(context, admin)


def states(site: Site) -> list[tuple[str, str]]:
    return [(alarm["kind"], alarm["state"]) for alarm in site.alarms()]


def test_a_connection_that_is_too_small_raises_an_alarm_with_what_could_be_done(site: Site) -> None:
    site.rule("connection_use", name="busy", raise_at=80, raise_for_s=60, clear_at=60, clear_for_s=60)
    connections.set_bandwidth(site.context, site.actor, site.cen_id, *REGIONS, 16)
    site.wait(60, mbps=15)
    assert site.alarms() == [], "60 s lie between 13 points, not between 12"
    site.wait(5, mbps=15)
    (alarm,) = site.alarms()
    assert (alarm["state"], alarm["subject"], alarm["rule_name"]) == ("raised", site.connection_id, "busy")
    assert alarm["value"] == pytest.approx(93.75)
    assert alarm["finding"] == "94 % of 16 Mbit/s in use (alarm from 80 % for 60 s)"
    assert alarm["advice"] == "4 of 20 Mbit/s are free in the package: raise to 20 Mbit/s?"
    more = alarm["suggestion"]
    path = f"/instances/{more['cen_id']}/region-connections/{more['region_a_id']}/{more['region_b_id']}"
    body = {"bandwidth_mbps": more["bandwidth_mbps"]}
    site.ok("PUT", path, body, **{"if-match": f'"{more["version"]}"'})
    stale = site.send("PUT", path, body, **{"if-match": f'"{more["version"]}"'})
    assert stale.status_code == 412
    assert stale.json()["current"] == {"version": 3, "bandwidth_mbps": 20}
    assert site.alarms()[0]["suggestion"] is None
    assert "all 20 Mbit/s of the package are allocated" in site.alarms()[0]["advice"]
    site.wait(65, mbps=11)
    assert states(site) == [("connection_use", "clear")]


def test_the_busier_direction_counts_and_a_wavering_value_stays_one_alarm(site: Site) -> None:
    site.rule("connection_use", raise_at=80, raise_for_s=30, clear_at=60, clear_for_s=30)
    for _ in range(6):
        site.wait(15, back_mbps=9)
        site.wait(15, back_mbps=7)
    assert site.alarms() == []
    site.wait(35, back_mbps=9)
    for _ in range(6):
        site.wait(15, back_mbps=9)
        site.wait(15, back_mbps=5)
    assert states(site) == [("connection_use", "raised")]
    assert site.alarms()[0]["version"] == 1


def test_a_package_is_watched_as_a_whole(site: Site) -> None:
    site.rule("package_use", package_id=site.package_id, raise_at=45, raise_for_s=0, clear_at=40, clear_for_s=0)
    site.wait(5, mbps=8, back_mbps=8)
    assert site.alarms() == [], "8 of 20 Mbit/s in each direction are 40 %"
    site.wait(5, mbps=9.5)
    (alarm,) = site.alarms()
    assert (alarm["subject"], alarm["advice"]) == (site.package_id, "the package has 20 Mbit/s: resize it")


def test_a_package_that_soon_expires_raises_an_alarm_until_it_is_renewed(site: Site) -> None:
    body = {"area_a_id": "China", "area_b_id": "Europe", "bandwidth_mbps": 5, "charge_type": "PREPAY", "months": 1}
    package = site.ok("POST", "/bandwidth-packages", body)
    site.rule("package_expiry", raise_at=10)
    site.wait(5)
    assert site.alarms() == [], "a month is left, and what has no end is not watched"
    site.now = site.now.fromisoformat(package["expires_at"]) - timedelta(days=10, seconds=10)
    site.wait(5)
    assert site.alarms() == []
    site.wait(10)
    (alarm,) = site.alarms()
    assert (alarm["subject"], alarm["finding"]) == (package["id"], "expires in 10.0 days (alarm from 10)")
    assert f"`opencen package renew {package['id']} MONTHS`" in alarm["advice"]
    site.ok("POST", f"/bandwidth-packages/{package['id']}/renewal", {"months": 1})
    site.wait(5)
    assert states(site) == [("package_expiry", "clear")]


def test_drops_by_the_limit_are_counted_a_minute(site: Site) -> None:
    site.rule("connection_drops", raise_at=120, raise_for_s=10, clear_at=12, clear_for_s=10)
    site.dropped = 1_000_000
    site.wait(20)
    assert site.alarms() == [], "what was dropped before anybody watched is no news"
    for _ in range(3):
        site.dropped += 6
        site.wait(5)
    (alarm,) = site.alarms()
    assert alarm["value"] == pytest.approx(2 * 6 * 12), "6 in 5 s, in either direction"
    site.dropped = 0  # the tunnel is made anew
    site.wait(15)
    assert states(site) == [("connection_drops", "clear")]


def test_a_gateway_that_is_gone_and_one_whose_kernel_is_not_left_alone(site: Site) -> None:
    site.rule("gateway_gone")
    site.rule("gateway_drift", clear_for_s=60)
    site.wait(30)
    site.repairs["us-west-1"] = 2
    site.wait(10)
    assert states(site) == [("gateway_drift", "raised")]
    assert site.alarms()[0]["value"] == 2
    site.wait(70, regions=["cn-hangzhou"])
    raised = {(alarm["kind"], alarm["region_ids"][0]) for alarm in site.alarms() if alarm["state"] == "raised"}
    assert raised == {("gateway_gone", "us-west-1"), ("gateway_drift", "us-west-1")}, "its silence proves no peace"
    site.wait(75)
    assert set(states(site)) == {("gateway_gone", "clear"), ("gateway_drift", "clear")}


def test_a_server_that_was_away_does_not_take_its_own_absence_for_the_gateways(site: Site) -> None:
    site.rule("gateway_gone")
    site.wait(30)
    site.now += timedelta(hours=1)
    site.watcher.look(site.context)
    heir = Watcher()
    heir.look(site.context)
    assert site.alarms() == []
    site.watcher = heir
    site.wait(40, regions=["cn-hangzhou"])
    assert states(site) == [("gateway_gone", "raised")]


def test_a_process_that_takes_over_keeps_what_is_raised_and_begins_its_runs_anew(site: Site) -> None:
    site.rule("connection_use", raise_at=80, raise_for_s=60, clear_at=60, clear_for_s=60)
    site.wait(50, mbps=9)
    site.watcher = Watcher()
    site.wait(60, mbps=9)
    assert site.alarms() == []
    site.wait(5, mbps=9)
    site.watcher = Watcher()
    site.wait(60, mbps=1)
    assert states(site) == [("connection_use", "raised")]
    site.wait(5, mbps=1)
    assert states(site) == [("connection_use", "clear")]


def test_what_was_silenced_is_told_when_the_silence_ends_and_is_still_so(site: Site) -> None:
    channel = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": "https://hooks.example.net/x"})["channel"]
    site.rule("connection_use", raise_at=80, raise_for_s=0, clear_at=60, clear_for_s=0, channel_ids=[channel["id"]])
    site.wait(5, mbps=9)
    assert [message["event"] for message in site.messages()] == ["raised"]
    path = f"/alarms/{site.alarms()[0]['id']}"
    until = (site.now + timedelta(minutes=1)).isoformat()
    assert site.ok("PUT", f"{path}/silence", {"until": until})["silenced"] is True
    site.wait(50, mbps=1)
    assert len(site.messages()) == 1
    site.wait(15, mbps=1)
    assert [message["event"] for message in site.messages()] == ["raised", "cleared"]
    site.ok("PUT", f"{path}/silence", {"until": (site.now + timedelta(minutes=1)).isoformat()})
    site.wait(5, mbps=9)
    site.wait(70, mbps=1)
    assert len(site.messages()) == 2, "raised and cleared within the silence: nobody needs to know"
    for wrong in (site.now - timedelta(seconds=1), site.now + timedelta(days=31)):
        refused = site.send("PUT", f"{path}/silence", {"until": wrong.isoformat()})
        assert (refused.status_code, refused.json()["field"]) == (400, "until")


def test_reminders_stop_once_somebody_has_taken_it_over(site: Site) -> None:
    channel = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": "https://hooks.example.net/x"})["channel"]
    more = {"raise_at": 80, "raise_for_s": 0, "remind_every_s": 300, "channel_ids": [channel["id"]]}
    site.rule("connection_use", **more)
    site.wait(5, mbps=9)
    site.wait(620, mbps=9)
    assert [message["event"] for message in site.messages()] == ["raised", "reminder", "reminder"]
    path = f"/alarms/{site.alarms()[0]['id']}/acknowledgement"
    assert site.ok("POST", path)["acknowledged_by"] == site.actor.username
    assert site.send("POST", path).json()["code"] == "Conflict"
    site.wait(620, mbps=9)
    assert len(site.messages()) == 3
    site.wait(310, mbps=1)
    assert site.alarms()[0]["acknowledged_by"] is None
    assert site.send("POST", path).status_code == 409


def test_what_is_gone_is_no_alarm_and_whoever_was_told_hears_so(site: Site) -> None:
    channel = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": "https://hooks.example.net/x"})["channel"]
    rule = site.rule("connection_use", raise_at=80, raise_for_s=0, channel_ids=[channel["id"]])
    site.wait(5, mbps=9)
    connections.delete(site.context, site.actor, site.cen_id, *REGIONS)
    site.wait(5)
    assert site.alarms() == []
    assert "It is not there any more" in site.messages()[-1]["text"]
    connections.set_bandwidth(site.context, site.actor, site.cen_id, *REGIONS, 10)
    site.wait(5, mbps=9)
    site.ok("DELETE", f"/alarm-rules/{rule['id']}")
    assert site.alarms() == []
    assert [message["event"] for message in site.messages()] == ["raised", "cleared", "raised", "cleared"]
    assert "The rule was deleted" in site.messages()[-1]["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "connection_use", "raise_at": 101}, "raise_at"),
        ({"kind": "connection_use", "raise_at": 0}, "raise_at"),
        ({"kind": "connection_use", "raise_at": 50, "clear_at": 60}, "clear_at"),
        ({"kind": "connection_use", "raise_for_s": -1}, "raise_for_s"),
        ({"kind": "package_expiry", "raise_at": 7, "clear_at": 3}, "clear_at"),
        ({"kind": "connection_use", "clear_for_s": 604_801}, "clear_for_s"),
        ({"kind": "connection_use", "remind_every_s": 10}, "remind_every_s"),
        ({"kind": "connection_use", "channel_ids": ["ach-none"]}, "channel_ids"),
        ({"kind": "connection_use", "cen_id": "cen-none"}, "cen_id"),
        ({"kind": "connection_use", "package_id": "cenbwp-none"}, "package_id"),
        ({"kind": "connection_use", "region_a_id": "us-west-1"}, "region_a_id"),
        ({"kind": "weather"}, "kind"),
        ({"kind": "connection_use", "name": "x" * 129}, "name"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_rule_that_makes_no_sense_is_refused_beside_its_field(
    site: Site, body: dict[str, object], field: str
) -> None:
    answer = site.send("POST", "/alarm-rules", body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["field"] == field
    assert site.ok("GET", "/alarm-rules")["total"] == 0


def test_a_rule_for_one_connection_does_not_watch_another_and_a_package_rule_wants_a_package(site: Site) -> None:
    pair = {"cen_id": site.cen_id, "region_a_id": "us-west-1", "region_b_id": "cn-hangzhou"}
    refused = site.send("POST", "/alarm-rules", {"kind": "package_use", **pair})
    assert "package_use watches one instance, one package or the whole account, not one connection" in refused.text
    rule = site.rule("connection_use", **pair, raise_for_s=0)
    assert (rule["region_a_id"], rule["region_b_id"]) == REGIONS
    other = site.ok("POST", "/instances", {"name": "other"})["id"]
    site.rule("connection_drops", cen_id=other, raise_for_s=0)
    site.wait(5, mbps=9)
    assert states(site) == [("connection_use", "raised")]


def test_two_who_change_a_rule_do_not_overwrite_each_other(site: Site) -> None:
    rule = site.rule("connection_use")
    path = f"/alarm-rules/{rule['id']}"
    changed = site.ok("PATCH", path, {"raise_at": 90, "remind_every_s": 600}, **{"if-match": '"1"'})
    assert (changed["raise_at"], changed["clear_at"], changed["remind_every_s"]) == (90, 70, 600)
    assert site.ok("PATCH", path, {"remind_every_s": 0})["remind_every_s"] is None
    assert site.send("PATCH", path, {"raise_at": 85}, **{"if-match": '"1"'}).status_code == 412


def test_another_account_sees_and_changes_nothing(site: Site) -> None:
    account = people.create_account(site.context, site.actor, "others")
    user, _ = people.create_user(site.context, site.actor, account_id=account.id, username="eve", role=site.actor.role)
    entry, secret = people.create_key(site.context, site.actor, user_id=user.id)
    eve = (entry.id, secret)
    channel = site.ok("POST", "/alarm-channels", {"kind": "webhook", "url": "https://hooks.example.net/x"})["channel"]
    rule = site.rule("connection_use", raise_for_s=0, channel_ids=[channel["id"]])
    site.wait(5, mbps=9)
    alarm_id = site.alarms()[0]["id"]
    for path in ("/alarms", "/alarm-rules", "/alarm-channels", "/alarm-messages"):
        assert site.send("GET", path, key=eve).json()["total"] == 0
    until = {"until": (site.now + timedelta(hours=1)).isoformat()}
    for method, path, body in (
        ("GET", f"/alarms/{alarm_id}", None),
        ("POST", f"/alarms/{alarm_id}/acknowledgement", None),
        ("PUT", f"/alarms/{alarm_id}/silence", until),
        ("DELETE", f"/alarms/{alarm_id}/silence", None),
        ("GET", f"/alarm-rules/{rule['id']}", None),
        ("PATCH", f"/alarm-rules/{rule['id']}", {}),
        ("DELETE", f"/alarm-rules/{rule['id']}", None),
        ("POST", f"/alarm-channels/{channel['id']}/test", None),
        ("DELETE", f"/alarm-channels/{channel['id']}", None),
        ("GET", f"/alarm-messages?channel_id={channel['id']}", None),
        ("POST", "/alarm-rules", {"kind": "connection_use", "channel_ids": [channel["id"]]}),
        ("POST", "/alarm-rules", {"kind": "connection_use", "cen_id": site.cen_id}),
    ):
        assert site.send(method, path, body, key=eve).status_code == 404, (method, path)


def test_raising_clearing_and_what_people_do_is_in_the_audit_log(site: Site) -> None:
    site.rule("connection_use", raise_for_s=0, clear_for_s=0)
    site.wait(5, mbps=9)
    site.ok("POST", f"/alarms/{site.alarms()[0]['id']}/acknowledgement")
    site.wait(5, mbps=1)
    events = [(event["actor"], event["action"]) for event in site.ok("GET", "/audit?page_size=4")["items"]]
    assert events == [
        ("alarms", "alarm.clear"),
        (site.actor.username, "alarm.acknowledge"),
        ("alarms", "alarm.raise"),
        (site.actor.username, "alarm_rule.add"),
    ]


def test_without_a_mail_server_no_mail_channel_is_promised(site: Site) -> None:
    body = {"kind": "email", "recipients": ["noc@example.net"]}
    assert "--alarms-config" in site.send("POST", "/alarm-channels", body).json()["detail"]
    smtp = {"host": "mail.example.net", "sender": "opencen@example.net"}
    site.context.notifying = parse({"smtp": smtp})
    for wrong in (
        "noc",
        "a@b\nBcc: c@d.example",
        "a b@example.net",
        "<noc@example.net>",
        "noc@example.net, x@y.example",
    ):
        refused = site.send("POST", "/alarm-channels", {"kind": "email", "recipients": [wrong]})
        assert (refused.status_code, refused.json()["field"]) == (400, "recipients")
    assert site.send("POST", "/alarm-channels", body | {"recipients": []}).status_code == 400
    assert site.send("POST", "/alarm-channels", body | {"url": "https://x.example"}).status_code == 400
    site.ok("POST", "/alarm-channels", body)
    site.context.notifying = NotifyingSettings()
