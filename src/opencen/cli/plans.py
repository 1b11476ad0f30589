"""`opencen plan`, `apply`, `export` and what becomes of plans: many connections changed in one step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from opencen.cli.access import connect, everything
from opencen.cli.instances import InstanceArgument, find_instance
from opencen.cli.output import Output, OutputOption, duration_s, err, local_time, out, print_json, print_table, told
from opencen.cli.plan_files import DocumentError, Format, read, write
from opencen.client import ApiError, Client

FileArgument = Annotated[
    Path, typer.Argument(help="YAML, JSON, or a CSV with region_a, region_b, bandwidth_mbps.", metavar="FILE")
]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", "-i", help="Id or name; otherwise the one that the file names.")
]
NumberArgument = Annotated[int | None, typer.Argument(help="Its number; otherwise the latest.", metavar="NUMBER")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_STYLES = {"appears": "green", "grows": "green", "shrinks": "yellow", "goes": "red"}
_SIGNS = {"appears": "+", "grows": "^", "shrinks": "v", "goes": "-"}


def add_to(app: typer.Typer) -> None:
    """These are verbs of the program itself."""
    app.command("plan")(show_plan)
    app.command("apply")(apply_plan)
    app.command("confirm")(confirm_plan)
    app.command("rollback")(roll_back_plan)
    app.command("history")(show_history)
    app.command("export")(export_document)


def _read(client: Client, path: Path, instance: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The instance and the document of a file."""
    try:
        named, document = read(path)
    except DocumentError as error:
        raise ApiError(400, {"code": "InvalidDocument", "detail": str(error)}) from error
    wanted = instance or named
    if wanted is None:
        detail = f"{path} names no instance: add `instance: NAME` to it, or give --instance"
        raise ApiError(400, {"code": "InvalidDocument", "detail": detail})
    return find_instance(client, wanted), document


def _show(preview: dict[str, Any]) -> None:
    rows = [
        (
            _SIGNS[change["effect"]],
            change["subject"],
            " - ".join(change["ends"]) + (f" ({change['package_id']})" if change["package_id"] else ""),
            change["before_mbps"] or None,
            change["after_mbps"] or None,
            change["effect"],
        )
        for change in preview["changes"]
    ]
    print_table(("", "What", "Ends", "Before Mbit/s", "After Mbit/s", "Effect"), rows, empty="no changes")
    for budget in preview["packages"]:
        _show_budget(budget)
    for refusal in preview["refusals"]:
        err.print(Text.assemble(("refused ", "bold red"), (refusal["code"], "bold"), f": {refusal['message']}"))


def _show_budget(budget: dict[str, Any]) -> None:
    if not budget["after_mbps"] and not budget["allocated_after_mbps"]:
        return
    short = budget["left_mbps"] < 0
    left = f"{-budget['left_mbps']} too little" if short else f"{budget['left_mbps']} left"
    out.print(
        Text.assemble(
            f"package {' - '.join(budget['areas'])}: {budget['allocated_after_mbps']} of {budget['after_mbps']} Mbit/s "
            "allocated, ",
            (left, "bold red" if short else "green"),
        )
    )


