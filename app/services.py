"""The composition root: the long-lived parts of a process that answers calls, built once from Settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from app.after_calls import after_calls
from app.agents.directory import AgentDirectory
from app.agents.keeper import AgentKeeper
from app.agents.trying import TryingRoom
from app.api import ApiParts
from app.calls.control import TOPIC as LIVE_COMMANDS
from app.calls.control import CallControl
from app.calls.erasing.tables import is_known
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
from app.keys.first import keep_first_key
from app.observability.lag import watch_loop
from app.observability.observing import observe
from app.places import build_places
from app.recordings.service import RecordingPolicy, Recordings
from app.recordings.writer import RecordingWriter
from app.rest.limiting import RateLimits
from app.voice.ports import CallRecorder
from app.voice.prepared import prepared_phrases, voice_of
from app.voice.profile import AgentProfile
from app.voice.session import hints_of
from app.voices.preview import Previewer
from app.webhooks.guard import Guard
from config.erasure_key import erasure_key
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
    api: ApiParts = field(default_factory=ApiParts)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Start everything; stop it in the reverse order. The database and the engines start side by side.

    Raises ``EngineUnavailable``, ``DatabaseError``, ``AgentFileError``, ``StoredProfileError``,
    ``UnknownAgent``, ``WeakKey``, ``SpoolUnavailable``, ``TracingUnavailable``; each says what to do.
    """
    engines = build_engines(settings.engines, settings.models_dir)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        database = await _start(engines, settings, stack)
        listener = Listener(database)
        agents = await AgentDirectory.open(database, AGENTS, settings.calls.agent)
        kept = AgentKeeper(database, agents, partial(_prepare, engines), settings.calls.agent)
        kept.subscribe(listener)
        async with database.transaction() as session:
            await keep_first_key(session, settings.admin.api_key.get_secret_value())
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
        control = CallControl(database, live)
        listener.subscribe(LIVE_COMMANDS, control.obey, control.catch_up)
        writer = RecordingWriter(settings.recordings_dir, settings.recordings.queue_seconds)
        writer.start()
        carrier = _twilio_settings(settings, agents)
        recordings = _recordings(settings, writer, observed, carrier, database)
        desk = CallDesk(
            agents, settings.calls.agent, engines, observed, live, settings.calls.lead_seconds, recordings
        )
        twilio = TwilioCarrier(carrier, desk)
        api = _api_parts(settings, engines, agents)
        stack.push_async_callback(api.limits.close)
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
                async with after_calls(settings, database) as relay:
                    recorder.ended = relay.wake
                    yield Services(settings, database, engines, live, desk, recorder, twilio, api)
            finally:
                await asyncio.to_thread(writer.stop, _WRITE_SECONDS)
                await recorder.flush(_FLUSH_SECONDS)
                await presence.stop()
                for keeper in keepers:
                    keeper.cancel()


async def _prepare(engines: BuiltEngines, profile: AgentProfile) -> None:
    """Make ready what the calls of an agent need.

    Raises ``RequestRefused`` where no recogniser takes it, and what ``FallbackRecogniser.prepare`` does.
    """
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
    settings: Settings,
    writer: RecordingWriter,
    recorder: CallRecorder,
    twilio: TwilioSettings,
    database: Database,
) -> Recordings:
    return Recordings(
        RecordingPolicy(settings.recordings.enabled, settings.recordings.by),
        settings.recordings_dir,
        writer,
        recorder,
        partial(is_known, database),
        {"twilio": TwilioRecordings(twilio.credentials, twilio.origin, twilio.api_url)},
    )


def _api_parts(settings: Settings, engines: BuiltEngines, agents: AgentDirectory) -> ApiParts:
    """What the admin API has of this process."""
    rest, broker = settings.rest, settings.broker_url.get_secret_value()
    redis_url = broker if broker.startswith(("redis://", "rediss://")) else ""
    return ApiParts(
        limits=RateLimits(rest.key_requests_per_minute, rest.other_requests_per_minute, redis_url),
        body_bytes=rest.body_bytes,
        previewer=Previewer(engines.voices, rest.previews),
        trying=TryingRoom(engines.language_model, rest.tries, rest.try_seconds),
        usual_agent=settings.calls.agent,
        has_agent=agents.has,
        takes=lambda profile: engines.recogniser.load(hints_of(profile)),
        recordings=build_places(settings),
        guard=Guard(settings.webhooks.allow),
        erasure_key=erasure_key(settings),
    )


def _twilio_settings(settings: Settings, agents: AgentDirectory) -> TwilioSettings:
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
        busy_sentence=lambda: agents.get(settings.calls.agent).profile.says.busy,
        limits=SocketLimits(
            limits.messages_per_second, limits.start_seconds, limits.idle_seconds, limits.send_seconds
        ),
        api_url=twilio.api_url,
    )
