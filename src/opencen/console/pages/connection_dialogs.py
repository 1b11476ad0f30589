"""The dialogs that set, modify and delete a region connection. If-Match goes with all of them: nobody overwrites what
somebody else has just done without being told both values."""

from __future__ import annotations

from collections.abc import Sequence

from opencen.client import ApiError
from opencen.console.backend import Json
from opencen.console.dialogs import EDIT_CONFLICT, FormDialog
from opencen.console.frame import Visit
from opencen.console.pages.packages import areas_text, name_of
from opencen.console.texts import Texts
from opencen.console.widgets import Bandwidth, Field, Row, Text, box, notify

_COLOURS = 6


def connection_path(cen_id: str, region_id: str, other_region_id: str) -> str:
    return f"/v1/instances/{cen_id}/region-connections/{region_id}/{other_region_id}"


def joined_regions(package: Json, present: Sequence[str], area_of: dict[str, str]) -> tuple[list[str], list[str]]:
    """The regions at either end of a package, out of those that have a network attached."""
    ends = [[region_id for region_id in present if area_of[region_id] == package[f"area_{end}_id"]] for end in "ab"]
    return ends[0], ends[1]


def is_pair(connection: Json, region_id: str, other_region_id: str) -> bool:
    return {connection["region_a_id"], connection["region_b_id"]} == {region_id, other_region_id}


def _names(visit: Visit, connection: Json) -> str:
    return f"{visit.region(connection['region_a_id'])} – {visit.region(connection['region_b_id'])}"


class _Package:
    """A package as the dialogs show it: who else holds how much, and what this pair holds."""

    def __init__(self, visit: Visit, package: Json, connections: Sequence[Json], pair: tuple[str, str]) -> None:
        self.total = int(package["bandwidth_mbps"])
        self.own = next((item for item in connections if is_pair(item, *pair)), None)
        self.others: list[Row] = [
            {
                "mbps": item["bandwidth_mbps"],
                "c": str(index % _COLOURS),
                "t": visit.texts("share", name=_names(visit, item), mbps=item["bandwidth_mbps"]),
            }
            for index, item in enumerate(connections)
            if item is not self.own
        ]

    @property
    def most(self) -> int:
        return self.total - sum(int(share["mbps"]) for share in self.others)


async def _ask_package(visit: Visit, package_id: str) -> tuple[Json, list[Json]]:
    package = await visit.rest.get(f"/v1/bandwidth-packages/{package_id}")
    return package, await visit.rest.everything("/v1/region-connections", package_id=package_id)


def _bandwidth(texts: Texts, package: _Package, value: int) -> Bandwidth:
    return Bandwidth(
        label=texts("bandwidth"),
        slider_label=texts("bandwidth.slider"),
        sum_text=texts("bandwidth.sum", total="[total]", others="[others]", own="[own]", free="[free]"),
        over_text=texts("bandwidth.over", total="[total]", others="[others]", own="[own]", over="[free]"),
        total=package.total,
        others=package.others,
        value=value,
    )


def kept_automatic(connection: Json | None, minimum_mbps: int) -> Json | None:
    """A connection that follows the traffic goes on to do so when its minimum is changed."""
    automatic = connection["automatic"] if connection else None
    return automatic and {**automatic, "max_mbps": max(automatic["max_mbps"], minimum_mbps)}


def whole_mbps(text: str) -> int | None:
    """What was typed, when it is a whole number."""
    return int(text) if text.isascii() and text.isdigit() else None


async def set_connection(visit: Visit, cen_id: str) -> None:
    """The dialog: package, two regions that it joins, bandwidth within what is free."""
    texts = visit.texts
    packages = await visit.rest.everything("/v1/bandwidth-packages", cen_id=cen_id)
    attached = await visit.rest.everything(f"/v1/instances/{cen_id}/attachments")
    present = sorted({item["region_id"] for item in attached})
    if not packages or len(present) < 2:
        notify(texts("connections.no_package" if not packages else "connections.no_regions"), bad=True)
        return
    form = _SetForm(visit, cen_id, packages, present)
    await form.load(packages[0]["id"])
    form.draw()