def show_plan(
    context: typer.Context, file: FileArgument, instance: InstanceOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show what a document of wanted state would change; nothing is changed.

    What grows, shrinks, appears and goes, what each package has left, and what would be refused and why. A list that
    the document leaves out (packages, connections) stays as it is; what a given list does not name goes. Exit code 1:
    it would be refused.

    [bold]opencen export lab > lab.yaml[/], edit it, then [bold]opencen plan lab.yaml[/].
    """
    with told(), connect(context) as client:
        found, document = _read(client, file, instance)
        preview = client.post(f"/v1/instances/{found['id']}/plan-preview", document)
    print_json(preview) if output is Output.JSON else _show(preview)
    if preview["refusals"]:
        raise typer.Exit(1)


def apply_plan(
    context: typer.Context,
    file: FileArgument,
    instance: InstanceOption = None,
    confirm_within: Annotated[
        str | None, typer.Option("--confirm-within", help="Roll back unless confirmed in time: 90s, 5m, 1h.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the plan.")] = "",
    yes: YesOption = False,
    wait_s: Annotated[
        float, typer.Option("--wait", help="Seconds to wait until gateways have it in their kernels; 0: do not wait.")
    ] = 15.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Carry a document out, in one step: all of it, or nothing.

    Shows the plan and asks first. Gateways shrink before others grow. With [bold]--confirm-within 5m[/] it is rolled
    back by itself unless [bold]opencen confirm INSTANCE[/] follows in time: for changes that might cut you off.
    """
    confirm_within_s = None if confirm_within is None else duration_s(confirm_within)
    with told(), connect(context) as client:
        found, document = _read(client, file, instance)
        path = f"/v1/instances/{found['id']}"
        preview = client.post(f"{path}/plan-preview", document)
        if output is Output.TABLE:
            _show(preview)
        if preview["refusals"]:
            if output is Output.JSON:
                print_json(preview)
            raise typer.Exit(1)
        if not preview["changes"]:
            return
        if not yes:
            typer.confirm("Apply?", abort=True, err=True)
        version = _apply(client, path, document, preview["base"], confirm_within_s, note)
        modifying = _wait(client, found["id"], preview["changes"], wait_s)
    print_json(version) if output is Output.JSON else _tell(version, found["name"], modifying, wait_s)


def _apply(
    client: Client, path: str, document: dict[str, Any], base: str, confirm_within_s: int | None, note: str
) -> dict[str, Any]:
    body = {"document": document, "confirm_within_s": confirm_within_s, "note": note}
    return dict(client.request("POST", f"{path}/plans", body=body, if_match=f'"{base}"'))


def _tell(version: dict[str, Any], name: str, modifying: list[str], wait_s: float) -> None:
    out.print(Text(f"plan {version['number']} of {name} applied", "green"))
    if version["confirm_by"]:
        out.print(
            f"it is rolled back at {local_time(version['confirm_by'])} unless you run: opencen confirm {name}",
            style="yellow",
        )
    if modifying and wait_s > 0:
        err.print(f"durable, but not in every kernel yet: {', '.join(modifying)}", style="yellow")


def _wait(client: Client, cen_id: str, changes: list[dict[str, Any]], timeout_s: float) -> list[str]:
    """The connections of the plan that gateways do not have yet, at the latest after `timeout_s`."""
    concerned = {
        tuple(change["ends"]) for change in changes if change["subject"] == "connection" and change["effect"] != "goes"
    }
    deadline = time.monotonic() + timeout_s
    revision = 0
    while True:
        items = everything(client, "/v1/region-connections", cen_id=cen_id)
        modifying = [
            f"{item['region_a_id']} - {item['region_b_id']}"
            for item in items
            if (item["region_a_id"], item["region_b_id"]) in concerned and item["status"] == "Modifying"
        ]
        left_s = deadline - time.monotonic()
        if not modifying or left_s <= 0:
            return modifying
        revision = client.get("/v1/changes", after=revision, wait_s=round(min(left_s, 1.0), 3))["revision"]


def confirm_plan(context: typer.Context, instance: InstanceArgument, number: NumberArgument = None) -> None:
    """Keep what a plan did that awaits its confirmation."""
    with told(), connect(context) as client:
        found = find_instance(client, instance)
        number = number or _awaiting(client, found)
        client.post(f"/v1/instances/{found['id']}/plans/{number}/confirmation", {})
    out.print(f"plan {number} of {found['name']} is kept", highlight=False)


def _awaiting(client: Client, found: dict[str, Any]) -> int:
    for item in client.get(f"/v1/instances/{found['id']}/plans", page_size=200)["items"]:
        if item["confirm_by"]:
            return int(item["number"])
    detail = f"no plan of {found['name']} awaits a confirmation; `opencen history {found['name']}` shows them"
    raise ApiError(409, {"code": "PlanSettled", "detail": detail})


def roll_back_plan(
    context: typer.Context,
    instance: InstanceArgument,
    number: Annotated[
        int | None,
        typer.Argument(help="Back to the state after this plan (0: before the first); else undo the one that awaits."),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Undo the plan that awaits its confirmation, or go back to the state after an earlier plan."""
    with told(), connect(context) as client:
        found = find_instance(client, instance)
        path = f"/v1/instances/{found['id']}"
        if number is None:
            awaiting = _awaiting(client, found)
            client.post(f"{path}/plans/{awaiting}/rollback", {})
            out.print(f"plan {awaiting} of {found['name']} is rolled back", highlight=False)
            return
        document = client.get(f"{path}/plans/{number or 1}")["after" if number else "before"]
        preview = client.post(f"{path}/plan-preview", document)
        _show(preview)
        if preview["refusals"]:
            raise typer.Exit(1)
        if not preview["changes"]:
            return
        if not yes:
            typer.confirm("Apply?", abort=True, err=True)
        version = _apply(client, path, document, preview["base"], None, f"back to plan {number}")
    out.print(f"plan {version['number']} of {found['name']} applied: back to plan {number}", highlight=False)


def show_history(
    context: typer.Context,
    instance: InstanceArgument,
    number: Annotated[int | None, typer.Argument(help="Show what this plan changed.")] = None,
    since: Annotated[int | None, typer.Option(help="With NUMBER: compare with the state after this plan.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The plans that were applied to an instance, or what one of them changed."""
    with told(), connect(context) as client:
        found = find_instance(client, instance)
        path = f"/v1/instances/{found['id']}/plans"
        if number is not None:
            answer = client.get(f"{path}/{number}/changes", **({} if since is None else {"since": since}))
            print_json(answer) if output is Output.JSON else _show(answer)
            return
        items = list(everything(client, path))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (item["number"], local_time(item["applied_at"]), item["username"], _state(item), item["note"]) for item in items
    ]
    print_table(("Plan", "Applied", "By", "State", "Note"), rows, empty="no plans yet; `opencen apply FILE` makes one")


def _state(item: dict[str, Any]) -> str:
    by = f" by {local_time(item['confirm_by'])}" if item["confirm_by"] else ""
    return f"{item['state']}{by}" + (f" ({item['outcome']})" if item["outcome"] else "")


def export_document(
    context: typer.Context,
    instance: InstanceArgument,
    form: Annotated[Format, typer.Option("--format", "-f", help="A CSV has the connections alone.")] = Format.YAML,
) -> None:
    """Print the present state as a document; applying it changes nothing."""
    with told(), connect(context) as client:
        found = find_instance(client, instance)
        document = client.get(f"/v1/instances/{found['id']}/plan-document")
    typer.echo(write(document, found["name"] or found["id"], form), nl=False)
