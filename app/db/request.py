"""One transaction per request: committed before the answer is sent, rolled back when there is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from app.db.session import Database


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction, on the database in the application's state."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        yield session


Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]
"""A parameter of a route or dependency; all of one request share it."""
