"""``/api/v1/calls?q=``: calls by what was said and heard in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from app.calls import search
from app.calls.texts import index_words
from app.db.session import Database
from tests.app.api_client import api_client
from tests.app.calls.conftest import Store
from tests.app.calls.events import NOON, ended, started, turn


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database) as client:
        yield client


class Talk:
    """Stores calls in which one thing was said and one was heard."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database, self._store = database, store
        self._minutes = 0

    async def __call__(
        self, said: str, heard: str, *, language: str = "en-US", agent: str = "parcel", days: int = 0
    ) -> UUID:
        call_id = uuid4()
        at = NOON + timedelta(days=days, minutes=self._minutes)
        self._minutes += 1
        words = replace(
            turn(call_id, at=at), caller_text=said, reply_text=heard + " unheard", heard_text=heard
        )
        await self._store(replace(started(call_id, at=at), agent=agent), words, ended(call_id, at=at))
        async with self._database.transaction() as session:
            await session.execute(
                text("UPDATE calls SET language = :language WHERE id = :call"),
                {"language": language, "call": call_id},
            )
            await index_words(session, call_id, at)
            await session.execute(
                text("INSERT INTO agents (name, active_version) VALUES (:name, 1) ON CONFLICT DO NOTHING"),
                {"name": language.lower()},
            )
            await session.execute(
                text(
                    "INSERT INTO agent_versions (agent, version, profile, content_hash) VALUES (:name, 1, "
                    "jsonb_build_object('language', cast(:language AS text)), '') ON CONFLICT DO NOTHING"
                ),
                {"name": language.lower(), "language": language},
            )
        return call_id


@pytest.fixture
def talk(database: Database, store: Store) -> Talk:
    return Talk(database, store)


async def _found(client: AsyncClient, query: str, **more: str) -> list[UUID]:
    answer = await client.get("/calls", params={"q": query, **more})
    assert answer.status_code == 200, answer.text
    return [UUID(call["id"]) for call in answer.json()["calls"]]


async def test_words_are_found_by_their_stems_newest_first(client: AsyncClient, talk: Talk) -> None:
    first = await talk("where are my parcels", "they arrive tomorrow")
    second = await talk("my parcel is broken", "i am sorry")
    await talk("nothing of that", "goodbye")
    assert await _found(client, "parcel") == [second, first]
    assert await _found(client, "arriving") == [first]
    assert await _found(client, '"my parcel" broken') == [second]
    assert await _found(client, "parcel -broken") == [first]
    assert await _found(client, "parcel -arriving") == [second]  # by its stem
    assert await _found(client, "broken or tomorrow") == [second, first]


async def test_only_what_was_heard_is_found(client: AsyncClient, talk: Talk) -> None:
    await talk("hello", "good morning")
    assert await _found(client, "unheard") == []


async def test_each_language_has_its_own_stems(client: AsyncClient, talk: Talk) -> None:
    german = await talk("wo sind meine Pakete", "sie kommen morgen", language="de-DE")
    other = await talk("wapi mizigo yangu", "kesho", language="sw")
    assert await _found(client, "Paket") == [german]
    assert await _found(client, "mizigo") == [other]


async def test_search_and_filters_and_pages(client: AsyncClient, talk: Talk) -> None:
    calls = [
        await talk(f"parcel {number}", "yes", agent="even" if number % 2 else "odd") for number in range(6)
    ]
    assert await _found(client, "parcel", agent="even") == [calls[5], calls[3], calls[1]]
    page = (await client.get("/calls", params={"q": "parcel", "limit": 4})).json()
    rest = await _found(client, "parcel", cursor=page["next_cursor"])
    assert [UUID(call["id"]) for call in page["calls"]] + rest == calls[::-1]
    oldest = await client.get("/calls", params={"q": "parcel", "sort": "started_at", "limit": 2})
    assert [UUID(call["id"]) for call in oldest.json()["calls"]] == calls[:2]


@pytest.mark.parametrize("sort", ["-started_at", "started_at"])
@pytest.mark.parametrize("slow", [False, True])
async def test_pages_of_a_slow_search_go_on_where_the_last_one_stopped(
    client: AsyncClient, talk: Talk, monkeypatch: pytest.MonkeyPatch, sort: str, slow: bool
) -> None:
    calls = [await talk("parcel" if day % 3 == 0 else "hello", "yes", days=day) for day in range(30)]
    wanted = calls[::3] if sort == "started_at" else calls[::3][::-1]
    monkeypatch.setattr(search, "READ_FIRST", 1)
    if slow:  # each span takes longer than there is for all
        sleeping = search._BY_INDEX.replace(
            "SELECT call_id, started_at FROM (", "SELECT call_id, started_at FROM pg_sleep(0.12), (", 1
        )
        monkeypatch.setattr(search, "_BY_INDEX", sleeping)
    found, query, pages = [], {"q": "parcel", "sort": sort, "limit": "50"}, 0
    while True:
        page = (await client.get("/calls", params=query)).json()
        found += [UUID(call["id"]) for call in page["calls"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == wanted
    assert pages > 10 if slow else pages == 1


@pytest.mark.parametrize("query", ["", "   ", "'", '"', "(", "&|!", "a" * 200, "-", "or or", "the"])
async def test_any_query_is_answered(client: AsyncClient, talk: Talk, query: str) -> None:
    await talk("where is my parcel", "here")
    assert await _found(client, query) == []


@pytest.mark.parametrize("query", ["a" * 201, "\x00"])
async def test_what_cannot_be_looked_for(client: AsyncClient, query: str) -> None:
    answer = await client.get("/calls", params={"q": query})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query.q"


async def test_a_redacted_transcript_is_no_longer_found(
    client: AsyncClient, talk: Talk, database: Database
) -> None:
    call_id = await talk("my name is quillfeather", "thank you")
    assert await _found(client, "quillfeather") == [call_id]
    async with database.transaction() as session:
        await session.execute(text("UPDATE turns SET caller_text = 'my name is [name]'"))
        await index_words(session, call_id, NOON)
    assert await _found(client, "quillfeather") == []
