"""Accounts with their quotas, users and access keys, and the backbone's capacity: for administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from opencen.console.backend import Json
from opencen.console.cells import act, chip, line, number, text
from opencen.console.dialogs import FormDialog, confirm
from opencen.console.formats import NOTHING
from opencen.console.frame import Visit
from opencen.console.texts import Texts
from opencen.console.widgets import Field, Row, Table, Text, box, button

ROLES = ("viewer", "operator", "administrator")
KINDS = ("instances", "networks", "packages", "connections")
Act = Callable[[str], Awaitable[None] | None]


class _Section:
    """A heading, a button that makes something, and a table that is read again after each change."""

    def __init__(
        self,
        visit: Visit,
        name: str,
        columns: Sequence[Row],
        read: Callable[[], Awaitable[Sequence[Row]]],
        new: Callable[[], Awaitable[None]],
        acts: dict[str, Act],
    ) -> None:
        self._read = read
        texts = visit.texts

        async def on_act(what: str, identifier: str) -> None:
            done = acts[what](identifier)
            if done is not None:
                await done

        with box("section", "oc-section", aria_label=texts(f"people.{name}")).style("margin-top: 24px"):
            with box("div", "oc-bar"):
                Text("h2", texts(f"people.{name}"))
                box("span", "oc-grow")
                button(texts(f"people.{name}.new"), new, "is-primary")
            self._table = Table(
                columns, [], caption=texts(f"people.{name}"), empty=texts(f"people.{name}.none"), on_act=on_act
            )

    async def show(self) -> None:
        self._table.show(tuple(await self._read()))


def _show_once(visit: Visit, title: str, values: Sequence[tuple[str, str]]) -> None:
    """What is shown this once: a password, a key's secret. Outlives the form that asked for it."""
    texts = visit.texts
    with visit.client, ui.dialog() as dialog, box("div", "oc-dialog"):
        Text("h2", title)
        Text("p", texts("people.once"), "oc-note")
        for label, value in values:
            Text("p", label, "oc-muted")
            Text("p", value, "oc-mono oc-strong oc-wrap")
        with box("div", "oc-actions"):
            button(texts("ok"), dialog.close, "is-primary")
    dialog._props["aria-label"] = title
    dialog.on("hide", dialog.delete, args=[])
    dialog.open()


