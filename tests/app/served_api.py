"""The admin API over real HTTP, in a thread of its own, with fakes of the engines and some things stored."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from app.agents.schemas import NewProfile
from app.agents.service import create as create_agent
from app.agents.trying import TryingRoom
from app.api import PATH, ApiParts, create_api
from app.audit.change import Change
from app.audit.service import OURSELVES
from app.auth.service import Role, create_key
from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.numbers.schemas import NewNumber
from app.numbers.service import create as create_number
from app.prompts.schemas import NewPrompt
from app.prompts.service import activate
from app.prompts.service import create as create_prompt
from app.recordings.ports import Places
from app.recordings.stores import LocalFolder
from app.rest.limiting import RateLimits
from app.voice.profile import AgentProfile
from app.voices.preview import Previewer
from app.voices.schemas import NewVoice
from app.voices.service import create as create_voice
from config.engines import FallbackSettings
from tests.app.calls.events import whole_call
from tests.fakes.language_model import FakeLanguageModel
from tests.fakes.synthesiser import FakeSynthesiser

AGENT, PROMPT, VOICE, NUMBER = "parcel", "welcome", "friendly", "+15551230000"


@dataclass(slots=True)
class ServedApi:
    """Where it is, a key of each role, and ids of what is stored, by the name of the path's parameter."""

    app: FastAPI
    origin: str = ""
    keys: dict[Role, str] = field(default_factory=dict)
    known: dict[str, list[object]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.origin}{PATH}"


@contextmanager
def served_api(database_url: str, folder: Path) -> Iterator[ServedApi]:
    """The API over this database, and recordings in a folder, until the block ends."""
    loop = asyncio.new_event_loop()
    database = Database(database_url)
    api = create_api(database, fake_parts(folder))
    served = ServedApi(api)
    web = FastAPI(openapi_url=None)
    web.mount(PATH, api)
    server = uvicorn.Server(uvicorn.Config(web, lifespan="off", log_config=None, access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        served.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started, ready = threading.Event(), list[bool]()
        thread = threading.Thread(target=lambda: loop.run_until_complete(work()))

        async def work() -> None:
            try:
                await database.start()
                await _fill(database, served)
                listener.listen()
                ready.append(True)
                started.set()
                await server.serve(sockets=[listener])
            finally:
                started.set()
                await database.close()

        thread.start()
        try:
            assert started.wait(30)
            assert ready, "the server did not start: see its thread's error"
            yield served
        finally:
            server.should_exit = True
            thread.join(30)
            loop.close()


def fake_parts(folder: Path) -> ApiParts:
    """Parts that work at once, and limits that nobody reaches."""
    return ApiParts(
        limits=RateLimits(1_000_000, 1_000_000),
        previewer=Previewer(FallbackSynthesiser([FakeSynthesiser()], FallbackSettings()), at_once=16),
        trying=TryingRoom(FallbackLanguageModel([FakeLanguageModel()], FallbackSettings()), at_once=64),
        usual_agent=AGENT,
        recordings=Places(folder, LocalFolder(folder)),
    )


async def _fill(database: Database, served: ServedApi) -> None:
    presence = Presence(database)
    await presence.start()
    call = whole_call(2)
    async with database.transaction() as session:
        spare = await create_key(session, Role.VIEWER, "spare")
        # far from what a test may guess and revoke
        await session.execute(text("ALTER SEQUENCE api_keys_id_seq RESTART 1900000000"))
        for role in Role:
            served.keys[role] = (await create_key(session, role, f"a {role}")).secret
        ours = Change(session, OURSELVES)
        await create_voice(ours, NewVoice(name=VOICE, names={"fake": "hum"}))
        await create_prompt(ours, NewPrompt(name=PROMPT, content="You answer."))
        await activate(ours, PROMPT, 1)
        profile = AgentProfile(name=AGENT, prompt=PROMPT)
        await create_agent(ours, NewProfile(profile=profile))
        await create_number(ours, NewNumber(number=NUMBER, agent=AGENT))
        events = [Entry(number, event) for number, event in enumerate(call)]
        await write_entries(session, events, presence.id)
    served.known = {
        "name": [AGENT, PROMPT, VOICE],
        "number": [NUMBER],
        "key_id": [spare.id],
        "call_id": [str(call[0].call_id)],
        "version": [1, 2],
    }
