"""A ringing leg becomes a conversation and a stored call: the application as carriers see it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

import structlog
from structlog.contextvars import bound_contextvars

from app.agents.directory import CLOSED_SENTENCE, AgentDirectory, Answer
from app.calls.live import LiveCalls
from app.engines.build import Engines
from app.metrics import CALLS_REFUSED
from app.recordings.service import Recordings
from app.voice.events import CallNoted, CallRefused
from app.voice.ports import CallRecorder
from app.voice.session import CallSession
from app.voice.terms import Closing
from telephony.errors import HangupCause
from telephony.ports import CallLeg, LegInfo

log = structlog.get_logger(__name__)

T = TypeVar("T")

_RECENT = 10_000  # ended calls that a carrier may still report about
_LAST_WORDS_SECONDS = 15.0


class CallDesk:
    """Answers calls with their number's agent, or ``agent``. Implements ``telephony.ports.CallHandler``."""

    def __init__(
        self,
        agents: AgentDirectory,
        agent: str,
        engines: Engines,
        recorder: CallRecorder,
        live: LiveCalls,
        lead_seconds: float,
        recordings: Recordings | None = None,
    ) -> None:
        self._agents = agents
        self._agent = agent
        self._engines = engines
        self._recorder = recorder
        self._live = live
        self._lead_seconds = lead_seconds
        self._recordings = recordings
        self._recent: OrderedDict[str, UUID] = OrderedDict()
        self._onward: OrderedDict[str, str] = OrderedDict()

    def reserve(self, carrier_call_id: str) -> bool:
        """See ``CallHandler.reserve``."""
        admitted = self._live.reserve(carrier_call_id)
        if not admitted:
            reason = "draining" if self._live.draining else "full"
            CALLS_REFUSED.labels(reason).inc()
            self._recorder.record(CallRefused(uuid4(), datetime.now(UTC), carrier_call_id, reason))
        return admitted

    async def handle(self, leg: CallLeg) -> None:
        """See ``CallHandler.handle``. A fault of ours ends this call alone."""
        answer = self._answer(leg.info)
        active, closed = answer.agent, answer.terms.closing is not None
        call_id = uuid4()
        tape = None
        if self._recordings and not closed:
            tape = self._recordings.tape(call_id, leg, active.profile.recording)
        session = CallSession(
            call_id,
            active.profile,
            active.version,
            tape or leg,
            self._engines,
            self._recorder,
            self._lead_seconds,
            tape,
            answer.terms,
        )
        carrier_call_id = leg.info.carrier_call_id
        if answer.transfer_to:
            _keep(self._onward, carrier_call_id, answer.transfer_to)
        self._live.begin(carrier_call_id, call_id, session)
        cause = HangupCause.SERVER_ERROR
        with bound_contextvars(call_id=str(call_id)):
            log.info("call answered", agent=active.profile.name, carrier=leg.info.carrier)
            try:
                cause = await session.run()
            except Exception:  # the edge of the call
                log.exception("call failed")
            finally:
                self._live.finish(carrier_call_id, call_id)
                self._remember(carrier_call_id, call_id)
                log.info("call ended", cause=str(cause))

    def onward(self, carrier_call_id: str) -> str:
        """See ``CallHandler.onward``."""
        number = self._onward.pop(carrier_call_id, "")
        if number:
            self.note(carrier_call_id, "transferred", {})
        return number

    def note(self, carrier_call_id: str, name: str, detail: Mapping[str, str | int | float | bool]) -> None:
        """See ``CallHandler.note``."""
        call_id = self._live.call_id(carrier_call_id) or self._recent.get(carrier_call_id)
        if call_id is not None:
            self._recorder.record(CallNoted(call_id, datetime.now(UTC), name, dict(detail)))

    async def drain(self, seconds: float) -> None:
        """Take no more calls; let the running ones finish, for ``seconds``, then say goodbye to the rest."""
        self._live.draining = True
        log.info("draining", calls=len(self._live), seconds=seconds)
        if await self._live.wait_empty(seconds):
            return
        farewell = self._agents.get(self._agent).profile.says.shutdown
        for session in self._live.sessions():
            session.end(farewell, HangupCause.SERVER_SHUTDOWN)
        if not await self._live.wait_empty(_LAST_WORDS_SECONDS):
            log.warning("calls cut off at shutdown", calls=len(self._live))
            for session in self._live.sessions():
                session.cut(HangupCause.SERVER_SHUTDOWN)
            await self._live.wait_empty(2.0)

    def _answer(self, info: LegInfo) -> Answer:
        """Who answers: the agent of our number, or of our settings where nobody knows it."""
        if info.direction == "outbound":
            return self._agents.answer(info.from_number, self._agent, None)
        answer = self._agents.answer(info.to_number, self._agent, datetime.now(UTC))
        if answer.transfer_to and info.carrier_call_id in self._recent:
            # Put through once already, and nobody was there.
            terms = replace(answer.terms, closing=Closing(CLOSED_SENTENCE))
            return Answer(answer.agent, terms)
        return answer

    def _remember(self, carrier_call_id: str, call_id: UUID) -> None:
        _keep(self._recent, carrier_call_id, call_id)


def _keep(recent: OrderedDict[str, T], carrier_call_id: str, value: T) -> None:
    recent[carrier_call_id] = value
    if len(recent) > _RECENT:
        recent.popitem(last=False)
