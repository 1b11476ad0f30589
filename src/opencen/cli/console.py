"""`opencen console`: the web pages as a process of their own, in front of a server elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from opencen.cli.access import DEFAULT_SERVER
from opencen.cli.output import err
from opencen.cli.serving import InsecureOption

DEFAULT_LISTEN = "127.0.0.1:8401"


def console(
    context: typer.Context,
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT.")] = DEFAULT_LISTEN,
    insecure_http: InsecureOption = False,
    server: Annotated[str | None, typer.Option("--server", help="The control plane: http://HOST:PORT.")] = None,
) -> None:
    """Serve the console alone, for a control plane elsewhere. `opencen serve` has it built in at /console.

    A control plane that trusts this host's X-Forwarded-For (uvicorn's FORWARDED_ALLOW_IPS) sees viewers' addresses.
    """
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    from opencen.console.app import mount
    from opencen.console.backend import Backend
    from opencen.logs import configure_logging
    from opencen.serve import Address, AddressError

    configure_logging()
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        err.print(f"error --listen takes HOST:PORT, not {listen!r}", style="red", highlight=False)
        raise typer.Exit(1)
    try:
        if not insecure_http:
            Address(host=host.strip("[]") or "127.0.0.1", port=int(port)).check_private(secured=False)
    except AddressError as error:
        err.print(f"error {error}", style="red", highlight=False)
        raise typer.Exit(1) from error
    address = server or context.find_root().obj.get("server") or DEFAULT_SERVER
    app = Starlette(routes=[Route("/", lambda _: RedirectResponse("/console", 303))])
    mount(app, Backend.at(address))
    err.print(f"console of {address} on http://{listen}/console", highlight=False)
    uvicorn.run(
        app,
        host=host.strip("[]") or "127.0.0.1",
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
