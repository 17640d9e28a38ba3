"""Calls by what was said in them, a page at a time, by when they began.

PostgreSQL can find words in two ways, and how rare they are decides which is quick: for a common word,
reading texts in order of time until a page is full; for a rare one, its index of words. It cannot know: its
statistics say nothing of most words. So the texts nearest to where the page begins are read first, and
where these do not fill it, the index is asked for longer and longer spans of time. A phrase of common words
that hardly ever follow each other is slow in either way; so a page is given back as it is once it took
``ENOUGH_SECONDS``, with the place from which to look on. What this does to a million calls stands in
bench/README.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.models import AgentVersion
from app.calls.models import Call
from app.calls.repository import CallFilter
from app.calls.texts import UNKNOWN, config_of
from app.db.session import sqlstate

READ_FIRST = 1000
"""Texts that are read in order of time; words in more than a twentieth of them fill a page so."""

FIRST_SPAN = timedelta(days=1)
ENOUGH_SECONDS = 0.09
LEAST_SECONDS = 0.005  # in less nothing is found

_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)

Place = tuple[datetime, UUID]
"""When a call began, and its id: what orders calls."""

_LIMIT = text("SELECT set_config('statement_timeout', :most, true)")
_CANCELLED = "57014"
_SOME = text("SELECT min(started_at), max(started_at) FROM call_texts")

# OFFSET 0 keeps PostgreSQL from joining all calls with all texts: each match looks up its call, in the one
# partition where it can be, and none is looked up once the page is full.
_PAGE = """
    SELECT call.id FROM ({found}) AS found
    JOIN LATERAL (
        SELECT calls.id FROM calls
        WHERE calls.id = found.call_id AND calls.started_at = found.started_at {filters} OFFSET 0
    ) AS call ON true
    ORDER BY found.started_at {order}, found.call_id {order} LIMIT :most
"""
_IN_ORDER = """
    SELECT call_id, started_at FROM (
        SELECT call_id, started_at, config, document FROM call_texts
        WHERE started_at >= :since AND started_at <= :until {after}
        ORDER BY started_at {order}, call_id {order} LIMIT {read_first}
    ) AS nearest
    WHERE {said} ORDER BY started_at {order}, call_id {order}
"""
_BY_INDEX = """
    SELECT call_id, started_at FROM (
        SELECT call_id, started_at FROM call_texts
        WHERE ({said}) AND started_at >= :since AND started_at <= :until {after} OFFSET 0
    ) AS matching
    ORDER BY started_at {order}, call_id {order}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Calls, and where to look for more: ``None``: nowhere. There may be fewer calls than were asked for."""

    calls: Sequence[Call]
    next: Place | None


async def search_calls(
    session: AsyncSession, wanted: CallFilter, after: Place | None, *, descending: bool, limit: int
) -> Found:
    """At most ``limit`` of the calls that a filter with words lets pass, from the place ``after`` on."""
    clock = asyncio.get_running_loop().time
    enough = clock() + ENOUGH_SECONDS
    first, last = (await session.execute(_SOME)).one()
    if first is None:
        return Found([], None)
    first, last = _within(first, last, wanted, after, descending=descending)
    # The words are known when a statement is planned, also when it was prepared before.
    await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    search = _Search(session, wanted, await _configs(session), after, descending=descending)
    found = await search.page(_IN_ORDER, first, last, limit + 1) if first <= last else []
    on: Place | None = None
    if len(found) <= limit:
        found = []
        for since, until in _spans(first, last, descending=descending):
            most = limit + 1 - len(found)
            # The first span is read whatever it takes, so that each page comes further.
            seconds = enough - clock() if on else None
            more = await search.page_within(seconds, _BY_INDEX, since, until, most)
            if more is None:
                break
            found += more
            if len(found) > limit:
                break
            on = (since, _LOWEST) if descending else (until, _HIGHEST)
        else:
            on = None
    query = select(Call).where(Call.id.in_(found[:limit]), Call.started_at.between(first, last))
    calls = {call.id: call for call in await session.scalars(query)}
    page = [calls[call_id] for call_id in found[:limit] if call_id in calls]
    if len(found) > limit:
        on = (page[-1].started_at, page[-1].id)
    return Found(page, on)


class _Search:
    """One search: its statements and their parameters."""

    def __init__(
        self,
        session: AsyncSession,
        wanted: CallFilter,
        configs: Sequence[str],
        after: Place | None,
        *,
        descending: bool,
    ) -> None:
        self._session = session
        equal = wanted.equal()
        self._parts = {
            # Configurations are our own constants; as literals they leave nothing open when it is planned.
            "said": " OR ".join(
                f"config = '{config}' AND document @@ websearch_to_tsquery('{config}', :words)"
                for config in configs
            ),
            "filters": " ".join(f"AND calls.{column} = :{column}" for column in equal),
            "order": "DESC" if descending else "ASC",
            "after": "",
            "read_first": READ_FIRST,
        }
        self._values: dict[str, Any] = {"words": wanted.words, **equal}
        if after is not None:
            sign = "<" if descending else ">"
            self._parts["after"] = f"AND (started_at, call_id) {sign} (:after_at, cast(:after_id AS uuid))"
            self._values |= {"after_at": after[0], "after_id": after[1]}

    async def page(self, how: str, since: datetime, until: datetime, most: int) -> list[UUID]:
        """The first matches of a span of time, its ends included."""
        statement = _PAGE.format(found=how.format(**self._parts), **self._parts)
        values = {**self._values, "since": since, "until": until, "most": most}
        return list(await self._session.scalars(text(statement), values))

    async def page_within(
        self, seconds: float | None, how: str, since: datetime, until: datetime, most: int
    ) -> list[UUID] | None:
        """The same; ``None`` where it takes longer than ``seconds``."""
        if seconds is None:
            return await self.page(how, since, until, most)
        if seconds < LEAST_SECONDS:
            return None
        try:
            async with self._session.begin_nested():
                await self._session.execute(_LIMIT, {"most": f"{seconds * 1000:.0f}"})
                found = await self.page(how, since, until, most)
                await self._session.execute(_LIMIT, {"most": "0"})
        except DBAPIError as error:
            if sqlstate(error) != _CANCELLED:
                raise
            return None
        return found


async def _configs(session: AsyncSession) -> list[str]:
    """PostgreSQL's rules for text search that calls of the stored agents may have."""
    languages = await session.scalars(select(AgentVersion.profile["language"].astext).distinct())
    return sorted({config_of(language or "") for language in languages} | {UNKNOWN})


def _within(
    first: datetime, last: datetime, wanted: CallFilter, after: Place | None, *, descending: bool
) -> tuple[datetime, datetime]:
    """The span of time in which matches can be."""
    if wanted.since is not None:
        first = max(first, wanted.since)
    if wanted.until is not None:
        last = min(last, wanted.until - timedelta.resolution)
    if after is not None:
        first, last = (first, min(last, after[0])) if descending else (max(first, after[0]), last)
    return first, last


def _spans(first: datetime, last: datetime, *, descending: bool) -> Iterator[tuple[datetime, datetime]]:
    """Spans of time from where the page begins, each twice as long as the one before, without overlap."""
    length = FIRST_SPAN
    while first <= last:
        length = min(length, last - first)
        if descending:
            yield last - length, last
            last -= length + timedelta.resolution
        else:
            yield first, first + length
            first += length + timedelta.resolution
        length = 2 * max(length, FIRST_SPAN)
