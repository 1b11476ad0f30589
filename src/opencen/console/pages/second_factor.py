"""The viewer's own second factor: setting one up with an app, and removing it."""

from __future__ import annotations

import segno

from opencen.console.dialogs import FormDialog
from opencen.console.frame import Visit
from opencen.console.widgets import Field, Text, box, button, notify


class _SecondFactor:
    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.texts = visit.texts
        self.section = box("section", "oc-section", aria_label=self.texts("totp.title")).style("margin-top: 28px")

    async def show(self) -> None:
        """What is so now, and the button that changes it."""
        state = await self.visit.rest.get("/v1/me/totp")
        self.section.clear()
        with self.section:
            Text("h2", self.texts("totp.title"))
            if state["confirmed_at"] is None:
                Text("p", self.texts("totp.is_off"), "oc-intro")
                button(self.texts("totp.set_up"), self.set_up, "is-primary")
            else:
                since = self.visit.time(state["confirmed_at"])
                Text("p", self.texts("totp.is_on", since=since), "oc-intro")
                button(self.texts("totp.remove"), self.remove, "is-danger")

    def set_up(self) -> None:
        """Ask for the password, then show the secret."""

        async def action() -> None:
            made = await self.visit.rest.send("POST", "/v1/me/totp", {"password": str(password.value)})
            with self.visit.client:  # outlives this form
                self.confirm(made["secret"], made["uri"])

        dialog = FormDialog(self.texts, self.texts("totp.set_up"), self.texts("totp.next"), action)
        with dialog.form:
            password = Field(
                "password",
                self.texts("login.password"),
                kind="password",
                autocomplete="current-password",
                autofocus=True,
            )
        dialog.add(password)
        dialog.open()

    def confirm(self, secret: str, uri: str) -> None:
        """Show the secret, and take a code of it."""
        texts = self.texts

        async def action() -> None:
            await self.visit.rest.send("POST", "/v1/me/totp/confirmation", {"totp_code": code.text})
            notify(texts("totp.done"))
            await self.show()

        dialog = FormDialog(texts, texts("totp.set_up"), texts("totp.confirm"), action)
        with dialog.form:
            Text("p", texts("totp.scan"), "oc-wrap")
            picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=3, light="#fff")
            box("img", "oc-qr", src=picture, alt=texts("totp.picture"), width="200", height="200")
            Text("p", texts("totp.secret"), "oc-muted")
            Text("p", " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)), "oc-mono oc-wrap")
            code = Field("totp_code", texts("login.code"), autocomplete="one-time-code")
        dialog.add(code)
        dialog.open()

    def remove(self) -> None:
        """Ask for a code, and for none afterwards."""
        texts = self.texts

        async def action() -> None:
            await self.visit.rest.send("POST", "/v1/me/totp/removal", {"totp_code": code.text})
            await self.show()

        dialog = FormDialog(texts, texts("totp.remove"), texts("totp.remove"), action, danger=True)
        with dialog.form:
            Text("p", texts("totp.remove.text"), "oc-wrap")
            code = Field("totp_code", texts("login.code"), autocomplete="one-time-code", autofocus=True)
        dialog.add(code)
        dialog.open()


async def build_section(visit: Visit) -> None:
    """The part of the page of the viewer's own log-on."""
    await _SecondFactor(visit).show()
