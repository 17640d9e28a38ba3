"""Close the calls of processes that are gone, also while no web process runs."""

from __future__ import annotations

from app.calls.presence import close_without_beating
from app.tasks.tools import Tools


async def close_abandoned(tools: Tools) -> None:
    """Close them. Raises when the database is away."""
    await close_without_beating(tools.database)
