"""`opencen account`, `opencen user` and `opencen key`: who may do what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from opencen.cli.access import connect, everything
from opencen.cli.output import Output, OutputOption, local_time, out, print_json, print_table, told
from opencen.client import Client

users = typer.Typer(no_args_is_help=True, help="Users: they log on, and own access keys (administrators).")
keys = typer.Typer(no_args_is_help=True, help="Access keys of API clients (administrators).")

RoleOption = Annotated[str | None, typer.Option(help="administrator, operator or viewer.")]
UserArgument = Annotated[str, typer.Argument(help="Id (usr-…) or username.", metavar="USER")]
KeyArgument = Annotated[str, typer.Argument(help="Its id.", metavar="KEY")]


def create_account(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Make another account; add its first user with `opencen user create`."""
    with told(), connect(context) as client:
        item = client.post("/v1/accounts", {"name": name})
    print_json(item) if output is Output.JSON else typer.echo(item["id"])


def show_quotas(
    context: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Its id; by default one's own.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """How many instances, networks, packages and connections an account may have, and has."""
    with told(), connect(context) as client:
        item = client.get(f"/v1/accounts/{account or client.get('/v1/me')['account_id']}/quotas")
    _print_quotas(item, output)


def limit_account(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Its id; see `opencen account list`.")],
    instances: Annotated[int | None, typer.Option(help="The most CEN instances.", min=0)] = None,
    networks: Annotated[int | None, typer.Option(help="The most networks.", min=0)] = None,
    packages: Annotated[int | None, typer.Option(help="The most bandwidth packages.", min=0)] = None,
    connections: Annotated[int | None, typer.Option(help="The most region connections.", min=0)] = None,
    no_limit: Annotated[
        list[str] | None, typer.Option(help="instances, networks, packages or connections: no limit; may repeat.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Limit how many things an account may have (administrators). What is not given stays."""
    limits = {"instances": instances, "networks": networks, "packages": packages, "connections": connections}
    body: dict[str, int | None] = {kind: most for kind, most in limits.items() if most is not None}
    body |= dict.fromkeys(no_limit or ())
    with told(), connect(context) as client:
        item = client.request("PATCH", f"/v1/accounts/{account}/quotas", body=body)
    _print_quotas(item, output)


def _print_quotas(item: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print_json(item)
        return
    rows = [(kind, used, "no limit" if item[kind] is None else item[kind]) for kind, used in item["used"].items()]
    print_table(("Kind", "Used", "At most"), rows, empty="none")


def _user_id(client: Client, text: str) -> str:
    found = [item["id"] for item in client.get("/v1/users")["items"] if text in (item["id"], item["username"])]
    return str(found[0]) if found else text


@users.command("list")
def list_users(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """The users of every account."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/users"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (item["id"], item["username"], item["role"], item["account_id"], local_time(item["disabled_at"]))
        for item in items
    ]
    print_table(("Id", "Username", "Role", "Account", "Disabled"), rows, empty="none")


@users.command("create")
def create_user(
    context: typer.Context,
    username: Annotated[str, typer.Argument(help="What the user logs on with.")],
    account: Annotated[str, typer.Option(help="The account's id; see `opencen account list`.")],
    role: Annotated[str, typer.Option(help="administrator, operator or viewer.")] = "operator",
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a user; the password is printed this once."""
    with told(), connect(context) as client:
        made = client.post("/v1/users", {"username": username, "role": role, "account_id": account})
    _show_password(made, output)


def _show_password(made: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print_json(made)
        return
    typer.echo(f"{made['user']['id']}  {made['user']['username']}")
    if made["password"] is not None:
        typer.echo(f"password: {made['password']}")


@users.command("modify")
def modify_user(
    context: typer.Context,
    user: UserArgument,
    role: RoleOption = None,
    disable: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether the user may log on.")] = None,
    reset_password: Annotated[bool, typer.Option("--reset-password", help="Print a new password.")] = False,
    reset_totp: Annotated[bool, typer.Option("--reset-totp", help="Ask for no code any more.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give another role, disable or enable, reset password or second factor; all but a role end the user's sessions."""
    body = {"role": role, "disabled": disable, "reset_password": reset_password, "reset_totp": reset_totp}
    with told(), connect(context) as client:
        made = client.request("PATCH", f"/v1/users/{_user_id(client, user)}", body=body)
    _show_password(made, output)


@users.command("delete")
def delete_user(context: typer.Context, user: UserArgument) -> None:
    """Delete a user with its sessions and access keys."""
    with told(), connect(context) as client:
        client.delete(f"/v1/users/{_user_id(client, user)}")
    out.print(f"{user} deleted", highlight=False)


@keys.command("list")
def list_keys(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Every access key: whose it is, what it is limited to, when it was last used."""
    with told(), connect(context) as client:
        items = list(everything(client, "/v1/access-keys"))
    if output is Output.JSON:
        print_json(items)
        return
    rows = [
        (
            item["id"],
            item["name"],
            item["username"],
            item["role"],
            ", ".join(item["source_networks"]) or "anywhere",
            "active" if item["active"] else "disabled",
            local_time(item["last_used_at"]),
        )
        for item in items
    ]
    print_table(("Id", "Name", "User", "Role", "From", "State", "Last used"), rows, empty="none")


@keys.command("create")
def create_key(
    context: typer.Context,
    user: UserArgument,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    role: RoleOption = None,
    source: Annotated[list[str] | None, typer.Option(help="An address block it may be used from; may repeat.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make an access key of a user; the secret is printed this once."""
    with told(), connect(context) as client:
        body = {"user_id": _user_id(client, user), "name": name, "role": role, "source_networks": source or []}
        made = client.post("/v1/access-keys", body)
    if output is Output.JSON:
        print_json(made)
        return
    typer.echo(f"access key id: {made['access_key']['id']}\naccess key secret: {made['access_key_secret']}")


@keys.command("disable")
def disable_key(context: typer.Context, key: KeyArgument) -> None:
    """Refuse a key from now on, at every server within a second."""
    _switch(context, key, active=False)


@keys.command("enable")
def enable_key(context: typer.Context, key: KeyArgument) -> None:
    """Accept a disabled key again."""
    _switch(context, key, active=True)


def _switch(context: typer.Context, key: str, *, active: bool) -> None:
    with told(), connect(context) as client:
        client.request("PATCH", f"/v1/access-keys/{key}", body={"active": active})
    out.print(f"{key} {'enabled' if active else 'disabled'}", highlight=False)


@keys.command("delete")
def delete_key(context: typer.Context, key: KeyArgument) -> None:
    """Delete an access key."""
    with told(), connect(context) as client:
        client.delete(f"/v1/access-keys/{key}")
    out.print(f"{key} deleted", highlight=False)
