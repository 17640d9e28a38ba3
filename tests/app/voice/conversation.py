"""A whole conversation in virtual time: a fake leg and detector, the timed engines, the real session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from uuid import uuid4

from app.engines.build import Engines
from app.engines.errors import EngineError
from app.engines.llm.timed import TimedLanguageModel
from app.engines.ports import Delta, ReplyRequest, SpeechChunk, VoiceSpec
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from app.voice.profile import AgentProfile
from app.voice.session import CallSession
from config.engines import TimedSettings
from telephony.errors import HangupCause
from telephony.media.frame import silence
from tests.fakes.clock import run_virtual
from tests.fakes.detector import FakeDetector
from tests.fakes.leg import FakeLeg
from tests.fakes.recorder import FakeRecorder
from tests.fakes.turn_detector import FakeTurnDetector

TIMED = TimedSettings()
HEARD = TIMED.transcript
Caller = Callable[[FakeLeg], Awaitable[None]]


def profile(**changes: Any) -> AgentProfile:
    turns = {
        "endpointing": {"usual_seconds": 0.3},
        "overlap": {"confirm_seconds": 0.2},
        **changes.pop("turns", {}),
    }
    return AgentProfile.model_validate({"name": "test", "turns": turns, **changes})


class Model:
    """A language model that says what it is told to, at once."""

    name = "fixed"

    def __init__(self, *replies: list[Delta | Exception]) -> None:
        self.replies = list(replies)
        self.requests: list[ReplyRequest] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        for delta in self.replies.pop(0):
            if isinstance(delta, Exception):
                raise delta
            yield delta


class BrokenVoice(TimedSynthesiser):
    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        raise EngineError("voice", "is broken")
        yield SpeechChunk(silence(0))  # type: ignore[unreachable]


def call(
    caller: Caller,
    agent: AgentProfile | None = None,
    model: Any = None,
    voice: Any = None,
    recogniser: Any = None,
    turn: FakeTurnDetector | None = None,
    sessions: list[CallSession] | None = None,
    lost_marks: bool = False,
) -> tuple[FakeLeg, FakeRecorder]:
    """One call, from its first frame to its record."""

    async def run() -> tuple[FakeLeg, FakeRecorder]:
        leg, recorder = FakeLeg(lost_marks=lost_marks), FakeRecorder()
        engines = Engines(
            FakeDetector(),
            recogniser or TimedRecogniser(TIMED),
            model or TimedLanguageModel(TIMED),
            voice or TimedSynthesiser(TIMED),
            turn,
        )
        session = CallSession(uuid4(), agent or profile(), 1, leg, engines, recorder, 0.3)
        if sessions is not None:
            sessions.append(session)
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            conversation = tasks.create_task(session.run())
            await asyncio.sleep(0)
            await caller(leg)
            leg.hang_up(HangupCause.CALLER)
            await conversation
        return leg, recorder

    return run_virtual(run())


async def until(leg: FakeLeg, condition: Callable[[], bool]) -> None:
    """Stay on the line, silent, until something happens."""
    while not condition() and not leg.over:
        await leg.hear(0.02)


async def hear_reply(leg: FakeLeg) -> None:
    await until(leg, leg.agent_talks)
    await until(leg, lambda: not leg.agent_talks())
    await leg.hear(0.1)
