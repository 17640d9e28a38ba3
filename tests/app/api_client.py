"""The admin API as a client sees it: mounted in a web application, spoken to over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.api import PATH, ApiParts, create_api
from app.auth.service import Role, create_key
from app.db.session import Database


@asynccontextmanager
async def api_client(
    database: Database, role: Role | None = Role.VIEWER, parts: ApiParts | None = None
) -> AsyncIterator[AsyncClient]:
    """A client with a new key of that role; ``None``: without a key. Paths are below ``/api/v1``."""
    web = FastAPI()
    web.mount(PATH, create_api(database, parts))
    headers = {}
    if role:
        async with database.transaction() as session:
            headers["Authorization"] = f"Bearer {(await create_key(session, role, 'test')).secret}"
    transport = ASGITransport(web, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url=f"http://test{PATH}", headers=headers) as client:
        yield client
