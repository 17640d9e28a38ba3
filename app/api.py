"""The admin API: an application of its own, mounted at ``/api/v1``."""

from __future__ import annotations

from fastapi import FastAPI

from app.auth.routes import router as keys
from app.calls.routes import router as calls
from app.db.session import Database
from app.errors import install_problems

PATH = "/api/v1"


def create_api(database: Database) -> FastAPI:
    """The API over a started database; its description is at ``/openapi.json``.

    Errors are problem details here and leave the rest of the web application alone.
    """
    api = FastAPI(
        title="Trunkline",
        version="1",
        description="Calls, their transcripts and latencies, and the keys of this API.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.database = database
    install_problems(api)
    api.include_router(calls)
    api.include_router(keys)
    return api