class _Page:
    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.texts = visit.texts
        self.rest = visit.rest
        self.accounts: dict[str, Json] = {}
        self.users: dict[str, Json] = {}
        self.sections: list[_Section] = []

    async def refresh(self) -> None:
        for section in self.sections:
            await section.show()

    async def change(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = await self.rest.send(method, path, body)
        await self.refresh()
        return answer

    # accounts and quotas

    async def account_rows(self) -> Sequence[Row]:
        self.accounts = {item["id"]: item for item in await self.rest.everything("/v1/accounts")}
        made = []
        for item in self.accounts.values():
            quotas = await self.rest.get(f"/v1/accounts/{item['id']}/quotas")
            item["quotas"] = quotas
            cells: Row = {
                "name": [line(text(item["name"], "oc-strong")), line(text(item["id"], "oc-mono"), cls="is-sub")]
            }
            for kind in KINDS:
                most = NOTHING if quotas[kind] is None else str(quotas[kind])
                cells[kind] = [line(number(f"{quotas['used'][kind]} / {most}"))]
            label = self.texts("people.limit.label", name=item["name"])
            cells["actions"] = [line(act("limit", self.texts("people.limit"), label))]
            made.append({"id": item["id"], "cells": cells})
        return made

    async def new_account(self) -> None:
        async def action() -> None:
            await self.change("POST", "/v1/accounts", {"name": name.text})

        dialog = FormDialog(self.texts, self.texts("people.accounts.new"), self.texts("create"), action)
        with dialog.form:
            name = Field("name", self.texts("name"), autofocus=True)
        dialog.add(name)
        dialog.open()

    def limit(self, account_id: str) -> None:
        account = self.accounts[account_id]

        async def action() -> bool | None:
            body: Json = {}
            for field in fields:
                if field.text and not field.text.isdecimal():
                    dialog.say(self.texts("people.limit.whole"), field.name)
                    return False
                body[field.name] = int(field.text) if field.text else None
            await self.change("PATCH", f"/v1/accounts/{account_id}/quotas", body)
            return None

        title = self.texts("people.limit.label", name=account["name"])
        dialog = FormDialog(self.texts, title, self.texts("save"), action)
        with dialog.form:
            Text("p", self.texts("people.limit.text"), "oc-wrap")
            fields = [
                Field(kind, self.texts(f"people.kind.{kind}"), value=_shown(account["quotas"][kind])) for kind in KINDS
            ]
        dialog.add(*fields)
        dialog.open()

    # users

    async def user_rows(self) -> Sequence[Row]:
        self.users = {item["id"]: item for item in await self.rest.everything("/v1/users")}
        return [{"id": item["id"], "cells": self._user_cells(item)} for item in self.users.values()]

    def _user_cells(self, user: Json) -> Row:
        texts, name = self.texts, user["username"]
        off = user["disabled_at"] is not None
        state = chip("off", texts("people.disabled")) if off else chip("ok", texts("people.active"))
        totp = texts("people.totp.on") if user["has_totp"] else texts("people.totp.off")
        switch = act("switch", texts("people.enable" if off else "people.disable"), texts("modify.label", name=name))
        return {
            "name": [line(text(name, "oc-strong")), line(text(user["id"], "oc-mono"), cls="is-sub")],
            "account": [line(text(self._account(user["account_id"])))],
            "role": [line(text(texts(f"people.role.{user['role']}")))],
            "totp": [line(text(totp))],
            "state": [line(state)],
            "actions": [
                line(
                    act("modify", texts("modify"), texts("modify.label", name=name)),
                    switch,
                    act("delete_user", texts("delete"), texts("delete.label", name=name), danger=True),
                )
            ],
        }

    def _account(self, account_id: str) -> str:
        return str(self.accounts[account_id]["name"]) if account_id in self.accounts else account_id

    async def new_user(self) -> None:
        async def action() -> None:
            body = {"username": username.text, "role": role.value, "account_id": account.value}
            made = await self.change("POST", "/v1/users", body)
            self._show_password(made)

        dialog = FormDialog(self.texts, self.texts("people.users.new"), self.texts("create"), action)
        with dialog.form:
            username = Field("username", self.texts("login.username"), autofocus=True)
            options = [(item["id"], item["name"]) for item in self.accounts.values()]
            account = Field(
                "account_id", self.texts("people.account"), kind="select", options=options, value=options[0][0]
            )
            role = self._role("operator")
        dialog.add(username, account, role)
        dialog.open()

    def _role(self, value: str) -> Field:
        options = [(role, self.texts(f"people.role.{role}")) for role in ROLES]
        return Field("role", self.texts("people.role"), kind="select", options=options, value=value)

    def _show_password(self, made: Json) -> None:
        if made["password"] is not None:
            values = [(self.texts("login.password"), made["password"])]
            _show_once(self.visit, made["user"]["username"], values)

    def modify_user(self, user_id: str) -> None:
        user = self.users[user_id]

        async def action() -> None:
            body = {
                "role": role.value,
                "reset_password": reset.value in ("password", "both"),
                "reset_totp": reset.value in ("totp", "both"),
            }
            self._show_password(await self.change("PATCH", f"/v1/users/{user_id}", body))

        title = self.texts("modify.label", name=user["username"])
        dialog = FormDialog(self.texts, title, self.texts("save"), action)
        with dialog.form:
            role = self._role(user["role"])
            options = [(name, self.texts(f"people.reset.{name}")) for name in ("nothing", "password", "totp", "both")]
            reset = Field("reset", self.texts("people.reset"), kind="select", options=options, value="nothing")
        dialog.add(role, reset)
        dialog.open()

    async def switch_user(self, user_id: str) -> None:
        off = self.users[user_id]["disabled_at"] is not None
        await self.visit.attempt(lambda: self.change("PATCH", f"/v1/users/{user_id}", {"disabled": not off}))

    def delete_user(self, user_id: str) -> None:
        name = self.users[user_id]["username"]
        self._delete(name, self.texts("people.users.delete", name=name), f"/v1/users/{user_id}")

    def _delete(self, name: str, sentence: str, path: str) -> None:
        async def action() -> None:
            await self.change("DELETE", path)

        confirm(self.texts, self.texts("delete.label", name=name), sentence, self.texts("delete"), action)

    # access keys

    async def key_rows(self) -> Sequence[Row]:
        return [
            {"id": item["id"], "cells": self._key_cells(item)} for item in await self.rest.everything("/v1/access-keys")
        ]

    def _key_cells(self, key: Json) -> Row:
        texts, name = self.texts, key["name"] or key["id"]
        on = key["active"]
        switch = act("disable" if on else "enable", texts("people.disable" if on else "people.enable"), name)
        return {
            "id": [line(text(key["name"] or texts("unnamed"))), line(text(key["id"], "oc-mono"), cls="is-sub")],
            "user": [line(text(key["username"]))],
            "role": [line(text(texts(f"people.role.{key['role']}")))],
            "from": [line(text(", ".join(key["source_networks"]) or texts("people.anywhere")))],
            "used": [line(text(self.visit.time(key["last_used_at"])))],
            "state": [line(chip("ok", texts("people.active")) if on else chip("off", texts("people.disabled")))],
            "actions": [
                line(switch, act("delete_key", texts("delete"), texts("delete.label", name=name), danger=True))
            ],
        }

    async def new_key(self) -> None:
        async def action() -> None:
            body = {"user_id": user.value, "name": name.text, "role": role.value}
            networks = [part for part in networks_field.text.replace(",", " ").split() if part]
            made = await self.change("POST", "/v1/access-keys", body | {"source_networks": networks})
            values = [("Access Key ID", made["access_key"]["id"]), ("Access Key Secret", made["access_key_secret"])]
            _show_once(self.visit, name.text or self.texts("people.keys"), values)

        dialog = FormDialog(self.texts, self.texts("people.keys.new"), self.texts("create"), action)
        with dialog.form:
            options = [(item["id"], item["username"]) for item in self.users.values()]
            user = Field("user_id", self.texts("people.user"), kind="select", options=options, value=options[0][0])
            name = Field("name", self.texts("name"), autofocus=True)
            role = self._role("operator")
            networks_field = Field("source_networks", self.texts("people.from"), hint=self.texts("people.from.hint"))
        dialog.add(user, name, role, networks_field)
        dialog.open()

    async def switch_key(self, key_id: str, *, active: bool) -> None:
        await self.visit.attempt(lambda: self.change("PATCH", f"/v1/access-keys/{key_id}", {"active": active}))

    def delete_key(self, key_id: str) -> None:
        self._delete(key_id, self.texts("people.keys.delete", name=key_id), f"/v1/access-keys/{key_id}")

    # capacity

    async def capacity_rows(self) -> Sequence[Row]:
        made = []
        for item in await self.rest.everything("/v1/capacities"):
            areas = f"{self.visit.area(item['area_a_id'])} - {self.visit.area(item['area_b_id'])}"
            label = self.texts("delete.label", name=areas)
            cells = {
                "areas": [line(text(areas))],
                "capacity": [line(number(str(item["capacity_mbps"]), "Mbit/s"))],
                "sold": [line(number(str(item["sold_mbps"]), "Mbit/s"))],
                "left": [line(number(str(item["left_mbps"]), "Mbit/s"))],
                "actions": [line(act("withdraw", self.texts("delete"), label, danger=True))],
            }
            made.append({"id": f"{item['area_a_id']}/{item['area_b_id']}", "cells": cells})
        return made

    async def new_capacity(self) -> None:
        async def action() -> bool | None:
            if not capacity.text.isdecimal():
                dialog.say(self.texts("people.limit.whole"), "capacity_mbps")
                return False
            path = f"/v1/capacities/{area.value}/{other.value}"
            await self.change("PUT", path, {"capacity_mbps": int(capacity.text)})
            return None

        dialog = FormDialog(self.texts, self.texts("people.capacity.new"), self.texts("save"), action)
        with dialog.form:
            options = [(area_id, self.visit.area(area_id)) for area_id in self.visit.areas]
            area, other = (
                Field(name, self.texts("people.area"), kind="select", options=options, value=options[index][0])
                for index, name in enumerate(("area_id", "other_area_id"))
            )
            capacity = Field("capacity_mbps", self.texts("people.capacity.mbps"))
        dialog.add(area, other, capacity)
        dialog.open()

    def withdraw(self, areas: str) -> None:
        self._delete(areas, self.texts("people.capacity.delete"), f"/v1/capacities/{areas}")


def _shown(most: int | None) -> str:
    return "" if most is None else str(most)


def _columns(texts: Texts, section: str, names: Sequence[str]) -> Sequence[Row]:
    first, *rest = names
    return (
        {"k": first, "t": texts(f"people.{section}.{first}"), "cls": "is-wide"},
        *({"k": name, "t": texts(f"people.column.{name}")} for name in rest),
        {"k": "actions", "sr": texts("actions"), "cls": "is-last"},
    )


async def build(visit: Visit) -> None:
    """The page."""
    page, texts = _Page(visit), visit.texts
    await visit.rest.get("/v1/accounts")  # a viewer who may not see this page gets none of it
    Text("h1", texts("nav.people"))
    Text("p", texts("people.intro"), "oc-intro")
    page.sections = [
        _Section(
            visit,
            "accounts",
            _columns(texts, "accounts", ("name", *KINDS)),
            page.account_rows,
            page.new_account,
            {"limit": page.limit},
        ),
        _Section(
            visit,
            "users",
            _columns(texts, "users", ("name", "account", "role", "totp", "state")),
            page.user_rows,
            page.new_user,
            {"modify": page.modify_user, "switch": page.switch_user, "delete_user": page.delete_user},
        ),
        _Section(
            visit,
            "keys",
            _columns(texts, "keys", ("id", "user", "role", "from", "used", "state")),
            page.key_rows,
            page.new_key,
            {
                "enable": lambda key_id: page.switch_key(key_id, active=True),
                "disable": lambda key_id: page.switch_key(key_id, active=False),
                "delete_key": page.delete_key,
            },
        ),
        _Section(
            visit,
            "capacity",
            _columns(texts, "capacity", ("areas", "capacity", "sold", "left")),
            page.capacity_rows,
            page.new_capacity,
            {"withdraw": page.withdraw},
        ),
    ]
    await page.refresh()
