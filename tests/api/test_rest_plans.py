"""Many connections changed in one step: over REST and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opencen.client import ApiError, Client
from opencen.domain.nouns import Actor
from opencen.domain.plans import Document, PlannedConnection, PlannedPackage, PlanState
from opencen.services import attachments, instances, networks, plans
from opencen.services.context import Context
from opencen.store.records import Page
from rest_scenario import Scenario, make_scenario, refusal
from servers import ServerProcess

HANGZHOU, SHANGHAI, SHENZHEN = (("us-west-1", region) for region in ("cn-hangzhou", "cn-shanghai", "cn-shenzhen"))


@pytest.fixture
def scenario(server: ServerProcess) -> Iterator[Scenario]:
    with server.client() as client:
        yield make_scenario(client)


def connections(*rows: tuple[tuple[str, str], int]) -> dict[str, object]:
    return {"connections": [{"regions": list(pair), "bandwidth_mbps": mbps} for pair, mbps in rows]}


def preview(scenario: Scenario, document: dict[str, object]) -> dict[str, object]:
    return dict(scenario.client.post(f"/v1/instances/{scenario.cen_id}/plan-preview", document))


def apply(scenario: Scenario, document: dict[str, object], base: object = None) -> dict[str, object]:
    path = f"/v1/instances/{scenario.cen_id}/plans"
    headers = {"if_match": f'"{base}"'} if base else {}
    return dict(scenario.client.request("POST", path, body={"document": document}, **headers))


def test_two_connections_trade_their_shares_in_one_step(scenario: Scenario) -> None:
    """One by one, whoever comes first would exceed the package."""
    apply(scenario, connections((HANGZHOU, 15), (SHANGHAI, 5)))
    wanted = connections((HANGZHOU, 5), (SHANGHAI, 15))
    shown = preview(scenario, wanted)
    assert [(item["ends"], item["effect"], item["before_mbps"], item["after_mbps"]) for item in shown["changes"]] == [
        (["cn-hangzhou", "us-west-1"], "shrinks", 15, 5),
        (["cn-shanghai", "us-west-1"], "grows", 5, 15),
    ]
    assert [(item["after_mbps"], item["allocated_after_mbps"], item["left_mbps"]) for item in shown["packages"]] == [
        (20, 20, 0)
    ]
    apply(scenario, wanted, shown["base"])
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 5, ("cn-shanghai", "us-west-1"): 15}


def test_what_would_be_refused_is_said_all_at_once_and_nothing_is_done(scenario: Scenario) -> None:
    document = connections((HANGZHOU, 15), (SHANGHAI, 6), (("cn-hangzhou", "cn-beijing"), 1))
    shown = preview(scenario, document)
    assert [item["code"] for item in shown["refusals"]] == [
        "PackageNotBound",
        "RegionWithoutNetwork",
        "BandwidthExceeded",
    ]
    refused = refusal(apply, scenario, document)
    assert (refused.status, refused.code) == (409, "PlanRefused")
    assert refused.problem["refusals"][2]["asked_mbps"] == 21
    assert scenario.connections() == {}
    event = scenario.client.get("/v1/audit", resource=scenario.cen_id)["items"][0]
    assert (event["action"], event["outcome"], event["after"]["code"]) == ("plan.apply", "refused", "PlanRefused")


def test_a_package_is_bought_grown_and_drawn_on_in_one_plan(scenario: Scenario) -> None:
    scenario.set(*HANGZHOU, 20)
    document = {
        "packages": [
            {"areas": ["North-America", "China"], "bandwidth_mbps": 30},
            {"areas": ["China", "China"], "bandwidth_mbps": 5, "name": "inland"},
        ],
        **connections((HANGZHOU, 30), (("cn-hangzhou", "cn-shanghai"), 5)),
    }
    apply(scenario, document)
    bound = scenario.client.get("/v1/bandwidth-packages", cen_id=scenario.cen_id)["items"]
    assert {(item["area_a_id"], item["area_b_id"]): item["free_mbps"] for item in bound} == {
        ("China", "North-America"): 0,
        ("China", "China"): 0,
    }


def test_a_plan_of_what_is_no_longer_there_is_refused_with_both_values(scenario: Scenario) -> None:
    shown = preview(scenario, connections((HANGZHOU, 10)))
    scenario.set(*SHENZHEN, 4)
    refused = refusal(apply, scenario, connections((HANGZHOU, 10)), shown["base"])
    assert (refused.status, refused.code) == (412, "EditConflict")
    assert refused.problem["seen"]["base"] == shown["base"]
    assert refused.problem["current"]["connections"] == [{"regions": ["cn-shenzhen", "us-west-1"], "bandwidth_mbps": 4}]
    assert scenario.connections() == {("cn-shenzhen", "us-west-1"): 4}


def test_history_says_what_each_plan_changed_and_leads_back(scenario: Scenario) -> None:
    path = f"/v1/instances/{scenario.cen_id}/plans"
    apply(scenario, connections((HANGZHOU, 10)))
    apply(scenario, connections((SHANGHAI, 12), (SHENZHEN, 3)))
    assert [item["number"] for item in scenario.client.get(path)["items"]] == [2, 1]
    changed = scenario.client.get(f"{path}/2/changes")["changes"]
    assert [(item["ends"][0], item["effect"]) for item in changed] == [
        ("cn-hangzhou", "goes"),
        ("cn-shanghai", "appears"),
        ("cn-shenzhen", "appears"),
    ]
    since_start = scenario.client.get(f"{path}/2/changes", since=0)["changes"]
    assert [item["ends"][0] for item in since_start] == ["cn-shanghai", "cn-shenzhen"]
    apply(scenario, scenario.client.get(f"{path}/1")["after"])
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 10}


@pytest.fixture
def planned(context: Context, admin: Actor) -> tuple[Context, Actor, str]:
    cen_id = instances.create(context, admin, name="lab").id
    for number, region_id in enumerate(("us-west-1", "cn-hangzhou", "cn-shanghai"), 1):
        network = networks.create(context, admin, region_id=region_id, cidr_blocks=[f"10.{number}.0.0/16"])
        attachments.attach(context, admin, cen_id, network.id)
    package = PlannedPackage(("China", "North-America"), 20)
    plans.apply(context, admin, cen_id, Document((package,), (PlannedConnection(HANGZHOU, 10),)))
    return context, admin, cen_id


def set_now(context: Context, admin: Actor, cen_id: str) -> dict[tuple[str, str], int]:
    found = plans.present_document(context, admin, cen_id)
    return {item.regions: item.bandwidth_mbps for item in found.connections or ()}


def test_a_plan_that_nobody_confirms_is_rolled_back(planned: tuple[Context, Actor, str]) -> None:
    context, admin, cen_id = planned
    wanted = Document(connections=(PlannedConnection(SHANGHAI, 20),))
    version = plans.apply(context, admin, cen_id, wanted, confirm_within_s=60)
    assert version.state is PlanState.AWAITING
    plans.roll_back_due(context)
    assert set_now(context, admin, cen_id) == {("cn-shanghai", "us-west-1"): 20}
    began = context.clock()
    context.clock = lambda: began + timedelta(seconds=61)
    plans.roll_back_due(context)
    assert set_now(context, admin, cen_id) == {("cn-hangzhou", "us-west-1"): 10}
    settled = plans.search(context, admin, cen_id, Page(1, 10)).items[0]
    assert (settled.state, settled.outcome) == (PlanState.ROLLED_BACK, "not confirmed in time")


def test_a_plan_that_is_confirmed_stays(planned: tuple[Context, Actor, str]) -> None:
    context, admin, cen_id = planned
    wanted = Document(connections=(PlannedConnection(SHANGHAI, 20),))
    version = plans.apply(context, admin, cen_id, wanted, confirm_within_s=60)
    plans.confirm(context, admin, cen_id, version.number)
    began = context.clock()
    context.clock = lambda: began + timedelta(hours=1)
    plans.roll_back_due(context)
    assert set_now(context, admin, cen_id) == {("cn-shanghai", "us-west-1"): 20}


def test_room_given_away_meanwhile_is_not_taken_back(planned: tuple[Context, Actor, str]) -> None:
    """The rollback would exceed the package: what is there stays, and the plan says why."""
    context, admin, cen_id = planned
    version = plans.apply(context, admin, cen_id, Document(connections=()), confirm_within_s=60)
    plans.connections.set_bandwidth(context, admin, cen_id, *SHANGHAI, 15)
    began = context.clock()
    context.clock = lambda: began + timedelta(seconds=61)
    plans.roll_back_due(context)
    assert set_now(context, admin, cen_id) == {("cn-shanghai", "us-west-1"): 15}
    settled = plans.get(context, admin, cen_id, version.number)
    assert settled.state is PlanState.APPLIED
    assert "could not be rolled back" in settled.outcome
    assert "25 asked" in settled.outcome


def test_the_server_rolls_back_by_itself(scenario: Scenario) -> None:
    scenario.set(*HANGZHOU, 10)
    path = f"/v1/instances/{scenario.cen_id}/plans"
    version = scenario.client.post(path, {"document": connections((SHANGHAI, 20)), "confirm_within_s": 1})
    assert version["state"] == "awaiting confirmation"
    assert scenario.connections() == {("cn-shanghai", "us-west-1"): 20}
    revision, deadline = 0, time.monotonic() + 20
    while scenario.connections() != {("cn-hangzhou", "us-west-1"): 10} and time.monotonic() < deadline:
        revision = scenario.client.get("/v1/changes", after=revision, wait_s=1)["revision"]
    assert scenario.client.get(f"{path}/1")["state"] == "rolled back"


def opencen(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "opencen", "--server", server.url, "--data", str(server.data), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def name_of(client: Client, cen_id: str) -> str:
    return str(client.get(f"/v1/instances/{cen_id}")["name"])


def test_an_exported_file_changes_nothing_and_an_edited_one_does(
    server: ServerProcess, scenario: Scenario, tmp_path: Path
) -> None:
    scenario.set(*HANGZHOU, 10)
    name = name_of(scenario.client, scenario.cen_id)
    file = tmp_path / "lab.yaml"
    file.write_text(opencen(server, "export", name).stdout)
    same = opencen(server, "plan", str(file))
    assert (same.returncode, same.stderr.strip()) == (0, "no changes")
    file.write_text(file.read_text().replace("bandwidth_mbps: 10", "bandwidth_mbps: 15"))
    shown = opencen(server, "plan", str(file))
    assert "grows" in shown.stdout
    assert "15 of 20 Mbit/s allocated, 5 left" in shown.stdout
    done = opencen(server, "apply", str(file), "--yes", "--note", "more for Hangzhou")
    assert f"plan 1 of {name} applied" in done.stdout, done.stderr
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 15}
    assert "more for Hangzhou" in opencen(server, "history", name).stdout
    file.write_text(file.read_text().replace("bandwidth_mbps: 15", "bandwidth_mbps: 21"))
    refused = opencen(server, "apply", str(file), "--yes")
    assert refused.returncode == 1
    assert "21 asked" in refused.stderr
    back = opencen(server, "rollback", name, "0", "--yes")
    assert back.returncode == 0, back.stderr
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 10}


def test_a_spreadsheet_goes_out_and_comes_back(server: ServerProcess, scenario: Scenario, tmp_path: Path) -> None:
    scenario.set(*HANGZHOU, 10)
    name = name_of(scenario.client, scenario.cen_id)
    sheet = tmp_path / "lab.csv"
    sheet.write_text(opencen(server, "export", name, "--format", "csv").stdout)
    assert sheet.read_text() == "region_a,region_b,bandwidth_mbps\ncn-hangzhou,us-west-1,10\n"
    sheet.write_text(sheet.read_text() + "us-west-1,cn-shanghai,7\n")
    assert opencen(server, "apply", str(sheet), "--instance", name, "--yes").returncode == 0
    assert scenario.connections() == {("cn-hangzhou", "us-west-1"): 10, ("cn-shanghai", "us-west-1"): 7}
    sheet.write_text("region_a,region_b,bandwidth_mbps\nus-west-1,cn-shanghai,7.5\n")
    wrong = opencen(server, "plan", str(sheet), "--instance", name)
    assert "line 2: bandwidth_mbps is a whole number of Mbit/s, not '7.5'" in wrong.stderr


def test_a_document_is_json_too(server: ServerProcess, scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    file.write_text(json.dumps({"instance": scenario.cen_id, **connections((HANGZHOU, 3))}))
    answer = json.loads(opencen(server, "plan", str(file), "-o", "json").stdout)
    assert [item["after_mbps"] for item in answer["changes"]] == [3]


def test_only_an_awaiting_plan_is_confirmed(scenario: Scenario) -> None:
    apply(scenario, connections((HANGZHOU, 10)))
    with pytest.raises(ApiError, match="awaits no confirmation"):
        scenario.client.post(f"/v1/instances/{scenario.cen_id}/plans/1/confirmation", {})
