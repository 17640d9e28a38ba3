"""Erase calls that could not be erased with their caller."""

from __future__ import annotations

from app.calls.erasing import caller
from app.tasks.tools import Tools


async def erase_waiting(tools: Tools) -> None:
    """Erase those that can be now. Raises when the database is away."""
    await caller.erase_waiting(tools.database, tools.places)
