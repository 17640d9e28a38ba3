"""Scenarios over the wire: the web application on loopback, a carrier that calls it, Silero, PostgreSQL."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import uvicorn
import uvloop

from app.agents.directory import AgentDirectory
from app.calls.handler import CallDesk
from app.calls.live import LiveCalls
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.service import get_call
from app.db.session import Database
from app.engines.build import build_engines
from app.engines.ports import VoiceActivityDetector
from app.main import create_app
from app.services import Services
from config.settings import Settings
from telephony.carriers.twilio.leg import SocketLimits
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.carriers.twilio.webhooks import TwilioCarrier, TwilioSettings
from telephony.media.frame import FRAME_SECONDS
from telephony.ports import CallLeg
from telephony.simulator.carrier import Carrier
from tests.scenarios.booking import every_agent_books
from tests.scenarios.faults import ErrorLog, watched_log
from tests.scenarios.scenario import Scenario
from tests.scenarios.stage import LEAD_SECONDS, Stage
from tests.scenarios.took import Took

AT_ONCE = 18
"""Calls held at the same time."""

STILL_SECONDS = 0.05
TIMES = 4
"""A call during which the machine stood still for longer is held again, so many times in all."""

ACCOUNT, TOKEN = "AC" + "5" * 32, "scenarios"
LONGEST = 90.0
_FLUSH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HeldCalls:
    """What came of each scenario's call, by name: an exception where it could not be held."""

    calls: Mapping[str, Took | Exception]
    again: Sequence[str]
    """The scenarios whose call was held again because the machine stood still in it, once for each time."""


def hold_all(scenarios: Sequence[Scenario], database_url: str) -> HeldCalls:
    """All calls, ``AT_ONCE`` at a time."""
    with (
        every_agent_books(),
        watched_log() as errors,
        _tests_left_alone(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_hold_all(scenarios, database_url, errors))


@contextmanager
def _tests_left_alone() -> Iterator[None]:
    """The collector looks only at what the calls make: all that a test run has kept takes it a quarter of a
    second, in which no call goes on. The server does the same (``app.main``)."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _hold_all(scenarios: Sequence[Scenario], database_url: str, errors: ErrorLog) -> HeldCalls:
    places = asyncio.Semaphore(AT_ONCE)
    stillness, again = _Stillness(), list[str]()

    async def hold(exchange: _Exchange, scenario: Scenario) -> Took | Exception:
        async with places:
            for times_left in reversed(range(TIMES)):
                begin = time.monotonic()
                try:
                    took: Took | Exception = await exchange.hold(scenario)
                except Exception as error:  # noqa: BLE001 - one call's failure is that test's
                    took = error
                if not times_left or not stillness.since(begin):
                    break
                again.append(scenario.name)
            return took

    async with _exchange(database_url, errors) as exchange:
        watching = asyncio.create_task(stillness.watch())
        results = await asyncio.gather(*(hold(exchange, scenario) for scenario in scenarios))
        watching.cancel()
    return HeldCalls({scenario.name: took for scenario, took in zip(scenarios, results, strict=True)}, again)


class _Stillness:
    """When the machine let this process stand still: a call that it fell into says nothing about times.

    The loop was late although its thread did nothing meanwhile. Where the thread was busy, the application
    is at fault, and that counts.
    """

    def __init__(self) -> None:
        self._last = 0.0

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            begin, worked = time.monotonic(), time.thread_time()
            await asyncio.sleep(FRAME_SECONDS)
            late = time.monotonic() - begin - FRAME_SECONDS
            if late - (time.thread_time() - worked) > STILL_SECONDS:
                self._last = time.monotonic()

    def since(self, begin: float) -> bool:
        """Whether it stood still at or after ``begin``."""
        return self._last >= begin


class _StageDesk:
    """A ``CallHandler`` that answers each calling number with the stage that waits for it."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}

    def reserve(self, carrier_call_id: str) -> bool:
        return True

    def onward(self, carrier_call_id: str) -> str:
        return ""

    async def handle(self, leg: CallLeg) -> None:
        await self.stages[leg.info.from_number].answer(leg)

    def note(self, carrier_call_id: str, name: str, detail: Mapping[str, str | int | float | bool]) -> None:
        """The simulated carrier asks for no callbacks."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The served application and the carrier that calls it."""

    carrier: Carrier
    desk: _StageDesk
    database: Database
    recorder: Recorder
    detector: VoiceActivityDetector
    errors: ErrorLog

    async def hold(self, scenario: Scenario) -> Took:
        """One call; its turns must be in the database afterwards as they were reported."""
        stage = Stage(scenario, "wire", self.detector, self.recorder)
        number = f"+1555{3_000_000 + len(self.desk.stages)}"
        self.desk.stages[number] = stage
        heard = await self.carrier.place_call(
            stage.call, from_number=number, conditions=scenario.line, max_seconds=LONGEST
        )
        await stage.over.wait()
        await self.recorder.flush(_FLUSH_SECONDS)
        took = stage.took(heard.hung_up_by, heard.duration, self.errors)
        return replace(took, faults=[*took.faults, *await self._unlike(took)])

    async def _unlike(self, took: Took) -> list[str]:
        """How what is in the database differs from what was reported."""
        async with self.database.transaction() as session:
            stored = await get_call(session, took.call_id)
        reported = [(turn.caller_text, turn.reply_text, turn.heard_text) for turn in took.turns]
        if stored is None:
            return ["the call is not in the database"]
        if [(turn.caller_text, turn.reply_text, turn.heard_text) for turn in stored.turns] != reported:
            return [f"the database holds other turns: {stored.turns}"]
        return []


@asynccontextmanager
async def _exchange(database_url: str, errors: ErrorLog) -> AsyncIterator[_Exchange]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(profile="bench")
    engines = build_engines(settings.engines, settings.models_dir)
    database, desk = Database(database_url), _StageDesk()
    await engines.detector.start()
    presence = Presence(database)
    await presence.start()
    recorder = Recorder(database, presence.id)
    live = LiveCalls(AT_ONCE, asyncio.get_running_loop().time)
    services = Services(
        settings,
        database,
        engines,
        live,
        CallDesk(AgentDirectory({}), "", engines, recorder, live, LEAD_SECONDS),
        recorder,
        TwilioCarrier(_twilio(origin), desk),
    )
    server = _Server(uvicorn.Config(create_app(services), ws="websockets-sansio", log_config=None))
    async with asyncio.TaskGroup() as tasks:
        storing = tasks.create_task(recorder.run())
        serving = tasks.create_task(server.serve(sockets=[listener]))
        async with Carrier(f"{origin}/voice/twilio/incoming", ACCOUNT, TOKEN) as carrier:
            yield _Exchange(carrier, desk, database, recorder, engines.detector, errors)
        server.should_exit = True
        await serving
        storing.cancel()
    await presence.stop()
    await engines.detector.close()
    await database.close()


def _twilio(origin: str) -> TwilioSettings:
    return TwilioSettings(
        credentials=TwilioCredentials(ACCOUNT, TOKEN, {}),
        origin=origin,
        token_seconds=60.0,
        fallback_number="",
        busy_sentence=str,
        limits=SocketLimits(messages_per_second=500, start_seconds=10.0, idle_seconds=30.0, send_seconds=5.0),
    )


class _Server(uvicorn.Server):
    """Leaves the test's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
