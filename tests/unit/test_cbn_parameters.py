"""Reading declared parameters out of the flat map of a request."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencen.api.cbn.protocol.errors import RpcError
from opencen.api.cbn.protocol.parameters import Filter, Paging, Rule, Tag, compile_declaration, wire_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    gte: int | None = None
    lte: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Paging):
    cen_id: str
    bandwidth: Annotated[int | None, Rule(minimum=2, maximum=10_000)] = None
    limit: Annotated[int | None, Rule(code="ParameterIllegal.BandwidthLimit")] = None
    auto_pay: bool = False
    kind: Annotated[str, Rule(one_of=("VPC", "VBR"), code="InstanceType.NotSupport")] = "VPC"
    filter: Annotated[tuple[Filter, ...], Rule(max_items=5)] = ()
    resource_id: tuple[str, ...] = ()
    tag: tuple[Tag, ...] = ()
    effective: Bounds | None = None


read = compile_declaration(Everything)


@pytest.mark.parametrize(
    ("field", "name"),
    [("cen_id", "CenId"), ("geographic_region_a_id", "GeographicRegionAId"), ("ipv6_cidr_block", "Ipv6CidrBlock")],
)
def test_fields_have_the_wire_name_in_snake_case(field: str, name: str) -> None:
    assert wire_name(field) == name


def test_all_kinds_of_values_are_read() -> None:
    value = read(
        {
            "CenId": "cen-1",
            "Bandwidth": "20",
            "AutoPay": "True",
            "PageSize": "50",
            "Filter.2.Key": "Name",
            "Filter.1.Key": "CenId",
            "Filter.1.Value.2": "b",
            "Filter.1.Value.1": "a",
            "ResourceId.1": "x",
            "ResourceId.10": "y",
            "Tag.1.Key": "k",
            "Effective.Gte": "50",
            "Unknown": "is ignored",
        }
    )
    assert value == Everything(
        cen_id="cen-1",
        bandwidth=20,
        auto_pay=True,
        page_size=50,
        filter=(Filter(key="CenId", value=("a", "b")), Filter(key="Name")),
        resource_id=("x", "y"),
        tag=(Tag(key="k"),),
        effective=Bounds(gte=50),
    )


def test_a_blank_number_is_absent_and_a_blank_text_is_a_text() -> None:
    value = read({"CenId": "c", "Bandwidth": "", "PageNumber": "", "Tag.1.Key": "k", "Tag.1.Value": ""})
    assert (value.bandwidth, value.page_number, value.tag) == (None, 1, (Tag(key="k", value=""),))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, '"CenId"'),
        ({"CenId": ""}, '"CenId"'),
        ({"CenId": "c", "Filter.1.Value.1": "a"}, '"Filter.1.Key"'),
        ({"CenId": "c", "Tag.2.Value": ""}, '"Tag.2.Key"'),
    ],
)
def test_a_missing_parameter_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(RpcError) as refusal:
        read(given)
    assert (refusal.value.code, refusal.value.http_status) == ("MissingParameter", 400)
    assert named in refusal.value.message


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("Bandwidth", "1", "InvalidParameter"),
        ("Bandwidth", "10001", "InvalidParameter"),
        ("Limit", "ten", "ParameterIllegal.BandwidthLimit"),
        ("Limit", "2.5", "ParameterIllegal.BandwidthLimit"),
        ("Limit", "1e3", "ParameterIllegal.BandwidthLimit"),
        ("Limit", "1_0", "ParameterIllegal.BandwidthLimit"),
        ("Limit", "１", "ParameterIllegal.BandwidthLimit"),
        ("Limit", " 1", "ParameterIllegal.BandwidthLimit"),
        ("Limit", "9" * 19, "ParameterIllegal.BandwidthLimit"),
        ("Limit", "9" * 5000, "ParameterIllegal.BandwidthLimit"),
        ("AutoPay", "yes", "InvalidParameter"),
        ("Kind", "vpn", "InstanceType.NotSupport"),
        ("PageNumber", "0", "InvalidParameter"),
        ("PageSize", "51", "InvalidParameter"),
        ("CenId", "a\0", "InvalidParameter"),
        ("CenId", "x" * 5000, "InvalidParameter"),
        ("Filter.0.Key", "CenId", "InvalidParameter"),
        ("Filter.x.Key", "CenId", "InvalidParameter"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_its_name(name: str, text: str, code: str) -> None:
    with pytest.raises(RpcError) as refusal:
        read({"CenId": "cen-1", name: text})
    assert (refusal.value.code, refusal.value.http_status) == (code, 400)
    assert name in refusal.value.message


def test_a_list_has_a_most_of_elements() -> None:
    with pytest.raises(RpcError, match="at most 5"):
        read({"CenId": "c", **{f"Filter.{number}.Key": "Name" for number in range(1, 7)}})


NAMES = st.sampled_from(
    [
        "CenId",
        "Bandwidth",
        "AutoPay",
        "PageSize",
        "Filter.1.Key",
        "Filter.1.Value.1",
        "Tag.1",
        "Tag.1.Key",
        "Effective.Gte",
    ]
) | st.text(max_size=20)


@given(st.dictionaries(NAMES, st.text(max_size=30)))
def test_whatever_is_given_the_declaration_reads_it_or_refuses_it(given: dict[str, str]) -> None:
    with suppress(RpcError):
        assert isinstance(read(given), Everything)
