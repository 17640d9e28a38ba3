"""One call: joins leg, listener, turn machine and replies, and owns nothing else.

Invariant: one input, then all its commands, then the next input. Inputs come from the leg, the engines
and the one timer, all on the event loop; commands never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from app.engines.build import Engines
from app.engines.ports import UNCLEAR, Expectation, RecognitionHints
from app.metrics import DEADLINES, OVERLAPS, WATCHDOG_FIRINGS
from app.voice.echo import EchoMatcher
from app.voice.endpointing import Endpointer
from app.voice.events import Backchannel
from app.voice.intonation import Intonation
from app.voice.keypad import Keypad
from app.voice.latency import Timeline
from app.voice.listener import Listener, Listening
from app.voice.log import CallLog
from app.voice.ports import AfterReply, CallRecorder, RecordingControl
from app.voice.prepared import voice_of
from app.voice.profile import AgentProfile, OverlapAction
from app.voice.prompter import Prompter
from app.voice.recording import CallRecording
from app.voice.replies import Replies
from app.voice.reply import Reply
from app.voice.said import Said
from app.voice.speaker import Speaker
from app.voice.terms import USUAL, Closing, Terms
from app.voice.tools import RunningTools, recording_tools, tools_of
from app.voice.transcript import Transcript
from app.voice.turn import Command, Input, State, TurnMachine
from telephony.errors import HangupCause
from telephony.events import AudioReceived, DtmfReceived, HungUp, LegEvent, MachineDetected, MarkPlayed
from telephony.ports import CallLeg

_CLOSE_SECONDS = 2.0
_ANSWER_SECONDS = 1.5  # a "yes" said so shortly before the end of a question answers it
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")
_AGENTS = {State.SPEAKING, State.OVERLAP}
_ABOUT_WORDS = {
    Input.SPEECH_STOPPED,
    Input.WORDS,
    Input.FINAL,
    Input.FINAL_EMPTY,
    Input.INTONATION,
    Input.INTERRUPTED,
}


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
        recording: RecordingControl | None = None,
        terms: Terms = USUAL,
    ) -> None:
        self._profile = profile
        self._profile_version = profile_version
        self._terms = terms
        self._leg = leg
        self._log = CallLog(call_id, recorder)
        self._recording = CallRecording(profile.recording, recording, self._log.note)
        engines = engines.for_call(self._log.note)
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._turn = TurnMachine(profile.turns)
        self._endpointer = Endpointer(profile.turns.endpointing, profile.language)
        self._intonation = (
            None
            if engines.turn is None
            else Intonation(engines.turn, self._start, lambda: self._input(Input.INTONATION))
        )
        echo = EchoMatcher()
        self._listener = self._make_listener(engines, echo)
        self._keypad = Keypad(profile.turns.keys, self._listener.words)
        self._transcript = Transcript(profile.instructions)
        self._replies = Replies(
            self._make_speaker(engines, echo, lead_seconds),
            self._transcript,
            profile.turns.speculation,
            self._start,
            self._record_turn,
        )
        self._prompter = Prompter(profile, self._replies, self._log.note, self.end, self._recording)
        self._inputs: deque[tuple[Input, float | None]] = deque()
        self._applying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._caller_began: float | None = None
        self._expected: Expectation | None = None
        self._backchannel: tuple[float, Backchannel, Said] | None = None  # the latest, when it was judged
        self._key_over_agent: Input | None = None
        self._announcements: deque[str] = deque()
        self._farewell = ""
        self._cause = HangupCause.AGENT
        self._ended: HangupCause | None = None

    @property
    def state(self) -> State:
        """Who talks."""
        return self._turn.state

    @property
    def deadline(self) -> float | None:
        """When that ends at the latest, in seconds of the loop's clock; ``None`` once the call is over."""
        return self._turn.deadline

    async def run(self) -> HangupCause:
        """Hold the conversation until the leg is over; returns why it ended. All of it is recorded then."""
        started = self._clock()
        profile = self._profile
        self._log.started(self._leg.info, profile.name, self._profile_version, profile.language, self._terms)
        longest = self._loop.call_later(self._profile.turns.max_call_seconds, self._max_duration)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._turn.start(started)
                self._arm()
                if self._terms.closing is not None:
                    self._close(self._terms.closing)
                elif self._prompter.greet():
                    self._input(Input.PROMPT)
                await self._leg.run(self._on_leg_event)
        finally:
            longest.cancel()
            self._recording.close()
            if self._timer is not None:
                self._timer.cancel()
            cause = self._ended or HangupCause.SERVER_ERROR
            if self._replies.speculations["started"]:
                self._log.note("speculation", {**self._replies.speculations})
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

    def announce(self, sentence: str) -> None:
        """Say a sentence as soon as nobody speaks; several keep their order.

        It is a turn of its own, so that the transcript has it as it was heard.
        """
        self._announcements.append(sentence)
        self._announce()

    def advise(self, text: str) -> None:
        """Tell the model something that the caller does not hear; it counts from the next reply on."""
        self._transcript.advise(text)
        self._replies.drop()  # what is only thought of does not know it

    def _announce(self) -> None:
        while self._announcements and self._turn.state is State.LISTENING:
            self._replies.prompt(self._announcements.popleft())
            self._input(Input.PROMPT)

    def _close(self, closing: Closing) -> None:
        """Nobody is there: say so, and hang up or let the carrier go on to a number."""
        self._log.note("closed", {"then": "transfer" if closing.transfers else "hang_up"})
        self.end(closing.say, HangupCause.TRANSFERRED if closing.transfers else HangupCause.AGENT)

    # Inputs

    def _on_leg_event(self, event: LegEvent) -> None:
        match event:
            case AudioReceived():
                if self._intonation is not None:
                    self._intonation.hear(event.samples)
                self._listener.hear(event)
            case MarkPlayed(name):
                self._on_mark(name)
            case DtmfReceived(digit):
                self._on_key(digit)
            case MachineDetected():
                self._log.note("machine_detected", {})
                self.end(self._profile.says.voicemail, HangupCause.AGENT)
            case HungUp(cause):
                self._ended = cause
                self._input(Input.HANGUP)

    def _on_mark(self, name: str) -> None:
        if not self._replies.mark_played(name):
            return
        reply = self._replies.current
        if reply is not None and reply.sent and reply.playout.all_heard:
            self._reply_heard(reply)
        else:
            self._input(Input.MARK)

    def _reply_heard(self, reply: Reply) -> None:
        if reply.after is AfterReply.LISTEN:
            self._input(Input.PLAYOUT_DONE)
            return
        if reply.after is AfterReply.TRANSFER:
            self._log.note("transfer_requested", {})
        self._input(Input.CALL_OVER)

    def _on_key(self, digit: str) -> None:
        self._log.note("dtmf", {"digit": digit})
        if self._recording.is_refused_by_key(digit):
            self.announce(self._recording.refused)
            return
        done = self._keypad.press(digit, self._expected)
        if done is None:
            return
        event = Input.KEYS_DONE if done else Input.KEY
        if self._turn.state in _AGENTS and not self._profile.turns.keys.interrupt:
            self._key_over_agent = event  # taken up once it has spoken
        else:
            self._input(event)

    def _on_backchannel(self, heard: Backchannel, said: Said) -> None:
        self._backchannel = (self._clock(), heard, said)
        OVERLAPS.labels(heard.kind).inc()
        if self._replies.current is not None:
            self._replies.current.turn.backchannels.append(heard)
        self._log.note("backchannel", {"kind": heard.kind, "at": round(heard.started, 2)})

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
        self._announce()
        self._arm()

    def _before(self, event: Input) -> None:
        """What must be known of the reply and of the caller's words before the machine moves on."""
        reply = self._replies.current
        if event in _ABOUT_WORDS:
            self._turn.wait_seconds = self._wait(event)
        elif event is Input.SPEECH_STARTED and self._intonation is not None:
            self._intonation.forget()
        elif reply is None:
            return
        elif event in {Input.PLAYOUT_DONE, Input.CALL_OVER}:
            self._replies.complete(interrupted=False)
            self._prompter.was_heard()
            if event is Input.PLAYOUT_DONE:
                self._take_up(reply)
        elif event is Input.HANGUP:
            self._replies.complete(interrupted=not reply.playout.all_heard)

    def _wait(self, event: Input) -> float:
        """Seconds of silence that end the caller's turn, as it stands."""
        intonation = self._intonation
        if intonation is not None and event is Input.SPEECH_STOPPED and self._turn.state not in _AGENTS:
            intonation.ask()
        return self._endpointer.wait(
            self._listener.words.text,
            expected=self._expected,
            complete=None if intonation is None else intonation.complete,
        )

    def _after(self, event: Input) -> None:
        """A reply that was sent may have been silent, or heard already while it was being sent."""
        self._listener.heed(agent_talks=self._turn.state in _AGENTS)
        reply = self._replies.current
        if event is Input.REPLY_SENT and reply is not None:
            if reply.playout.sent == 0 or reply.playout.all_heard:
                self._reply_heard(reply)
        elif event is Input.HANGUP:
            self._record_unanswered()

    def _take_up(self, reply: Reply) -> None:
        """Keys pressed over the reply; or a "yes" over a question's last words, which was its answer."""
        latest, self._backchannel = self._backchannel, None
        key, self._key_over_agent = self._key_over_agent, None
        if key is not None:
            self._inputs.append((key, None))
        elif latest is not None and self._clock() - latest[0] < _ANSWER_SECONDS:
            _, heard, said = latest
            if heard.kind == "backchannel" and heard.text and reply.says.endswith(_QUESTION_MARKS):
                self._listener.restore_words(said, heard.started)
                self._inputs.append((Input.FINAL, None))

    def _arm(self) -> None:
        if self._turn.deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._turn.deadline
        self._timer = None if self._timer_at is None else self._loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._timer_at = None
        DEADLINES.labels(str(self._turn.timer)).inc()
        self._input(Input.TIMER)

    # Commands

    def _execute(self, command: Command) -> None:
        replies = self._replies
        actions: dict[Command, Callable[[], None]] = {
            Command.SPECULATE: self._speculate,
            Command.DROP_SPECULATION: replies.drop,
            Command.START_REPLY: self._start_reply,
            Command.CANCEL_REPLY: replies.cancel,
            Command.CLEAR_PLAYOUT: replies.clear,
            Command.HESITATE: replies.hesitate,
            Command.PAUSE_PLAYOUT: replies.pause,
            Command.RESUME_PLAYOUT: replies.resume,
            Command.DUCK: self._duck,
            Command.UNDUCK: lambda: replies.duck(0.0),
            Command.RESUME_WORDS: self._resume_words,
            Command.TAKE_AS_HEARD: self._take_as_heard,
            Command.SAY_FILLER: self._prompter.fill,
            Command.ACKNOWLEDGE: self._prompter.acknowledge,
            Command.REPROMPT: self._prompter.ask_whether_there,
            Command.APOLOGISE: self._prompter.apologise,
            Command.SAY_FAREWELL: self._say_farewell,
            Command.HANG_UP: lambda: self._leg.hang_up(self._cause),
            Command.NOTE_BARGE_IN: self._note_barge_in,
            Command.NOTE_WATCHDOG: self._note_watchdog,
            Command.STOP: replies.cancel,
        }
        actions[command]()

    def _speculate(self) -> None:
        """Where the turn is likely over: on its final words, or on an interim that no longer changes."""
        words, turns = self._listener.words, self._profile.turns
        settled = words.complete or words.alike >= turns.speculation.stable_interims
        likely = self._turn.wait_seconds <= turns.endpointing.usual_seconds
        if settled and likely and not words.keys and words.text not in {"", UNCLEAR}:
            self._replies.speculate(words.text)

    def _start_reply(self) -> None:
        listener = self._listener
        self._caller_began = listener.began
        timeline = Timeline(
            caller_stopped=listener.silent_since,
            final_asked=listener.final_asked,
            final=listener.final_at,
            turn_ended=self._clock(),
        )
        said = listener.take_words()
        if not self._prompter.ask_again(said):
            self._expect(None)
            self._prompter.answer(said, timeline)

    def _resume_words(self) -> None:
        said = self._replies.withdraw()
        if said.text:
            self._listener.restore_words(said, self._caller_began)
            self._turn.has_words = True

    def _take_as_heard(self) -> None:
        reply = self._replies.current
        if reply is None:
            self._input(Input.PLAYOUT_DONE)
        else:
            self._reply_heard(reply)

    def _duck(self) -> None:
        overlap = self._profile.turns.overlap
        if overlap.action is OverlapAction.DUCK_AND_CONTINUE:
            self._log.note("ducked", {"decibels": overlap.duck_db})
            self._replies.duck(overlap.duck_db)

    def _say_farewell(self) -> None:
        if self._farewell:
            self._replies.prompt(self._farewell)
        else:
            self._leg.hang_up(self._cause)

    # Records

    def _record_turn(self, reply: Reply) -> None:
        began, self._caller_began = self._caller_began, None
        self._recording.turn_over(reply.turn)
        now, place = self._clock(), self._listener.media_time
        from_, until = reply.playout.heard_from(), reply.playout.heard_until(now)
        heard = None if from_ is None or until is None else (place(from_), place(until))
        stages, moments = reply.timeline.stages(), reply.timeline.moments(now)
        self._log.turn(reply.turn, began, self._listener.ended, heard, stages, moments)

    def _record_unanswered(self) -> None:
        """The call ended while the caller spoke, or before the reply began: keep the words."""
        began, said = self._listener.began, self._listener.take_words()
        if said.text:
            self._log.turn(self._replies.unanswered(said), began, self._listener.ended)

    def _note_barge_in(self) -> None:
        OVERLAPS.labels("interruption").inc()
        self._log.note("barge_in", {"after": round(self._listener.since_onset, 3)})

    def _note_watchdog(self) -> None:
        deadline = str(self._turn.fired)
        WATCHDOG_FIRINGS.labels(deadline).inc()
        self._log.note("watchdog", {"deadline": deadline, "then": str(self._turn.state)})

    # Parts

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        if self._tasks is None:
            raise RuntimeError("a reply needs a running session")
        return self._tasks.create_task(work)

    def _expect(self, expectation: Expectation | None) -> None:
        self._expected = expectation
        self._listener.expect(expectation)

    def _agent_text(self) -> str:
        reply = self._replies.current
        return "" if reply is None else reply.says

    def _make_listener(self, engines: Engines, echo: EchoMatcher) -> Listener:
        return Listener(
            engines.detector,
            engines.recogniser,
            hints_of(self._profile),
            self._profile.turns,
            echo,
            Listening(self._clock, self._input, self._agent_text, self._on_backchannel),
        )

    def _make_speaker(self, engines: Engines, echo: EchoMatcher, lead_seconds: float) -> Speaker:
        profile = self._profile
        return Speaker(
            language_model=engines.language_model,
            synthesiser=engines.synthesiser,
            voice=voice_of(profile),
            script=profile.script,
            outage=profile.in_outage,
            refusal=profile.says.refusal,
            tools={**tools_of(profile), **recording_tools(profile, self._recording)},
            phrasing=profile.phrasing,
            leg=self._leg,
            echo=echo,
            lead_seconds=lead_seconds,
            clock=self._clock,
            report=self._input,
            expect=self._expect,
            note=self._log.note,
            running=RunningTools(self._start),
        )
