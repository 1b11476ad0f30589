"""Forms in dialogs: an error stands beside the field that caused it, and what was typed stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from nicegui import ui
from nicegui.element import Element

from opencen.client import ApiError, ServerUnreachableError
from opencen.console.backend import Json
from opencen.console.texts import Texts, explain
from opencen.console.widgets import Text, box, button


class FormField(Protocol):
    """What a form needs of its fields."""

    name: str

    def fail(self, sentence: str | None) -> None: ...


class FormDialog:
    """A dialog with a form. Add fields inside `with dialog.form:`, register them with `add`, then `open()`.

    `action` does what the form is for; a refusal keeps the dialog open, True or None closes it.
    """

    def __init__(
        self,
        texts: Texts,
        title: str,
        submit: str,
        action: Callable[[], Awaitable[bool | None]],
        *,
        danger: bool = False,
    ) -> None:
        self.texts = texts
        self._action = action
        self._fields: dict[str, FormField] = {}
        self._busy = False
        with ui.context.client.content:  # not in the dialog from which this one is opened, which closes and is deleted
            self._dialog = ui.dialog()
        self._dialog._props["aria-label"] = title
        self._dialog.on("hide", self._dialog.delete, args=[])
        with self._dialog, box("form", "oc-dialog", novalidate=True) as whole:
            whole.on("submit.prevent", self._submit, args=[])
            Text("h2", title)
            self.form: Element = box("div", "oc-form")
            self._note = Text("p", "", "oc-note is-bad")
            self._note._props["role"] = "alert"
            self._note.set_visibility(False)
            with box("div", "oc-actions"):
                button(texts("cancel"), self.close)
                self._submit_button = button(submit, None, "is-danger" if danger else "is-primary")

    def add(self, *fields: FormField) -> None:
        """Fields beside which errors may stand, by the name that the API has for them."""
        self._fields |= {field.name: field for field in fields}

    def alias(self, name: str, field: FormField) -> None:
        """The API calls this field by another name too."""
        self._fields[name] = field

    def open(self) -> None:
        self._dialog.open()

    def close(self) -> None:
        self._dialog.close()

    def say(self, sentence: str | None, field: str | None = None) -> None:
        """Show what is wrong beside the field of that name, or above the buttons."""
        target = self._fields.get(field or "")
        for other in set(self._fields.values()):
            other.fail(sentence if other is target else None)
        self._note.set_text(sentence if sentence and target is None else "")
        self._note.set_visibility(bool(sentence) and target is None)

    async def _submit(self) -> None:
        if self._busy:
            return
        self._busy = True
        self._submit_button._props["disabled"] = True
        self.say(None)
        try:
            if await self._action() is not False:
                self.close()
        except ApiError as refusal:
            self.say(explain(self.texts, refusal), refusal.problem.get("field"))
        except ServerUnreachableError:
            self.say(self.texts("error.unreachable"))
        finally:
            self._busy = False
            self._submit_button._props.pop("disabled", None)


EDIT_CONFLICT = 412


class Seen:
    """The version of a thing that the viewer knows of. After a conflict it is the one that the viewer was told of."""

    def __init__(self, version: int) -> None:
        self.version = version

    async def send(self, action: Callable[[int], Awaitable[Json]]) -> Json:
        """Do `action` with the version; a conflict is raised, and the next attempt goes on from what is there now."""
        try:
            return await action(self.version)
        except ApiError as refusal:
            if refusal.status == EDIT_CONFLICT:
                self.version = int(refusal.problem["current"]["version"])
            raise


def confirm(texts: Texts, title: str, sentence: str, submit: str, action: Callable[[], Awaitable[bool | None]]) -> None:
    """Ask before something is taken away; `sentence` says what will be."""
    dialog = FormDialog(texts, title, submit, action, danger=True)
    with dialog.form:
        Text("p", sentence, "oc-wrap")
    dialog.open()
