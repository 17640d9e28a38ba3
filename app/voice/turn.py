"""Who holds the floor: the turn-taking state machine of one call.

Pure: no clock, no I/O. Feed it an input and the time; it returns the commands to carry out. When
``deadline`` passes, feed it ``Input.TIMER``. Every rule is a row of ``TABLE``, and every state but
``CLOSED`` has a deadline, so no call can be stuck. ``diagram()`` draws the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.voice.profile import TurnTaking


class State(StrEnum):
    """Who talks."""

    LISTENING = "listening"  # the floor is open
    HEARING = "hearing"  # the caller talks
    ENDPOINTING = "endpointing"  # the caller paused: turn over, or a breath?
    THINKING = "thinking"  # a reply was asked for; no audio yet
    SPEAKING = "speaking"  # the agent's audio plays
    OVERLAP = "overlap"  # the caller talks over the agent: barge-in or backchannel?
    CLOSING = "closing"  # last words, not to be interrupted
    CLOSED = "closed"


class Input(StrEnum):
    """What happened."""

    PROMPT = "prompt"  # we have something to say first: a greeting
    SPEECH_STARTED = "speech_started"
    SPEECH_SUSTAINED = "speech_sustained"  # speech has lasted as long as a barge-in must
    SPEECH_STOPPED = "speech_stopped"
    WORDS = "words"  # an interim transcript with words
    FINAL = "final"  # the last outstanding final transcript, with words
    FINAL_EMPTY = "final_empty"  # the same, without
    TIMER = "timer"  # our own deadline passed
    SILENT_TIMER = "silent_timer"  # the same in the caller's turn, and no word was recognised
    REPLY_AUDIO = "reply_audio"  # audio of the reply was sent
    REPLY_SENT = "reply_sent"  # all of the reply's audio was sent
    REPLY_FAILED = "reply_failed"
    MARK = "mark"  # some of the reply was heard
    PLAYOUT_DONE = "playout_done"  # all of the reply was heard
    FAREWELL = "farewell"  # the call must end: say the last words
    CALL_OVER = "call_over"  # the reply that was heard ends the call
    HANGUP = "hangup"


class Command(StrEnum):
    """What to do."""

    START_REPLY = "start_reply"
    CANCEL_REPLY = "cancel_reply"  # stop model and speech
    CLEAR_PLAYOUT = "clear_playout"  # drop what the carrier still queues
    RESUME_WORDS = "resume_words"  # the caller went on: the words before belong to the same turn
    DISCARD_WORDS = "discard_words"  # what was said over the agent did not take the floor
    REPROMPT = "reprompt"
    APOLOGISE = "apologise"
    SAY_FAREWELL = "say_farewell"
    HANG_UP = "hang_up"
    NOTE_BARGE_IN = "note_barge_in"
    NOTE_WATCHDOG = "note_watchdog"  # a deadline that should not pass did
    STOP = "stop"


class Timer(StrEnum):
    """The deadline that a state arms; durations are the agent's ``TurnTaking``."""

    NO_INPUT = "no_input"
    UTTERANCE = "utterance"
    ENDPOINT = "endpoint"
    REPLY = "reply"
    MARKS = "marks"
    OVERLAP = "overlap"
    CLOSING = "closing"


MARK_GRACE = 1.5
"""Seconds after a reply's audio should have been heard, until its last mark is taken for lost."""

OVERLAP_SECONDS = 2.0
"""Speech over the agent that neither ends nor lasts: broken VAD input."""

CLOSING_SECONDS = 15.0

Row = tuple[State, tuple[Command, ...], Timer | None]
C, S, I, T = Command, State, Input, Timer  # noqa: E741 - the table's columns
_CUT = (C.CANCEL_REPLY, C.CLEAR_PLAYOUT)
_YIELD = (C.NOTE_BARGE_IN, *_CUT)
_LIVE = tuple(state for state in S if state not in {S.CLOSING, S.CLOSED})

