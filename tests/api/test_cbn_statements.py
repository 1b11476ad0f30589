"""How often the database is asked, which decides how fast an answer can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from cbn_server import Server, build_scenario, open_server, set_limit


def _statements(server: Server, call: Callable[[], object]) -> list[str]:
    """The statements on the durable store while `call` runs."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = server.context.database._main
    event.listen(engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return [statement for statement in seen if not statement.startswith("BEGIN")]


def test_a_page_of_packages_takes_as_many_queries_as_one_package(tmp_path: Path) -> None:
    with open_server(tmp_path) as server:
        scenario = build_scenario(server)
        server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5))
        one = _statements(server, lambda: server.ok("DescribeCenBandwidthPackages"))
        tag = {"Tag_1_Key": "k"}
        areas = {"GeographicRegionAId": "China", "GeographicRegionBId": "China", "Bandwidth": 20}
        inner = server.ok("CreateCenBandwidthPackage", **areas, **tag)["CenBandwidthPackageId"]
        server.ok("AssociateCenBandwidthPackage", CenId=scenario.cen_id, CenBandwidthPackageId=inner)
        server.ok("SetCenInterRegionBandwidthLimit", **set_limit(scenario.cen_id, "cn-shanghai", "cn-hangzhou", 5))
        for _ in range(5):
            server.ok("CreateCenBandwidthPackage", **areas, **tag)
        many = _statements(server, lambda: server.ok("DescribeCenBandwidthPackages"))
        assert len(many) == len(one)


def test_setting_a_bandwidth_asks_nothing_about_tags_groups_or_tokens(tmp_path: Path) -> None:
    with open_server(tmp_path) as server:
        scenario = build_scenario(server)
        limit = set_limit(scenario.cen_id, "us-west-1", "cn-hangzhou", 5)
        server.ok("SetCenInterRegionBandwidthLimit", **limit)
        again = {**limit, "BandwidthLimit": 6}
        statements = _statements(server, lambda: server.ok("SetCenInterRegionBandwidthLimit", **again))
        beside = ("tags", "resource_groups", "client_tokens", "vswitches", "transit_routers", "connection_notes")
        assert [text for text in statements for table in beside if f" {table}" in text] == []
