"""Step: the words of the call are found by the search."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.texts import index_words
from app.postcall.record import FinishedCall
from app.postcall.steps import Done
from app.tasks.tools import Tools


async def index_transcript(call: FinishedCall, _: Tools) -> Done:
    """Index them, as they stand now."""

    async def write(session: AsyncSession) -> None:
        await index_words(session, call.id, call.started_at)

    return Done(None, write)
