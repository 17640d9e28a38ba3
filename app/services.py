"""The composition root: the long-lived parts of a process that answers calls, built once from Settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.agents.service import AgentDirectory
from app.auth.service import ensure_first_key
from app.calls.handler import CallDesk
from app.calls.live import LiveCalls
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.db.session import Database
from app.db.start import open_database
from app.engines.build import BuiltEngines, build_engines
from app.voice.prepared import prepared_phrases, voice_of
from app.voice.session import hints_of
from config.settings import AGENTS, Settings
from telephony.carriers.twilio.leg import SocketLimits
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.carriers.twilio.webhooks import TwilioCarrier, TwilioSettings

_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes and the command line work with."""

    settings: Settings
    database: Database
    engines: BuiltEngines
    live: LiveCalls
    desk: CallDesk
    twilio: TwilioCarrier


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Start everything; stop it in the reverse order. The database and the engines start side by side.

    Raises ``EngineUnavailable``, ``DatabaseError``, ``AgentFileError``; each says what to do.
    """
    engines = build_engines(settings.engines, settings.models_dir)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        database = await _start(engines, settings, stack)
        agents = await AgentDirectory.open(database, AGENTS)
        async with database.transaction() as session:
            await ensure_first_key(session, settings.admin.api_key.get_secret_value())
        profile = agents.get(settings.calls.agent).profile
        await engines.recogniser.prepare(hints_of(profile))
        await engines.synthesiser.prepare(prepared_phrases(profile), voice_of(profile), engines.voices.whole)
        presence = Presence(database)
        await presence.start()
        recorder = Recorder(database, presence.id)
        live = LiveCalls(settings.limits.max_calls, loop.time)
        desk = CallDesk(agents, settings.calls.agent, engines, recorder, live, settings.calls.lead_seconds)
        twilio = TwilioCarrier(_twilio_settings(settings, profile.says.busy), desk)
        async with asyncio.TaskGroup() as tasks:
            watching = (engines.synthesiser.watch(), *(listed.watch() for listed in engines.lists))
            keepers = [tasks.create_task(keeping) for keeping in (recorder.run(), presence.run(), *watching)]
            try:
                yield Services(settings, database, engines, live, desk, twilio)
            finally:
                await recorder.flush(_FLUSH_SECONDS)
                await presence.stop()
                for keeper in keepers:
                    keeper.cancel()


async def _start(engines: BuiltEngines, settings: Settings, stack: AsyncExitStack) -> Database:
    """Start engines and database; ``stack`` closes them."""
    async with asyncio.TaskGroup() as starting:
        for engine in engines.all():
            stack.push_async_callback(engine.close)
            starting.create_task(engine.start())
        url = settings.database_url.get_secret_value()
        return await stack.enter_async_context(open_database(url, settings.data_dir))


def _twilio_settings(settings: Settings, busy_sentence: str) -> TwilioSettings:
    twilio, limits = settings.twilio, settings.limits
    return TwilioSettings(
        credentials=TwilioCredentials(
            twilio.account_sid,
            twilio.auth_token.get_secret_value(),
            {key: secret.get_secret_value() for key, secret in twilio.shared_keys.items()},
        ),
        origin=settings.origin,
        token_seconds=settings.calls.token_seconds,
        fallback_number=settings.calls.fallback_number,
        busy_sentence=busy_sentence,
        limits=SocketLimits(
            limits.messages_per_second, limits.start_seconds, limits.idle_seconds, limits.send_seconds
        ),
        api_url=twilio.api_url,
    )
