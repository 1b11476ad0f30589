"""The RPC API in this process, over a real database, and a small client that signs for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from opencen.api.cbn.app import CbnEndpoint
from opencen.api.cbn.protocol import signature
from opencen.api.cbn.protocol.decode import HttpRequest
from opencen.changes.feed import ChangeFeed
from opencen.domain.ids import new_id
from opencen.domain.nouns import Account, Role
from opencen.services import check, identities
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store import audit
from opencen.store import identities as rows
from opencen.store.database import Database
from opencen.store.identities import UserRow
from opencen.store.records import Page

CBN = "2017-09-12"
VPC = "2016-04-28"
HOST = "127.0.0.1:8400"


@dataclass(frozen=True)
class Caller:
    """An access key that calls."""

    endpoint: CbnEndpoint
    access_key_id: str
    secret: str

    def call(self, action: str, version: str = CBN, **parameters: Any) -> tuple[int, dict[str, Any]]:
        """HTTP status and document. A parameter `Filter_1_Key` is sent as `Filter.1.Key`."""
        return self.send(action, {name.replace("_", "."): str(value) for name, value in parameters.items()}, version)

    def send(self, action: str, parameters: Mapping[str, str], version: str = CBN) -> tuple[int, dict[str, Any]]:
        given = {
            "Action": action,
            "Version": version,
            "Format": "JSON",
            "AccessKeyId": self.access_key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid4().hex,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **parameters,
        }
        given["Signature"] = signature.rpc_signature(self.secret, signature.rpc_string_to_sign("POST", given))
        answer = self.endpoint.answer(
            HttpRequest("POST", "/", urlencode(given).encode(), {"host": HOST}, source_address="127.0.0.1")
        )
        return answer.http_status, json.loads(answer.body)

    def ok(self, action: str, version: str = CBN, **parameters: Any) -> dict[str, Any]:
        status, document = self.call(action, version, **parameters)
        assert status == 200, document
        return document

    def refused(self, action: str, version: str = CBN, **parameters: Any) -> tuple[str, int]:
        status, document = self.call(action, version, **parameters)
        assert set(document) == {"RequestId", "HostId", "Code", "Message", "Recommend"}, document
        return document["Code"], status


@dataclass(frozen=True)
class Server(Caller):
    """The administrator as caller, with the server at hand."""

    context: Context

    def add_user(self, username: str, role: Role, *, own_account: bool = False) -> Caller:
        """Another user with an access key: in the first account, or in one of its own."""
        now = self.context.clock()
        account_id = identities.find_accounts(self.context)[0].id
        key_id, secret = f"AK{username.upper()}", "another-secret"
        with self.context.database.write() as tx:
            if own_account:
                account_id = new_id("acc")
                rows.add_account(tx, Account(account_id, 1_000_000_000_000_001, username, now))
            user = UserRow(new_id("usr"), account_id, username, "", role.value, now)
            rows.add_user(tx, user)
            rows.add_access_key(tx, key_id, user.id, self.context.vault.seal(secret, key_id), now)
        return Caller(self.endpoint, key_id, secret)

    def audit_events(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        """Action, outcome and what the log says of it, latest first."""
        account_id = identities.find_accounts(self.context)[0].id
        with self.context.database.read() as tx:
            found = audit.search(tx, account_id, Page(1, 200))
        return [(event.action, event.outcome, event.after) for event in found.items]

    def problems(self) -> list[str]:
        """What `opencen check` finds wrong in the rows."""
        return check.check(self.context)


@contextmanager
def open_server(directory: Path, database_url: str | None = None) -> Iterator[Server]:
    """A server over SQLite in `directory`, or over the PostgreSQL database of an address."""
    database = Database.from_url(database_url) if database_url else Database.sqlite(directory)
    database.upgrade()
    context = Context(database, ChangeFeed(), Vault.from_file(directory / "vault.key"))
    identities.bootstrap(context, directory / "admin.json")
    admin = json.loads((directory / "admin.json").read_text())
    try:
        yield Server(CbnEndpoint(context), admin["access_key_id"], admin["access_key_secret"], context)
    finally:
        database.close()


@dataclass(frozen=True)
class Scenario:
    """An instance with a network in each of four regions, and a package of 20 Mbit/s bound."""

    cen_id: str
    package_id: str
    vpc_ids: dict[str, str]


def build_scenario(server: Caller, regions: tuple[str, ...] = ("us-west-1", "cn-hangzhou", "cn-shanghai")) -> Scenario:
    cen_id = server.ok("CreateCen", Name="scenario")["CenId"]
    vpc_ids = {}
    for number, region_id in enumerate(regions, start=1):
        block = f"10.{number}.0.0/16"
        vpc_ids[region_id] = server.ok("CreateVpc", VPC, RegionId=region_id, CidrBlock=block)["VpcId"]
        attach(server, cen_id, vpc_ids[region_id], region_id)
    package = server.ok(
        "CreateCenBandwidthPackage", GeographicRegionAId="China", GeographicRegionBId="North-America", Bandwidth=20
    )
    package_id = package["CenBandwidthPackageId"]
    server.ok("AssociateCenBandwidthPackage", CenId=cen_id, CenBandwidthPackageId=package_id)
    return Scenario(cen_id, package_id, vpc_ids)


def child(cen_id: str, vpc_id: str, region_id: str, child_type: str = "VPC") -> dict[str, str]:
    """The four parameters that name an attached network."""
    return {
        "CenId": cen_id,
        "ChildInstanceId": vpc_id,
        "ChildInstanceType": child_type,
        "ChildInstanceRegionId": region_id,
    }


def attach(server: Caller, cen_id: str, vpc_id: str, region_id: str) -> None:
    server.ok("AttachCenChildInstance", **child(cen_id, vpc_id, region_id))


def set_limit(cen_id: str, local_region_id: str, opposite_region_id: str, limit: object) -> dict[str, object]:
    """The parameters of SetCenInterRegionBandwidthLimit."""
    return {
        "CenId": cen_id,
        "LocalRegionId": local_region_id,
        "OppositeRegionId": opposite_region_id,
        "BandwidthLimit": limit,
    }
