"""The composition root: the long-lived parts of a process that answers calls, built once from Settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from app.agents.directory import AgentDirectory
from app.agents.keeper import AgentKeeper
from app.auth.service import ensure_first_key
from app.calls.control import TOPIC as LIVE_COMMANDS
from app.calls.control import CallControl
from app.calls.handler import CallDesk
from app.calls.live import LiveCalls
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.spool.folder import SPOOL
from app.calls.spool.replay import SpoolReplay
from app.calls.spool.spool import Spool
from app.db.notify import Listener
from app.db.partitions import keep_partitions
from app.db.session import Database
from app.db.start import open_database
from app.engines.build import BuiltEngines, build_engines
from app.observability.lag import watch_loop
from app.observability.observing import observe
from app.recordings.ports import Store
from app.recordings.service import RecordingPolicy, Recordings
from app.recordings.writer import RecordingWriter
from app.tasks.stores import build_store
from app.voice.ports import CallRecorder
from app.voice.prepared import prepared_phrases, voice_of
from app.voice.profile import AgentProfile
from app.voice.session import hints_of
from config.settings import AGENTS, Settings
from telephony.carriers.twilio.leg import SocketLimits
from telephony.carriers.twilio.recordings import TwilioRecordings
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.carriers.twilio.webhooks import TwilioCarrier, TwilioSettings

_FLUSH_SECONDS = 5.0
_WRITE_SECONDS = 10.0  # for what waits of recordings at shutdown


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes and the command line work with."""

    settings: Settings
    database: Database
    engines: BuiltEngines
    live: LiveCalls
    desk: CallDesk
    recorder: Recorder
    twilio: TwilioCarrier
    recordings: Store | None = None


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Start everything; stop it in the reverse order. The database and the engines start side by side.

    Raises ``EngineUnavailable``, ``DatabaseError``, ``AgentFileError``, ``SpoolUnavailable``; each says what
    to do.
    """
    engines = build_engines(settings.engines, settings.models_dir)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        database = await _start(engines, settings, stack)
        listener = Listener(database)
        agents = await AgentDirectory.open(database, AGENTS)
        kept = AgentKeeper(database, agents, partial(_prepare, engines), settings.calls.agent)
        kept.subscribe(listener)
        async with database.transaction() as session:
            await ensure_first_key(session, settings.admin.api_key.get_secret_value())
        profile = agents.get(settings.calls.agent).profile
        await kept.prepare_all()
        presence = Presence(database)
        replay = SpoolReplay(database, settings.data_dir / SPOOL)
        await replay.once()  # before calls of processes that are gone are closed: these have their true ends
        await presence.start()
        spool = await stack.enter_async_context(Spool(settings.data_dir / SPOOL, presence.id))
        recorder = Recorder(database, presence.id, spool)
        observed = await stack.enter_async_context(
            observe(settings.observability, settings.latency_dir, recorder, _first_engines(engines))
        )
        live = LiveCalls(settings.limits.max_calls, loop.time)
        listener.subscribe(LIVE_COMMANDS, CallControl(database, live).obey)
        writer = RecordingWriter(settings.recordings_dir, settings.recordings.queue_seconds)
        writer.start()
        carrier = _twilio_settings(settings, profile.says.busy)
        recordings = _recordings(settings, writer, observed, carrier)
        desk = CallDesk(
            agents, settings.calls.agent, engines, observed, live, settings.calls.lead_seconds, recordings
        )
        twilio = TwilioCarrier(carrier, desk)
        async with asyncio.TaskGroup() as tasks:
            watching = (engines.synthesiser.watch(), *(listed.watch() for listed in engines.lists))
            hearing = (listener.run(), kept.run(), keep_partitions(database))
            keeping = (
                recorder.run(),
                replay.run(),
                presence.run(),
                recordings.complete_left(),
                watch_loop(),
                *hearing,
                *watching,
            )
            keepers = [tasks.create_task(work) for work in keeping]
            try:
                yield Services(
                    settings, database, engines, live, desk, recorder, twilio, build_store(settings)
                )
            finally:
                await asyncio.to_thread(writer.stop, _WRITE_SECONDS)
                await recorder.flush(_FLUSH_SECONDS)
                await presence.stop()
                for keeper in keepers:
                    keeper.cancel()


async def _prepare(engines: BuiltEngines, profile: AgentProfile) -> None:
    """Make ready what the calls of an agent need. Raises ``RequestRefused``."""
    await engines.recogniser.prepare(hints_of(profile))
    await engines.synthesiser.prepare(prepared_phrases(profile), voice_of(profile), engines.voices.whole)


def _first_engines(engines: BuiltEngines) -> dict[str, str]:
    """By port, the engine that a call begins with."""
    return {
        "stt": engines.recogniser.name,
        "llm": engines.language_model.name,
        "tts": engines.voices.name,
    }


async def _start(engines: BuiltEngines, settings: Settings, stack: AsyncExitStack) -> Database:
    """Start engines and database; ``stack`` closes them."""
    async with asyncio.TaskGroup() as starting:
        for engine in engines.all():
            stack.push_async_callback(engine.close)
            starting.create_task(engine.start())
        url = settings.database_url.get_secret_value()
        return await stack.enter_async_context(open_database(url, settings.data_dir))


def _recordings(
    settings: Settings, writer: RecordingWriter, recorder: CallRecorder, twilio: TwilioSettings
) -> Recordings:
    return Recordings(
        RecordingPolicy(settings.recordings.enabled, settings.recordings.by),
        settings.recordings_dir,
        writer,
        recorder,
        {"twilio": TwilioRecordings(twilio.credentials, twilio.origin, twilio.api_url)},
    )


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
