"""One call: joins leg, listener, turn machine and replies, and owns nothing else.

Invariant: one input, then all its commands, then the next input. Inputs come from the leg, the engines
and the one timer, all on the event loop; commands never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from uuid import UUID

import structlog

from app.engines.build import Engines
from app.engines.ports import RecognitionHints, VoiceSpec
from app.metrics import WATCHDOG_FIRINGS
from app.voice.latency import Timeline
from app.voice.listener import Listener
from app.voice.log import CallLog
from app.voice.playout import Playout
from app.voice.ports import AfterReply, CallRecorder
from app.voice.profile import AgentProfile
from app.voice.reply import Reply, Speaker
from app.voice.tools import tools_of
from app.voice.transcript import Transcript, Turn
from app.voice.turn import Command, Input, State, TurnMachine
from telephony.errors import HangupCause
from telephony.events import AudioReceived, DtmfReceived, HungUp, LegEvent, MachineDetected, MarkPlayed
from telephony.ports import CallLeg

log = structlog.get_logger(__name__)

_CLOSE_SECONDS = 2.0
_MAX_APOLOGIES = 2


def hints_of(profile: AgentProfile) -> RecognitionHints:
    """What callers of this agent are likely to say."""
    script = (phrase for intent in profile.script.intents.values() for phrase in intent.phrases)
    return RecognitionHints(profile.language, (*script, *profile.phrases))


class CallSession:
    """The conversation on one leg."""

    def __init__(
        self,
        call_id: UUID,
        profile: AgentProfile,
        profile_version: int,
        leg: CallLeg,
        engines: Engines,
        recorder: CallRecorder,
        lead_seconds: float,
    ) -> None:
        self._profile = profile
        self._profile_version = profile_version
        self._leg = leg
        self._log = CallLog(call_id, recorder)
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._turn = TurnMachine(profile.turns)
        self._transcript = Transcript(profile.instructions)
        hints = hints_of(profile)
        self._listener = Listener(
            engines.detector, engines.recogniser, hints, profile.turns, self._clock, self._input
        )
        self._speaker = self._make_speaker(engines, lead_seconds)
        self._inputs: deque[tuple[Input, float | None]] = deque()
        self._applying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._replies = 0
        self._round_trip: float | None = None
        self._caller_began: float | None = None
        self._reprompts = 0
        self._apologies = 0  # since a reply was last heard to its end
        self._farewell = ""
        self._cause = HangupCause.AGENT
        self._ended: HangupCause | None = None

    async def run(self) -> HangupCause:
        """Hold the conversation until the leg is over; returns why it ended. All of it is recorded then."""
        started = self._clock()
        self._log.started(self._leg.info, self._profile.name, self._profile_version)
        longest = self._loop.call_later(self._profile.turns.max_call_seconds, self._max_duration)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._turn.start(started)
                self._arm()
                if self._profile.says.greeting:
                    self._prompt(self._profile.says.greeting)
                    self._input(Input.PROMPT)
                await self._leg.run(self._on_leg_event)
        finally:
            longest.cancel()
            if self._timer is not None:
                self._timer.cancel()
            cause = self._ended or HangupCause.SERVER_ERROR
            self._log.ended(cause, self._clock() - started)
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._listener.close()
        return cause

    def end(self, farewell: str, cause: HangupCause) -> None:
        """Say the last words (none: hang up at once), then hang up. An end that has begun stays."""
        if self._turn.state in {State.CLOSING, State.CLOSED}:
            return
        self._farewell, self._cause = farewell, cause
        self._input(Input.FAREWELL)

    def cut(self, cause: HangupCause) -> None:
        """Hang up at once, without a word."""
        self._leg.hang_up(cause)

    # Inputs

    def _on_leg_event(self, event: LegEvent) -> None:
        match event:
            case AudioReceived():
                self._listener.hear(event)
            case MarkPlayed(name):
                self._on_mark(name)
            case DtmfReceived(digit):
                self._log.note("dtmf", {"digit": digit})
            case MachineDetected():
                self._log.note("machine_detected", {})
                self.end(self._profile.says.voicemail, HangupCause.AGENT)
            case HungUp(cause):
                self._ended = cause
                self._input(Input.HANGUP)

    def _on_mark(self, name: str) -> None:
        reply = self._reply
        if reply is None or not reply.playout.mark_played(name, self._clock()):
            return
        self._round_trip = reply.playout.round_trip
        self._input(Input.MARK)
        if not reply.sent:
            return
        if reply.playout.all_heard:
            self._reply_heard(reply)
        else:
            self._input(Input.REPLY_SENT, reply.playout.ends_at(self._clock()))

    def _reply_heard(self, reply: Reply) -> None:
        if reply.after is AfterReply.LISTEN:
            self._input(Input.PLAYOUT_DONE)
            return
        if reply.after is AfterReply.TRANSFER:
            self._log.note("transfer_requested", {})
        self._input(Input.CALL_OVER)

    def _max_duration(self) -> None:
        self._log.note("max_duration", {"seconds": self._profile.turns.max_call_seconds})
        self.end(self._profile.says.max_duration, HangupCause.MAX_DURATION)

    def _input(self, event: Input, at: float | None = None) -> None:
        """Apply an input and all its commands; one that comes meanwhile waits its turn."""
        self._inputs.append((event, at))
        if self._applying:
            return
        self._applying = True
        try:
            while self._inputs:
                event, at = self._inputs.popleft()
                self._before(event)
                for command in self._turn.handle(event, self._clock(), at):
                    self._execute(command)
                self._after(event)
        finally:
            self._applying = False
        self._arm()

    def _before(self, event: Input) -> None:
        """What must be known of the reply before the machine moves on."""
        reply = self._reply
        if event in {Input.PLAYOUT_DONE, Input.CALL_OVER} and reply is not None:
            self._complete(reply, interrupted=False)
            self._apologies = 0
        elif event is Input.HANGUP and reply is not None:
            self._complete(reply, interrupted=not reply.playout.all_heard)

    def _after(self, event: Input) -> None:
        """A reply that was sent may have been silent, or heard already while it was being sent."""
        reply = self._reply
        if event is Input.REPLY_SENT and reply is not None:
            if reply.playout.sent == 0 or reply.playout.all_heard:
                self._reply_heard(reply)
        elif event is Input.HANGUP:
            self._record_unanswered()

    def _arm(self) -> None:
        if self._turn.deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._turn.deadline
        self._timer = None if self._timer_at is None else self._loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._timer_at = None
        self._input(Input.TIMER)

    # Commands

    def _execute(self, command: Command) -> None:
        actions: dict[Command, Callable[[], None]] = {
            Command.START_REPLY: self._start_reply,
            Command.CANCEL_REPLY: self._cancel_reply,
            Command.CLEAR_PLAYOUT: self._clear_playout,
            Command.RESUME_WORDS: self._resume_words,
            Command.DISCARD_WORDS: self._discard_words,
            Command.REPROMPT: self._reprompt,
            Command.APOLOGISE: self._apologise,
            Command.SAY_FAREWELL: self._say_farewell,
            Command.HANG_UP: lambda: self._leg.hang_up(self._cause),
            Command.NOTE_BARGE_IN: lambda: self._log.note("barge_in", {}),
            Command.NOTE_WATCHDOG: self._note_watchdog,
            Command.STOP: self._cancel_reply,
        }
        actions[command]()

    def _start_reply(self) -> None:
        listener = self._listener
        self._reprompts = 0
        self._caller_began = listener.began
        timeline = Timeline(
            caller_stopped=listener.silent_since,
            final_asked=listener.final_asked,
            final=listener.final_at,
            turn_ended=self._clock(),
        )
        listener.expect(None)
        turn = self._transcript.open_turn(listener.take_words())
        reply = self._new_reply(turn, timeline)
        self._start(reply.answer(self._transcript.messages))

    def _prompt(self, sentence: str) -> None:
        """Speak a sentence of ours outside the model's replies."""
        timeline = Timeline(turn_ended=self._clock())
        self._start(self._new_reply(self._transcript.open_turn(""), timeline).say(sentence))

    def _new_reply(self, turn: Turn, timeline: Timeline) -> Reply:
        self._replies += 1
        self._reply = Reply(turn, timeline, Playout(self._replies, self._round_trip), self._speaker)
        return self._reply

    def _start(self, work: Coroutine[None, None, None]) -> None:
        if self._tasks is None:
            raise RuntimeError("a reply needs a running session")
        self._reply_task = self._tasks.create_task(work)

    def _cancel_reply(self) -> None:
        if self._reply is not None:
            self._reply.abandoned = True
        if self._reply_task is not None:
            self._reply_task.cancel()
            self._reply_task = None

    def _clear_playout(self) -> None:
        reply = self._reply
        if reply is None:
            return
        if reply.playout.sent:
            self._leg.clear()
            reply.playout.clear(self._clock())
        self._complete(reply, interrupted=True)

    def _resume_words(self) -> None:
        reply, self._reply = self._reply, None
        if reply is None or reply.fixed:
            return
        self._listener.restore_words(reply.turn.caller_text, self._caller_began)
        self._turn.has_words = bool(reply.turn.caller_text)
        self._transcript.withdraw(reply.turn)

    def _discard_words(self) -> None:
        self._log.note("backchannel", {})
        self._listener.discard_words()

    def _reprompt(self) -> None:
        sentences = self._profile.says.no_input
        if self._reprompts >= self._profile.turns.no_input_reprompts or not sentences:
            self.end(self._profile.says.no_input_goodbye, HangupCause.NO_INPUT)
            return
        self._log.note("no_input", {"count": self._reprompts + 1})
        sentence = sentences[min(self._reprompts, len(sentences) - 1)]
        self._reprompts += 1
        self._prompt(sentence)

    def _apologise(self) -> None:
        if self._reply is not None:
            self._complete(self._reply, interrupted=self._reply.playout.sent > 0)
        self._apologies += 1
        if self._apologies > _MAX_APOLOGIES:
            self.end("", HangupCause.SERVER_ERROR)
        else:
            self._prompt(self._profile.says.apology)

    def _say_farewell(self) -> None:
        if self._farewell:
            self._prompt(self._farewell)
        else:
            self._leg.hang_up(self._cause)

    # Records

    def _complete(self, reply: Reply, *, interrupted: bool) -> None:
        """The reply is over: settle what was heard of it, and record its turn."""
        if self._reply is not reply:
            return
        self._reply = None
        turn = reply.turn
        turn.heard_chars = reply.playout.heard_chars(self._clock())
        turn.interrupted = interrupted
        began, self._caller_began = self._caller_began, None
        self._log.turn(turn, began, self._listener.ended, reply.timeline.stages())

    def _record_unanswered(self) -> None:
        """The call ended while the caller spoke, or before the reply began: keep the words."""
        began, text = self._listener.began, self._listener.take_words()
        if text:
            self._log.turn(self._transcript.open_turn(text), began, self._listener.ended)

    def _note_watchdog(self) -> None:
        state = str(self._turn.state)
        WATCHDOG_FIRINGS.labels(state).inc()
        self._log.note("watchdog", {"then": state})

    def _make_speaker(self, engines: Engines, lead_seconds: float) -> Speaker:
        profile = self._profile
        voice = VoiceSpec(profile.voice.name, profile.language, profile.voice.rate, profile.voice.pitch)
        return Speaker(
            language_model=engines.language_model,
            synthesiser=engines.synthesiser,
            voice=voice,
            script=profile.script,
            tools=tools_of(profile),
            leg=self._leg,
            lead_seconds=lead_seconds,
            clock=self._clock,
            report=self._input,
            expect=self._listener.expect,
            note=self._log.note,
        )
