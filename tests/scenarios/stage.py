"""One call of a scenario, from its first frame to its record: the real desk and session, the told engines."""

from __future__ import annotations

import asyncio

from app.agents.directory import ActiveAgent, AgentDirectory
from app.calls.handler import CallDesk
from app.calls.live import LiveCalls
from app.engines.build import Engines
from app.engines.ports import VoiceActivityDetector
from app.voice.events import CallRecord
from app.voice.ports import CallRecorder
from app.voice.session import CallSession
from app.voice.turn import State
from telephony.media.frame import FRAME_SECONDS
from telephony.ports import CallLeg
from telephony.simulator.phone import Phone
from tests.scenarios.caller import Caller
from tests.scenarios.engines import (
    SharedEar,
    ToldLanguageModel,
    ToldRecogniserEngine,
    ToldSynthesiser,
    WatchedDetector,
)
from tests.scenarios.faults import ErrorLog
from tests.scenarios.scenario import Place, Scenario
from tests.scenarios.took import StateChange, Took, sayings

LEAD_SECONDS = 0.3
_LATE = 0.3  # seconds after a deadline in which a busy machine may still get to it


class Stage:
    """Holds a scenario's call on whatever leg and phone it is given."""

    def __init__(
        self,
        scenario: Scenario,
        place: Place,
        detector: VoiceActivityDetector,
        recorder: CallRecorder | None = None,
    ) -> None:
        """``recorder``: who is to store the call as well."""
        self.scenario = scenario
        self.faults: list[str] = []
        self.over = asyncio.Event()  # the conversation has ended and is recorded
        self._place = place
        self._recorder = recorder
        self._phone: Phone | None = None
        self._caller: Caller | None = None
        self._ear = SharedEar(self.now)
        self._detector = WatchedDetector(detector)
        self._model = ToldLanguageModel(scenario.model, self.now)
        self._engines = Engines(
            self._detector,
            ToldRecogniserEngine(scenario.recogniser, self._ear),
            self._model,
            ToldSynthesiser(scenario.voice),
        )
        self._records: list[tuple[float, CallRecord]] = []
        self._states: list[StateChange] = []

    def now(self) -> float:
        """Seconds on the call's line."""
        return self._phone.now if self._phone is not None else 0.0

    def record(self, event: CallRecord) -> None:
        """See ``CallRecorder.record``."""
        self._records.append((self.now(), event))
        if self._recorder is not None:
            self._recorder.record(event)

    async def call(self, phone: Phone) -> None:
        """What the caller does; a ``CallerFn``."""
        self._phone = phone
        self._caller = Caller(self.scenario, phone, self._ear)
        await self._caller.run()

    async def answer(self, leg: CallLeg) -> None:
        """Hold the conversation with the scenario's agent."""
        profile = self.scenario.profile
        live = LiveCalls(1, asyncio.get_running_loop().time)
        agents = AgentDirectory({profile.name: ActiveAgent(profile, 1)})
        desk = CallDesk(agents, profile.name, self._engines, self, live, LEAD_SECONDS)
        watching = asyncio.create_task(self._watch(live))
        try:
            await desk.handle(leg)
        finally:
            watching.cancel()
            self.over.set()

    def took(self, hung_up_by: str, duration: float, errors: ErrorLog) -> Took:
        """The finished call."""
        phone, caller = self._phone, self._caller
        if phone is None or caller is None:
            raise RuntimeError(f"{self.scenario.name}: the call was never answered")
        call_id = self._records[0][1].call_id if self._records else None
        return Took(
            scenario=self.scenario,
            place=self._place,
            caller=phone.said(duration),
            agent=phone.playout.samples(duration),
            done=sorted(caller.done, key=lambda done: done.begin),
            sayings=sayings(phone, duration),
            marks=phone.marks,
            clears=phone.clears,
            gaps=phone.playout.gaps,
            states=self._states,
            windows=self._detector.windows,
            records=self._records,
            requests=self._model.requests,
            hung_up_by=hung_up_by,
            duration=duration,
            faults=[
                *self.faults,
                *caller.faults,
                *(violation.reason for violation in phone.violations),
                *errors.of_call(str(call_id)),
            ],
        )

    async def _watch(self, live: LiveCalls) -> None:
        """Look at the turn machine once a frame: where it is, and that no deadline is missed."""
        loop = asyncio.get_running_loop()
        while True:
            for session in live.sessions():
                self._look(session, loop.time())
            await asyncio.sleep(FRAME_SECONDS)

    def _look(self, session: CallSession, now: float) -> None:
        state, deadline = session.state, session.deadline
        if not self._states or self._states[-1].state != state:
            self._states.append(StateChange(self.now(), str(state)))
        if state is State.CLOSED:
            return
        if deadline is None:
            self.faults.append(f"at {self.now():.2f} s {state} had no deadline")
        elif now > deadline + _LATE:
            self.faults.append(f"at {self.now():.2f} s {state} was kept beyond its deadline")
