"""The admin API: an application of its own, mounted at ``/api/v1``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import FastAPI

from app.agents.routes import router as agents
from app.agents.serving import Takes
from app.agents.trying import TryingRoom
from app.audit.routes import router as audit
from app.calls.erasing.routes import router as erasures
from app.calls.live_routes import router as live
from app.calls.routes import router as calls
from app.db.session import Database
from app.errors import install_problems
from app.keys.routes import router as keys
from app.numbers.routes import router as numbers
from app.postcall.routes import router as steps
from app.prompts.routes import router as prompts
from app.recordings.ports import Places
from app.recordings.routes import router as recordings
from app.reports.routes import router as reports
from app.rest.document import describe_all
from app.rest.edge import BodyLimit, RequestIds
from app.rest.limiting import RateLimiting, RateLimits
from app.voices.preview import Previewer
from app.voices.routes import router as voices
from app.webhooks.guard import Guard
from app.webhooks.routes import router as webhooks

PATH = "/api/v1"
ROUTERS = (
    calls,
    live,
    recordings,
    reports,
    keys,
    audit,
    voices,
    prompts,
    agents,
    numbers,
    steps,
    webhooks,
    erasures,
)
DESCRIPTION = """Voices, prompts, agents, numbers; calls and what is known of them; keys; who changed what.

Every request needs a key: `Authorization: Bearer <key>`. Lists come in pages: `limit`, `cursor`, `sort`,
`fields`. PUT and DELETE of what has an `ETag` need `If-Match` with the one that was read. A POST
with an `Idempotency-Key` may be sent again. Errors are problem details (RFC 9457)."""


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the API has of its process, besides the database."""

    limits: RateLimits = field(default_factory=RateLimits)
    body_bytes: int = 1_048_576
    previewer: Previewer | None = None
    trying: TryingRoom | None = None
    usual_agent: str = ""
    has_agent: Callable[[str], bool] = lambda _: True  # whether an agent can answer calls
    takes: Takes | None = None
    recordings: Places | None = None
    guard: Guard = field(default_factory=Guard)
    erasure_key: bytes = b""


def create_api(database: Database, parts: ApiParts | None = None) -> FastAPI:
    """The API over a started database; its description is at ``/openapi.json``.

    Errors are problem details here and leave the rest of the web application alone.
    """
    parts = parts or ApiParts()
    api = FastAPI(
        title="Trunkline",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.database = database
    api.state.parts = parts
    install_problems(api)
    for router in ROUTERS:
        api.include_router(router)
    api.add_middleware(BodyLimit, most_bytes=parts.body_bytes)
    api.add_middleware(RateLimiting, limits=parts.limits)
    api.add_middleware(RequestIds)  # the last one added is the first one met
    describe_all(api)
    return api