class _SetForm:
    """The state of the dialog."""

    def __init__(self, visit: Visit, cen_id: str, packages: Sequence[Json], present: Sequence[str]) -> None:
        self._visit = visit
        self._cen_id = cen_id
        self._packages = {package["id"]: package for package in packages}
        self._present = present
        self._area_of = {region["id"]: region["area_id"] for region in visit.regions.values()}
        self._connections: list[Json] = []

    async def load(self, package_id: str) -> None:
        """What the package's bar shows, as it is now."""
        self._packages[package_id], self._connections = await _ask_package(self._visit, package_id)

    def draw(self) -> None:
        texts = self._visit.texts
        first = next(iter(self._packages))
        self._dialog = FormDialog(texts, texts("connections.set"), texts("ok"), self._send)
        with self._dialog.form:
            self._package = Field(
                "package_id",
                texts("package.label"),
                kind="select",
                options=self._package_options(),
                value=first,
                on_change=self._package_changed,
                autofocus=True,
            )
            with box("fieldset"):
                Text("legend", texts("connections.regions"))
                with box("div", "oc-two"):
                    self._region_a = self._region_field("region_a_id", texts("connections.region_a"))
                    self._region_b = self._region_field("region_b_id", texts("connections.region_b"))
            self._offer_regions()
            state = self._state()
            self._bandwidth = _bandwidth(texts, state, self._suggested(state))
            self._present_note = Text("p", "", "oc-note")
            self._show_state()
        self._dialog.add(self._package, self._region_a, self._region_b, self._bandwidth)
        self._dialog.alias("region_id", self._region_b)
        self._dialog.open()

    def _region_field(self, name: str, label: str) -> Field:
        return Field(name, label, kind="select", on_change=self._region_changed, quiet_label=True)

    def _package_options(self) -> list[tuple[str, str]]:
        texts = self._visit.texts
        return [
            (
                package["id"],
                texts(
                    "package.option",
                    name=name_of(package),
                    areas=areas_text(self._visit, package),
                    total=package["bandwidth_mbps"],
                    free=package["free_mbps"],
                ),
            )
            for package in self._packages.values()
        ]

    def _offer_regions(self) -> None:
        """Only regions that the chosen package joins; at the other end, never the same region."""
        ends = joined_regions(self._packages[str(self._package.value)], self._present, self._area_of)
        kept = str(self._region_a.value)
        first = kept if kept in ends[0] else next(iter(ends[0]), "")
        others = [region_id for region_id in ends[1] if region_id != first]
        kept = str(self._region_b.value)
        second = kept if kept in others else next(iter(others), "")
        for field, ids, chosen in ((self._region_a, ends[0], first), (self._region_b, others, second)):
            field.set_options([(region_id, self._visit.region(region_id)) for region_id in ids], chosen)
        self._dialog.say(None if first and second else self._visit.texts("connections.none_joined"), "package_id")

    def _state(self) -> _Package:
        pair = (str(self._region_a.value), str(self._region_b.value))
        return _Package(self._visit, self._packages[str(self._package.value)], self._connections, pair)

    @staticmethod
    def _suggested(state: _Package) -> int:
        return int(state.own["bandwidth_mbps"]) if state.own else max(state.most, 0)

    def _show_state(self) -> None:
        state = self._state()
        self._bandwidth.set_package(state.total, state.others)
        own = state.own["bandwidth_mbps"] if state.own else 0
        self._present_note.set_text(self._visit.texts("connections.set_already", mbps=own) if own else "")
        self._present_note.set_visibility(bool(own))

    async def _package_changed(self) -> None:
        await self._visit.attempt(lambda: self.load(str(self._package.value)))
        self._offer_regions()
        self._show_state()

    def _region_changed(self) -> None:
        self._offer_regions()
        self._show_state()

    async def _send(self) -> bool | None:
        texts, region_a, region_b = self._visit.texts, str(self._region_a.value), str(self._region_b.value)
        mbps = whole_mbps(self._bandwidth.text)
        if mbps is None or not (region_a and region_b):
            field = "bandwidth_mbps" if region_a and region_b else "package_id"
            self._dialog.say(texts("bandwidth.whole" if mbps is None else "connections.none_joined"), field)
            return False
        own = self._state().own
        body = {"bandwidth_mbps": mbps, "package_id": str(self._package.value), "automatic": kept_automatic(own, mbps)}
        try:
            path = connection_path(self._cen_id, region_a, region_b)
            await self._visit.rest.send("PUT", path, body, version=own["version"] if own else 0)
        except ApiError as refusal:
            await self.load(str(self._package.value))
            self._show_state()
            if refusal.status == EDIT_CONFLICT:
                self._dialog.say(conflict_text(texts, own, refusal, mbps), "bandwidth_mbps")
                return False
            raise
        notify(texts("connections.is_set", mbps=mbps))
        return None


