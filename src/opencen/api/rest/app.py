"""The REST API as one application, mounted at /v1."""

from __future__ import annotations

from fastapi import FastAPI

from opencen import __version__
from opencen.api.rest import (
    alarms,
    connections,
    encryption,
    gateway_channel,
    installation,
    instances,
    join_tokens,
    networks,
    packages,
    people,
    plans,
    problems,
    sessions,
    usage,
)
from opencen.services.context import Context
from opencen.wire.rest import Problem

MODULES = (
    instances,
    networks,
    packages,
    connections,
    encryption,
    plans,
    alarms,
    installation,
    join_tokens,
    people,
    sessions,
    gateway_channel,
)
_DESCRIPTION = """Join networks of different regions and set the bandwidth between each pair of regions.

Authenticate with HTTP Basic (access key id and secret), or log on at `/v1/sessions` and send the session as Bearer. A
refusal is an RFC 9457 problem document with a stable `code` and the numbers that caused it. Answers with an `ETag` take
`If-Match`: 412, with both values, when somebody else was faster."""


def make_rest_app(context: Context) -> FastAPI:
    """All routes of the native API."""
    app = FastAPI(
        title="OpenCEN",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses={
            status: {
                "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
                "description": text,
            }
            for status, text in (("4XX", "refused"), ("5XX", "failed"))
        },
    )
    app.state.context = context
    problems.install(app)
    for module in MODULES:
        app.include_router(module.router)
    app.include_router(usage.router)
    app.include_router(usage.gateway_router)
    return app
