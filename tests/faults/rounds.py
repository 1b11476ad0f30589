"""One round: clients write, faults happen, all recovers, and the rows are held against what was acknowledged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from faults.clients import UNSET, Log, Writer
from faults.site import Site
from opencen.changes.feed import ChangeFeed
from opencen.client import Client
from opencen.services import check
from opencen.services.context import Context
from opencen.services.vault import Vault
from opencen.store.database import Database

AMERICAN = ("us-west-1", "us-east-1")
CHINESE = ("cn-hangzhou", "cn-shanghai", "cn-shenzhen")
PACKAGE_MBPS = (40, 60)
MOST_MBPS = 20
_PAUSE_S = (0.05, 0.5)
_AFTERWARDS_S = 0.2


@dataclass(frozen=True)
class Round:
    """What was done in a round and what was found; `found` is empty when every promise held."""

    seed: int
    database: str
    injected: tuple[str, ...]
    acknowledged: int
    refused: int
    unavailable: int
    unknown: int
    recovered_s: float
    found: tuple[str, ...]


@dataclass
class Course:
    """A site with an instance, six region connections that may be set, and a package too small for all of them."""

    site: Site
    cen_id: str = ""
    package_id: str = ""
    logs: dict[str, Log] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    """Acknowledged writes so far, by the resource that the audit log names."""

    def prepare(self) -> None:
        with self.site.servers[0].client() as client:
            self.cen_id = client.post("/v1/instances", {"name": "faults"})["id"]
            for number, region_id in enumerate((*AMERICAN, *CHINESE), 1):
                body = {"name": region_id, "region_id": region_id, "cidr_blocks": [f"10.{number}.0.0/16"]}
                network_id = client.post("/v1/networks", body)["id"]
                client.post(f"/v1/instances/{self.cen_id}/attachments", {"network_id": network_id})
            areas = {"area_a_id": "China", "area_b_id": "North-America", "bandwidth_mbps": PACKAGE_MBPS[0]}
            self.package_id = client.post("/v1/bandwidth-packages", areas)["id"]
            client.request("PUT", f"/v1/bandwidth-packages/{self.package_id}/binding", body={"cen_id": self.cen_id})
        for name in self._connections():
            self.logs[name] = Log(name, [UNSET])
        self.logs[self.package_id] = Log(self.package_id, [PACKAGE_MBPS[0]])

    def _connections(self) -> dict[str, str]:
        """The path of each connection, by its id."""
        return {
            ":".join((self.cen_id, *sorted((a, b)))): f"/v1/instances/{self.cen_id}/region-connections/{a}/{b}"
            for a in AMERICAN
            for b in CHINESE
        }

    def _writers(self, seed: int) -> list[Writer]:
        def setting(name: str, path: str) -> Writer:
            def write(client: Client, mbps: int) -> None:
                if mbps == UNSET:
                    client.delete(path)
                else:
                    client.request("PUT", path, body={"bandwidth_mbps": mbps})

            return Writer(self.logs[name], write, _connection_mbps, f"{seed} {path}")

        def resize(client: Client, mbps: int) -> None:
            client.request("PATCH", f"/v1/bandwidth-packages/{self.package_id}", body={"bandwidth_mbps": mbps})

        writers = []
        for name, path in self._connections().items():
            writers.append(setting(name, path))
        resizing = Writer(
            self.logs[self.package_id], resize, lambda choice: choice.randint(*PACKAGE_MBPS), f"{seed} size"
        )
        return [*writers, resizing]

    def run(self, seed: int) -> Round:
        """A round of this seed. The next one goes on from where it ended."""
        choice = random.Random(seed)
        for log in self.logs.values():
            log.acknowledged = log.unknown = log.refused = log.unavailable = 0
            log.strange.clear()
        stop = threading.Event()
        credential = self.site.servers[0].credential
        threads = [
            threading.Thread(target=writer.run, args=(self.site.urls, credential, stop))
            for writer in self._writers(seed)
        ]
        for thread in threads:
            thread.start()
        injected = self._inject(choice)
        recovered_s = self.site.wait_ready()
        time.sleep(_AFTERWARDS_S)
        stop.set()
        for thread in threads:
            thread.join()
        self.site.wait_ready()
        logs = self.logs.values()
        return Round(
            seed,
            self.site.kind,
            injected,
            sum(log.acknowledged for log in logs),
            sum(log.refused for log in logs),
            sum(log.unavailable for log in logs),
            sum(log.unknown for log in logs),
            round(recovered_s, 2),
            tuple(self._found()),
        )

    def _inject(self, choice: random.Random) -> tuple[str, ...]:
        faults = self.site.faults()
        injected = tuple(choice.choice(sorted(faults)) for _ in range(choice.randint(1, 2)))
        for name in injected:
            time.sleep(choice.uniform(*_PAUSE_S))
            faults[name](choice)
        return injected

    def _found(self) -> list[str]:
        """What is not as promised, a sentence each."""
        found = [sentence for log in self.logs.values() for sentence in log.strange]
        with self.site.servers[0].client() as client:
            items = client.get("/v1/region-connections", cen_id=self.cen_id)["items"]
            package = client.get(f"/v1/bandwidth-packages/{self.package_id}")
        present = {item["id"]: int(item["bandwidth_mbps"]) for item in items}
        values = {name: present.get(name, UNSET) for name in self._connections()}
        values[self.package_id] = int(package["bandwidth_mbps"])
        if sum(present.values()) > values[self.package_id]:
            found.append(f"{sum(present.values())} Mbit/s set out of a package of {values[self.package_id]}")
        for name, value in values.items():
            if value not in self.logs[name].possible:
                found.append(
                    f"{name} is {value}, which is none of {self.logs[name].possible}: an acknowledged write is lost"
                )
            self.logs[name].settle(value)
        self.done.update({name: log.acknowledged for name, log in self.logs.items()})
        return [*found, *self._checked()]

    def _checked(self) -> list[str]:
        """What `opencen check` finds, and acknowledged writes that the audit log does not know."""
        server = self.site.servers[0]
        database = Database.from_url(server.database) if server.database else Database.sqlite(server.data)
        try:
            context = Context(database, ChangeFeed(), Vault.from_file(server.data / "secrets.key"))
            found = check.check(context)
            with database.read() as tx:
                audited = audited_by_resource(tx)
        finally:
            database.close()
        for name, count in self.done.items():
            if audited.get(name, 0) < count:
                found.append(f"{name}: {count} writes acknowledged, the audit log has {audited.get(name, 0)}")
        return found


def audited_by_resource(tx: object) -> dict[str, int]:
    """How often each resource was changed, by the audit log."""
    from sqlalchemy import Connection, func, select  # noqa: PLC0415

    from opencen.store.schema import audit_events  # noqa: PLC0415

    assert isinstance(tx, Connection)
    statement = select(audit_events.c.resource, func.count()).where(audit_events.c.outcome == "done")
    return {row[0]: row[1] for row in tx.execute(statement.group_by(audit_events.c.resource))}


def _connection_mbps(choice: random.Random) -> int:
    return UNSET if choice.random() < 0.2 else choice.randint(1, MOST_MBPS)