# (state, input) -> (next state, commands, deadline armed; None: the one that runs)
TABLE: dict[tuple[State, Input], Row] = {
    (S.LISTENING, I.PROMPT): (S.THINKING, (), T.REPLY),
    (S.LISTENING, I.SPEECH_STARTED): (S.HEARING, (), T.UTTERANCE),
    (S.LISTENING, I.FINAL): (S.ENDPOINTING, (), T.ENDPOINT),  # recognised late, after the wait
    (S.LISTENING, I.TIMER): (S.THINKING, (C.REPROMPT,), T.REPLY),
    (S.HEARING, I.SPEECH_STOPPED): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.HEARING, I.TIMER): (S.THINKING, (C.NOTE_WATCHDOG, C.START_REPLY), T.REPLY),
    (S.HEARING, I.SILENT_TIMER): (S.LISTENING, (C.NOTE_WATCHDOG,), T.NO_INPUT),  # noise without a word
    (S.ENDPOINTING, I.SPEECH_STARTED): (S.HEARING, (), T.UTTERANCE),
    (S.ENDPOINTING, I.WORDS): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.ENDPOINTING, I.FINAL): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.ENDPOINTING, I.FINAL_EMPTY): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.ENDPOINTING, I.TIMER): (S.THINKING, (C.START_REPLY,), T.REPLY),
    (S.ENDPOINTING, I.SILENT_TIMER): (S.LISTENING, (), T.NO_INPUT),
    (S.THINKING, I.SPEECH_STARTED): (S.HEARING, (C.CANCEL_REPLY, C.RESUME_WORDS), T.UTTERANCE),
    (S.THINKING, I.REPLY_AUDIO): (S.SPEAKING, (), T.REPLY),
    (S.THINKING, I.REPLY_SENT): (S.LISTENING, (), T.NO_INPUT),  # a reply without a word
    (S.THINKING, I.REPLY_FAILED): (S.THINKING, (C.APOLOGISE,), T.REPLY),
    (S.THINKING, I.TIMER): (S.THINKING, (C.NOTE_WATCHDOG, C.CANCEL_REPLY, C.APOLOGISE), T.REPLY),
    (S.THINKING, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),  # ends the call without a word
    (S.SPEAKING, I.SPEECH_STARTED): (S.OVERLAP, (), T.OVERLAP),
    (S.SPEAKING, I.REPLY_AUDIO): (S.SPEAKING, (), T.REPLY),
    (S.SPEAKING, I.REPLY_SENT): (S.SPEAKING, (), T.MARKS),
    (S.SPEAKING, I.MARK): (S.SPEAKING, (), None),
    (S.SPEAKING, I.PLAYOUT_DONE): (S.LISTENING, (), T.NO_INPUT),
    (S.SPEAKING, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),
    (S.SPEAKING, I.REPLY_FAILED): (S.THINKING, (C.CLEAR_PLAYOUT, C.APOLOGISE), T.REPLY),
    (S.SPEAKING, I.TIMER): (S.LISTENING, (C.NOTE_WATCHDOG, *_CUT), T.NO_INPUT),
    (S.OVERLAP, I.SPEECH_SUSTAINED): (S.HEARING, _YIELD, T.UTTERANCE),  # barge-in
    (S.OVERLAP, I.SPEECH_STOPPED): (S.SPEAKING, (C.DISCARD_WORDS,), T.REPLY),  # backchannel
    (S.OVERLAP, I.PLAYOUT_DONE): (S.HEARING, (), T.UTTERANCE),
    (S.OVERLAP, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),
    (S.OVERLAP, I.REPLY_FAILED): (S.HEARING, _CUT, T.UTTERANCE),
    (S.OVERLAP, I.TIMER): (S.HEARING, (C.NOTE_WATCHDOG, *_YIELD), T.UTTERANCE),
    (S.CLOSING, I.PLAYOUT_DONE): (S.CLOSED, (C.HANG_UP,), None),
    (S.CLOSING, I.REPLY_SENT): (S.CLOSING, (), T.MARKS),
    (S.CLOSING, I.REPLY_FAILED): (S.CLOSED, (C.HANG_UP,), None),
    (S.CLOSING, I.TIMER): (S.CLOSED, (C.NOTE_WATCHDOG, C.HANG_UP), None),
    (S.CLOSING, I.HANGUP): (S.CLOSED, (C.STOP,), None),
}
TABLE |= {(state, I.FAREWELL): (S.CLOSING, (*_CUT, C.SAY_FAREWELL), T.CLOSING) for state in _LIVE}
TABLE |= {(state, I.HANGUP): (S.CLOSED, (C.STOP,), None) for state in _LIVE}


@dataclass(slots=True)
class TurnMachine:
    """One call's turn-taking. ``deadline`` is in seconds of the clock that ``handle`` is given."""

    timing: TurnTaking
    state: State = State.LISTENING
    deadline: float | None = None
    has_words: bool = False  # the caller's turn so far holds recognised words
    _awaits_final: bool = False
    _silence_since: float = 0.0

    def start(self, now: float) -> None:
        """The call was answered."""
        self.deadline = now + self.timing.no_input_seconds

    def handle(self, event: Input, now: float, at: float | None = None) -> tuple[Command, ...]:
        """Apply one input; one that means nothing in this state changes nothing.

        ``at``, where it differs from ``now``: when the caller stopped (``SPEECH_STOPPED``), or when the
        reply will have been heard (``REPLY_SENT``).
        """
        if event is I.TIMER:
            if self.deadline is None or now < self.deadline:
                return ()
            if self.state in {S.HEARING, S.ENDPOINTING} and not self.has_words:
                event = I.SILENT_TIMER
        self._remember(event, now if at is None else at)
        row = TABLE.get((self.state, event))
        if row is None:
            return ()
        self.state, commands, timer = row
        if self.state is S.CLOSED:
            self.deadline = None
        elif timer is not None:
            self.deadline = self._arm(timer, now, now if at is None else at)
        if C.START_REPLY in commands or C.DISCARD_WORDS in commands:
            self.has_words = False
        return commands

    def _remember(self, event: Input, at: float) -> None:
        if event in {I.FINAL, I.WORDS}:
            self.has_words = True
        if event in {I.FINAL, I.FINAL_EMPTY}:
            self._awaits_final = False
        elif event is I.SPEECH_STOPPED:
            self._awaits_final = True
            self._silence_since = at

    def _arm(self, timer: Timer, now: float, at: float) -> float:
        timing = self.timing
        match timer:
            case T.NO_INPUT:
                return now + timing.no_input_seconds
            case T.UTTERANCE:
                return now + timing.max_utterance_seconds
            case T.ENDPOINT:  # counted from the silence, so a late final never adds a wait
                wait = timing.endpoint_max_seconds if self._awaits_final else timing.endpoint_seconds
                return max(now, self._silence_since + wait)
            case T.REPLY:
                return now + timing.reply_seconds
            case T.MARKS:
                return at + MARK_GRACE
            case T.OVERLAP:
                return now + OVERLAP_SECONDS
            case T.CLOSING:
                return now + CLOSING_SECONDS


def diagram() -> str:
    """The table as a Mermaid state diagram, one edge a row."""
    lines = ["stateDiagram-v2", "    [*] --> listening"]
    for (state, event), (after, commands, _) in TABLE.items():
        does = f" / {', '.join(commands)}" if commands else ""
        lines.append(f"    {state} --> {after}: {event}{does}")
    return "\n".join([*lines, "    closed --> [*]"])