def conflict_text(texts: Texts, seen: Json | None, refusal: ApiError, mine_mbps: int) -> str:
    """Both values, and what happens if one goes on."""
    nothing = texts("connections.nothing")
    current_mbps = refusal.problem.get("current", {}).get("bandwidth_mbps")
    return texts(
        "conflict",
        seen=f"{seen['bandwidth_mbps']} Mbit/s" if seen else nothing,
        current=nothing if current_mbps is None else f"{current_mbps} Mbit/s",
        mine=f"{mine_mbps} Mbit/s",
    )


async def modify(visit: Visit, connection: Json) -> None:
    """The dialog that changes the bandwidth of a connection."""
    texts = visit.texts
    pair = (connection["region_a_id"], connection["region_b_id"])
    path = connection_path(connection["cen_id"], *pair)
    seen: Json | None = connection
    package, connections = await _ask_package(visit, connection["package_id"])
    state = _Package(visit, package, connections, pair)

    async def action() -> bool | None:
        nonlocal seen
        mbps = whole_mbps(bandwidth.text)
        if mbps is None:
            dialog.say(texts("bandwidth.whole"), "bandwidth_mbps")
            return False
        package_id, automatic = connection["package_id"], kept_automatic(seen, mbps)
        body = {"bandwidth_mbps": mbps, "package_id": package_id, "automatic": automatic}
        try:
            await visit.rest.send("PUT", path, body, version=seen["version"] if seen else 0)
        except ApiError as refusal:
            now = _Package(visit, *await _ask_package(visit, connection["package_id"]), pair)
            bandwidth.set_package(now.total, now.others)
            if refusal.status == EDIT_CONFLICT:
                dialog.say(conflict_text(texts, seen, refusal, mbps), "bandwidth_mbps")
                seen = now.own
                return False
            raise
        notify(texts("connections.is_set", mbps=mbps))
        return None

    names = _names(visit, connection)
    dialog = FormDialog(texts, texts("connections.modify"), texts("ok"), action)
    with dialog.form:
        Text("p", names, "oc-strong oc-wrap")
        Text("p", texts("connections.package_of", name=name_of(package), total=package["bandwidth_mbps"]), "oc-muted")
        bandwidth = _bandwidth(texts, state, connection["bandwidth_mbps"])
    dialog.add(bandwidth)
    dialog.open()


def delete(visit: Visit, connection: Json) -> None:
    """Ask, saying what the pair falls back to, then delete a connection."""
    texts = visit.texts
    pair = (connection["region_a_id"], connection["region_b_id"])
    seen = connection

    async def action() -> bool | None:
        nonlocal seen
        path = connection_path(connection["cen_id"], *pair)
        try:
            await visit.rest.send("DELETE", path, version=seen["version"])
        except ApiError as refusal:
            current = refusal.problem.get("current")
            if refusal.status != EDIT_CONFLICT or not current or current.get("bandwidth_mbps") is None:
                raise
            dialog.say(texts("conflict.delete", seen=seen["bandwidth_mbps"], current=current["bandwidth_mbps"]))
            seen = {**seen, **current}
            return False
        notify(texts("connections.deleted", mbps=seen["bandwidth_mbps"]))
        return None

    names = _names(visit, connection)
    dialog = FormDialog(texts, texts("connections.delete"), texts("delete"), action, danger=True)
    with dialog.form:
        sentence = texts("connections.delete.text", pair=names, mbps=connection["bandwidth_mbps"])
        Text("p", sentence, "oc-wrap")
    dialog.open()
