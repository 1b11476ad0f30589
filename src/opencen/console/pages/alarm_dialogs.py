"""The dialogs that add and delete alarm rules and channels."""

from __future__ import annotations

from typing import Any

from opencen.console.backend import Json
from opencen.console.dialogs import FormDialog, confirm
from opencen.console.frame import Visit
from opencen.console.pages.instances import title_of
from opencen.console.pages.packages import name_of
from opencen.console.widgets import Field, Text, box

KINDS = ("connection_use", "connection_drops", "package_use", "package_expiry", "gateway_gone", "gateway_drift")
NUMBERS = ("raise_at", "raise_for", "clear_at", "clear_for")


def scope_text(visit: Visit, rule: Json) -> str:
    """What a rule watches, in words."""
    if rule["region_a_id"]:
        return f"{visit.region(rule['region_a_id'])} – {visit.region(rule['region_b_id'])}"
    return str(rule["package_id"] or rule["cen_id"] or visit.texts("alarms.everything"))


async def _scopes(visit: Visit) -> dict[str, tuple[str, Json]]:
    """Everything that can be watched: label and what a rule says for it, by a key for the choice."""
    instances = await visit.rest.everything("/v1/instances")
    packages = await visit.rest.everything("/v1/bandwidth-packages")
    connections = await visit.rest.everything("/v1/region-connections")
    titles = {item["id"]: title_of(item) for item in instances}
    found: dict[str, tuple[str, Json]] = {"": (visit.texts("alarms.everything"), {})}
    found |= {item["id"]: (title_of(item), {"cen_id": item["id"]}) for item in instances}
    found |= {item["id"]: (name_of(item), {"package_id": item["id"]}) for item in packages}
    for item in connections:
        pair = {name: item[name] for name in ("cen_id", "region_a_id", "region_b_id")}
        found[item["id"]] = (f"{titles.get(item['cen_id'], item['cen_id'])}: {scope_text(visit, item)}", pair)
    return found


async def add_rule(visit: Visit) -> None:
    """What to watch for, where, from which value, and who is told. Thresholds left empty are the usual ones."""
    texts = visit.texts
    scopes = await _scopes(visit)
    channels = await visit.rest.everything("/v1/alarm-channels")

    async def action() -> bool | None:
        body: dict[str, Any] = {"kind": str(kind.value), "name": name.text, **scopes[str(where.value)][1]}
        for key, field in numbers.items():
            if not field.text:
                continue
            value = _number(field.text)
            if value is None:
                dialog.say(texts("alarms.rule.number"), field.name)
                return False
            body[field.name] = value if key.endswith("_at") else round(value)
        if channel.value:
            body["channel_ids"] = [str(channel.value)]
        await visit.rest.send("POST", "/v1/alarm-rules", body)
        return None

    dialog = FormDialog(texts, texts("alarms.rule.add"), texts("create"), action)
    with dialog.form:
        kinds = [(each, texts(f"alarms.kind.{each}")) for each in KINDS]
        kind = Field("kind", texts("alarms.rule.kind"), kind="select", options=kinds, value=KINDS[0], autofocus=True)
        places = [(key, label) for key, (label, _) in scopes.items()]
        where = Field("cen_id", texts("alarms.rule.where"), kind="select", options=places, value="")
        numbers: dict[str, Field] = {}
        labels = {
            "raise_at": texts("alarms.rule.raise_at"),
            "raise_for": texts("alarms.rule.raise_for"),
            "clear_at": texts("alarms.rule.clear_at"),
            "clear_for": texts("alarms.rule.clear_for"),
        }
        for pair in (NUMBERS[:2], NUMBERS[2:]):
            with box("div", "oc-two"):
                for key in pair:
                    sent = key if key.endswith("_at") else f"{key}_s"
                    numbers[key] = Field(sent, labels[key], kind="text")
        Text("p", texts("alarms.rule.usual"), "oc-hint")
        told = [("", texts("alarms.nobody")), *((item["id"], item["name"] or item["id"]) for item in channels)]
        first = channels[0]["id"] if channels else ""
        channel = Field("channel_ids", texts("alarms.rule.channel"), kind="select", options=told, value=first)
        name = Field("name", texts("name"))
    dialog.add(kind, where, channel, name, *numbers.values())
    dialog.open()


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def delete_rule(visit: Visit, rule: Json) -> None:
    """Ask, then watch it no more."""
    texts = visit.texts

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/alarm-rules/{rule['id']}")

    name = rule["name"] or texts(f"alarms.kind.{rule['kind']}")
    title = texts("delete.label", name=name)
    confirm(texts, title, texts("alarms.rule.delete.text"), texts("delete"), action)


async def add_channel(visit: Visit) -> None:
    """A webhook, whose signing secret is shown once, or mail addresses."""
    texts = visit.texts

    async def action() -> None:
        body: dict[str, Any] = {"kind": str(kind.value), "name": name.text}
        if kind.value == "webhook":
            body["url"] = target.text
        else:
            body["recipients"] = [each.strip() for each in target.text.split(",") if each.strip()]
        made = await visit.rest.send("POST", "/v1/alarm-channels", body)
        if made["secret"]:
            with visit.client.content:  # the dialog that asked takes along what is inside of it
                _show_secret(visit, made)

    def changed() -> None:
        email = kind.value == "email"
        target._props["label"] = texts("alarms.channel.recipients" if email else "alarms.channel.url")

    dialog = FormDialog(texts, texts("alarms.channel.add"), texts("create"), action)
    with dialog.form:
        kinds = [("webhook", texts("alarms.channel.webhook")), ("email", texts("alarms.channel.email"))]
        kind = Field(
            "kind",
            texts("alarms.channel.kind"),
            kind="select",
            options=kinds,
            value="webhook",
            on_change=changed,
            autofocus=True,
        )
        target = Field("url", texts("alarms.channel.url"))
        name = Field("name", texts("name"))
    dialog.add(kind, target, name)
    dialog.alias("recipients", target)
    dialog.open()


def _show_secret(visit: Visit, made: Json) -> None:
    texts = visit.texts

    async def done() -> None:
        return None

    dialog = FormDialog(texts, texts("alarms.channel.secret"), texts("ok"), done)
    with dialog.form:
        name = made["channel"]["name"] or made["channel"]["id"]
        Text("p", texts("alarms.channel.secret.text", name=name), "oc-wrap")
        Text("div", made["secret"], "oc-secret")
    dialog.open()


def delete_channel(visit: Visit, channel: Json) -> None:
    """Ask, then tell nothing there any more."""
    texts = visit.texts

    async def action() -> None:
        await visit.rest.send("DELETE", f"/v1/alarm-channels/{channel['id']}")

    title = texts("delete.label", name=channel["name"] or channel["id"])
    confirm(texts, title, texts("alarms.channel.delete.text"), texts("delete"), action)
