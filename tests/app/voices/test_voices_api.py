"""Voices over HTTP: made, changed, archived, heard."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from app.api import ApiParts
from app.auth.service import Role
from app.db.session import Database
from app.engines.errors import RequestRefused
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, VoiceSpec
from app.voices.preview import Previewer
from config.engines import FallbackSettings
from tests.app.api_client import api_client
from tests.fakes.synthesiser import FakeSynthesiser

VOICE = {"name": "friendly", "title": "Friendly", "names": {"fake": "hum"}, "rate": 1.1}


@pytest.fixture
def speaker() -> FakeSynthesiser:
    return FakeSynthesiser()


@pytest.fixture
async def operator(database: Database, speaker: FakeSynthesiser) -> AsyncIterator[AsyncClient]:
    previewer = Previewer(FallbackSynthesiser([speaker], FallbackSettings()), at_once=2)
    async with api_client(database, Role.OPERATOR, ApiParts(previewer=previewer)) as client:
        yield client


async def test_a_voice_is_made_read_changed_and_archived(operator: AsyncClient) -> None:
    made = await operator.post("/voices", json=VOICE)
    assert made.status_code == 201
    assert made.headers["location"] == "/api/v1/voices/friendly"
    assert made.headers["etag"] == '"1"'
    assert made.json()["pitch"] == 1.0
    assert (await operator.post("/voices", json=VOICE)).status_code == 409

    known = await operator.get("/voices/friendly", headers={"If-None-Match": 'W/"1"'})
    assert (known.status_code, known.content) == (304, b"")

    change = {key: value for key, value in VOICE.items() if key != "name"} | {"rate": 0.9}
    assert (await operator.put("/voices/friendly", json=change)).status_code == 428
    for stale in ('"7"', 'W/"1"', "nonsense"):
        refused = await operator.put("/voices/friendly", json=change, headers={"If-Match": stale})
        assert refused.status_code == 412
        assert '"1"' in refused.json()["detail"]
    changed = await operator.put("/voices/friendly", json=change, headers={"If-Match": '"9", "1"'})
    assert (changed.json()["rate"], changed.headers["etag"]) == (0.9, '"2"')

    assert (await operator.delete("/voices/friendly", headers={"If-Match": "*"})).status_code == 204
    assert (await operator.get("/voices")).json() == {"voices": [], "next_cursor": None}
    (archived,) = (await operator.get("/voices", params={"archived": "true"})).json()["voices"]
    assert archived["archived_at"]
    assert (await operator.post("/voices/friendly/restore")).json()["archived_at"] is None


async def test_lists_are_ordered_narrowed_and_cut_to_fields(operator: AsyncClient) -> None:
    for name, language in (("b", "en-US"), ("a", "de-DE"), ("c", "en-US")):
        await operator.post("/voices", json={"name": name, "language": language})

    async def names(**query: str) -> list[str]:
        found, more = [], dict(query)
        while True:
            page = (await operator.get("/voices", params=more)).json()
            found += [voice["name"] for voice in page["voices"]]
            if page["next_cursor"] is None:
                return found
            more = query | {"cursor": page["next_cursor"]}

    assert await names(limit="1") == ["a", "b", "c"]
    assert await names(limit="1", sort="-name") == ["c", "b", "a"]
    assert await names(limit="2", sort="-created_at") == ["c", "a", "b"]
    assert await names(limit="1", sort="language") == ["a", "b", "c"]
    assert await names(language="en-US") == ["b", "c"]
    sparse = await operator.get("/voices", params={"fields": "name,rate", "limit": "1"})
    assert sparse.json()["voices"] == [{"name": "a", "rate": 1.0}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=rate", "query.sort"),
        ("fields=name,colour", "query.fields"),
        ("fields=", "query.fields"),
        ("limit=201", "query.limit"),
        ("cursor=bm9uc2Vuc2U", "query.cursor"),
        ("cursor=%FF", "query.cursor"),
        ("cursor=WyIjIl0", "query.cursor"),
    ],
)
async def test_what_a_list_cannot_do_is_named(operator: AsyncClient, query: str, field: str) -> None:
    answer = await operator.get(f"/voices?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_cursor_is_for_the_order_that_it_was_made_in(operator: AsyncClient) -> None:
    for name in ("a", "b"):
        await operator.post("/voices", json={"name": name})
    cursor = (await operator.get("/voices?limit=1")).json()["next_cursor"]
    refused = await operator.get("/voices", params={"cursor": cursor, "sort": "-name"})
    assert refused.status_code == 422
    assert "sort=name" in refused.json()["detail"]


async def test_a_preview_sounds_as_a_caller_hears_it(operator: AsyncClient, speaker: FakeSynthesiser) -> None:
    await operator.post("/voices", json=VOICE)
    heard = await operator.get("/voices/friendly/preview", params={"text": "It costs $5."})
    assert heard.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(heard.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.getnframes() > 4000
    assert "dollars" in " ".join(speaker.phrases)
    assert {(voice.name, voice.rate) for voice in speaker.asked} == {("hum", 1.1)}

    assert (await operator.get("/voices/friendly/preview?engine=fake")).status_code == 200
    unknown = await operator.get("/voices/friendly/preview?engine=gramophone")
    assert unknown.json()["errors"][0]["field"] == "query.engine"
    assert (await operator.get("/voices/friendly/preview", params={"text": "x" * 301})).status_code == 422
    assert (await operator.get("/voices/nobody/preview")).status_code == 404


async def test_previews_are_few_at_once(operator: AsyncClient, speaker: FakeSynthesiser) -> None:
    await operator.post("/voices", json=VOICE)
    speaker.delay = 0.05
    answers = await asyncio.gather(*(operator.get("/voices/friendly/preview") for _ in range(5)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 429, 429, 429]
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)
    assert (await operator.get("/voices/friendly/preview")).status_code == 200


async def test_a_voice_that_fails_is_said_so(operator: AsyncClient, speaker: FakeSynthesiser) -> None:
    await operator.post("/voices", json=VOICE)
    speaker.fail_after = 0
    assert (await operator.get("/voices/friendly/preview")).status_code == 503


async def test_a_voice_that_no_engine_has_is_the_voices_fault(database: Database) -> None:
    class Choosy(FakeSynthesiser):
        async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
            if voice.name:
                raise RequestRefused(self.name, f"has no voice {voice.name!r}")
            async for chunk in super().speak(phrase, voice):
                yield chunk

    previewer = Previewer(FallbackSynthesiser([Choosy()], FallbackSettings()))
    async with api_client(database, Role.OPERATOR, ApiParts(previewer=previewer)) as client:
        await client.post("/voices", json=VOICE)
        for query in ("", "?engine=fake"):
            refused = await client.get(f"/voices/friendly/preview{query}")
            assert (refused.status_code, "retry-after" in refused.headers) == (409, False)
            assert "has no voice 'hum'" in refused.json()["detail"]


async def test_the_engines_own_voices(operator: AsyncClient, database: Database, tmp_path: Path) -> None:
    listed = (await operator.get("/voices/available")).json()
    assert listed == {
        "voices": [{"engine": "fake", "name": "hum", "language": "en-US", "gender": "neutral", "title": ""}],
        "silent": [],
    }
    async with api_client(database, Role.OPERATOR) as without_engines:
        assert (await without_engines.get("/voices/available")).status_code == 503
    assert (await operator.post("/voices", json={"name": "available"})).status_code == 422
