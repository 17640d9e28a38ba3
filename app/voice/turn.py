"""Who holds the floor: the turn-taking state machine of one call.

Pure: no clock, no I/O. Feed it an input and the time; it returns the commands to carry out. When
``deadline`` passes, feed it ``Input.TIMER``. Every rule is a row of ``TABLE``, and every state but
``CLOSED`` has a deadline, so no call can be stuck. ``diagram()`` draws the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.voice.profile import OverlapAction, TurnTaking


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
    """What happened. The machine makes those of the second part from the first and its memory."""

    PROMPT = "prompt"  # we have something to say first: a greeting
    SOUND = "sound"  # something is heard, before it is known to be speech
    SPEECH_STARTED = "speech_started"
    SPEECH_STOPPED = "speech_stopped"
    WORDS = "words"  # an interim transcript with words
    FINAL = "final"  # the last outstanding final transcript, with words
    FINAL_EMPTY = "final_empty"  # the same, without
    INTONATION = "intonation"  # a model has heard whether the turn sounds complete
    KEY = "key"  # a key of the telephone
    KEYS_DONE = "keys_done"  # the key that ends an entry, or the last of the expected ones
    INTERRUPTED = "interrupted"  # speech over the agent is judged to take the floor
    BACKCHANNEL = "backchannel"  # it is judged not to
    TIMER = "timer"  # our own deadline passed
    REPLY_AUDIO = "reply_audio"  # audio of the reply was sent
    REPLY_SENT = "reply_sent"  # all of the reply's audio was sent
    REPLY_FAILED = "reply_failed"
    MARK = "mark"  # some of the reply was heard
    PLAYOUT_DONE = "playout_done"  # all of the reply was heard
    FAREWELL = "farewell"  # the call must end: say the last words
    CALL_OVER = "call_over"  # the reply that was heard ends the call
    HANGUP = "hangup"

    SILENT_TIMER = "silent_timer"  # TIMER in the caller's turn, and no word was recognised
    MARKS_TIMER = "marks_timer"  # TIMER when all of the reply should have been heard
    SLOW_TIMER = "slow_timer"  # TIMER before the first word of the model
    TALKED_OVER = "talked_over"  # SPEECH_STARTED over an agent that goes on
    SPEECH_AGAIN = "speech_again"  # SPEECH_STARTED soon after a false alarm: not worth a pause
    INTERRUPTED_BRIEFLY = "interrupted_briefly"  # INTERRUPTED, and the caller has stopped already
    DONE_IN_SPEECH = "done_in_speech"  # PLAYOUT_DONE while the caller talks
    DONE_WITH_WORDS = "done_with_words"  # PLAYOUT_DONE after the caller talked over it


class Command(StrEnum):
    """What to do."""

    SPECULATE = "speculate"  # start on the reply; nobody hears it yet
    DROP_SPECULATION = "drop_speculation"
    START_REPLY = "start_reply"  # or release the speculation, when it answers the same words
    CANCEL_REPLY = "cancel_reply"  # stop model and speech
    CLEAR_PLAYOUT = "clear_playout"  # drop what the carrier still queues
    HESITATE = "hesitate"  # feed nothing for a moment: what was sent plays on, so nobody hears it
    PAUSE_PLAYOUT = "pause_playout"
    RESUME_PLAYOUT = "resume_playout"
    DUCK = "duck"  # speak softer
    UNDUCK = "unduck"
    RESUME_WORDS = "resume_words"  # the caller went on: the words before belong to the same turn
    TAKE_AS_HEARD = "take_as_heard"  # the reply, whose last mark was lost
    SAY_FILLER = "say_filler"
    ACKNOWLEDGE = "acknowledge"  # say that we listen, where the agent does so
    REPROMPT = "reprompt"
    APOLOGISE = "apologise"
    SAY_FAREWELL = "say_farewell"
    HANG_UP = "hang_up"
    NOTE_BARGE_IN = "note_barge_in"
    NOTE_WATCHDOG = "note_watchdog"  # a deadline that should not pass did
    STOP = "stop"


class Timer(StrEnum):
    """The deadline that a state arms, by name; durations are the agent's ``TurnTaking``."""

    NO_INPUT = "no_input"
    NO_INPUT_STILL = "no_input_still"
    UTTERANCE = "utterance"
    ENDPOINT = "endpoint"
    KEYS = "keys"
    FILLER = "filler"
    MODEL = "model"
    REPLY = "reply"
    MARKS = "marks"
    OVERLAP = "overlap"
    CLOSING = "closing"


DEADLINES = {
    Timer.NO_INPUT: "nobody has said anything: ask, and escalate",
    Timer.NO_INPUT_STILL: "the same, begun before a noise without words",
    Timer.UTTERANCE: "the caller has talked for too long: answer what was said; a watchdog",
    Timer.ENDPOINT: "the silence after the caller's words has lasted: the turn is over",
    Timer.KEYS: "no key came any more: the entry is over",
    Timer.FILLER: "the model has said nothing: say a filler",
    Timer.MODEL: "the model still has said nothing, counted from the end of the turn: apologise; a watchdog",
    Timer.REPLY: "no audio of the reply came: apologise; a watchdog",
    Timer.MARKS: "the reply's last mark did not come back: take it as heard; a watchdog",
    Timer.OVERLAP: "speech over the agent was not judged: go on; a watchdog",
    Timer.CLOSING: "the last words did not end: hang up; a watchdog",
}
"""What the passing of each deadline means."""


MARK_GRACE = 1.5
"""Seconds after a reply's audio should have been heard, until its last mark is taken for lost."""

OVERLAP_SECONDS = 2.0
"""Speech over the agent on which no judgement comes: broken VAD input."""

CLOSING_SECONDS = 15.0

NO_INPUT_LEAST = 2.0
"""Seconds that a caller has after a noise, however little of the no-input wait was left."""

Row = tuple[State, tuple[Command, ...], Timer | None]
C, S, I, T = Command, State, Input, Timer  # noqa: E741 - the table's columns
_CUT = (C.CANCEL_REPLY, C.CLEAR_PLAYOUT)
_YIELD = (C.NOTE_BARGE_IN, *_CUT)
_REPLY = (S.THINKING, (C.START_REPLY,), T.FILLER)
_LIVE = tuple(state for state in S if state not in {S.CLOSING, S.CLOSED})

# (state, input) -> (next state, commands, deadline armed; None: the one that runs)
TABLE: dict[tuple[State, Input], Row] = {
    (S.LISTENING, I.PROMPT): (S.THINKING, (), T.REPLY),
    (S.LISTENING, I.SPEECH_STARTED): (S.HEARING, (), T.UTTERANCE),
    (S.LISTENING, I.FINAL): (S.ENDPOINTING, (C.SPECULATE,), T.ENDPOINT),  # recognised late, after the wait
    (S.LISTENING, I.KEY): (S.ENDPOINTING, (), T.KEYS),
    (S.LISTENING, I.KEYS_DONE): _REPLY,
    (S.LISTENING, I.TIMER): (S.THINKING, (C.REPROMPT,), T.REPLY),
    (S.HEARING, I.SPEECH_STOPPED): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.HEARING, I.KEYS_DONE): _REPLY,
    (S.HEARING, I.TIMER): (S.THINKING, (C.NOTE_WATCHDOG, C.START_REPLY), T.FILLER),
    (S.HEARING, I.SILENT_TIMER): (S.LISTENING, (C.NOTE_WATCHDOG,), T.NO_INPUT_STILL),  # noise without a word
    (S.ENDPOINTING, I.SPEECH_STARTED): (S.HEARING, (C.DROP_SPECULATION,), T.UTTERANCE),
    (S.ENDPOINTING, I.SPEECH_STOPPED): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.ENDPOINTING, I.WORDS): (S.ENDPOINTING, (C.SPECULATE,), T.ENDPOINT),
    (S.ENDPOINTING, I.FINAL): (S.ENDPOINTING, (C.SPECULATE,), T.ENDPOINT),
    (S.ENDPOINTING, I.FINAL_EMPTY): (S.ENDPOINTING, (C.SPECULATE,), T.ENDPOINT),  # words before a noise
    (S.ENDPOINTING, I.INTONATION): (S.ENDPOINTING, (C.SPECULATE,), T.ENDPOINT),
    (S.ENDPOINTING, I.KEY): (S.ENDPOINTING, (C.DROP_SPECULATION,), T.KEYS),
    (S.ENDPOINTING, I.KEYS_DONE): _REPLY,
    (S.ENDPOINTING, I.TIMER): _REPLY,
    (S.ENDPOINTING, I.SILENT_TIMER): (S.LISTENING, (), T.NO_INPUT_STILL),
    (S.THINKING, I.SPEECH_STARTED): (S.HEARING, (C.CANCEL_REPLY, C.RESUME_WORDS), T.UTTERANCE),
    (S.THINKING, I.KEY): (S.ENDPOINTING, (C.CANCEL_REPLY, C.RESUME_WORDS), T.KEYS),
    (S.THINKING, I.REPLY_AUDIO): (S.SPEAKING, (), T.REPLY),
    (S.THINKING, I.REPLY_SENT): (S.LISTENING, (), T.NO_INPUT),  # a reply without a word
    (S.THINKING, I.REPLY_FAILED): (S.THINKING, (C.APOLOGISE,), T.REPLY),
    (S.THINKING, I.SLOW_TIMER): (S.THINKING, (C.SAY_FILLER,), T.MODEL),
    (S.THINKING, I.TIMER): (S.THINKING, (C.NOTE_WATCHDOG, C.CANCEL_REPLY, C.APOLOGISE), T.REPLY),
    (S.THINKING, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),  # ends the call without a word
    (S.SPEAKING, I.SPEECH_STARTED): (S.OVERLAP, (C.PAUSE_PLAYOUT,), T.OVERLAP),
    (S.SPEAKING, I.SOUND): (S.SPEAKING, (C.HESITATE,), None),
    (S.SPEAKING, I.SPEECH_AGAIN): (S.OVERLAP, (), T.OVERLAP),
    (S.SPEAKING, I.TALKED_OVER): (S.SPEAKING, (C.DUCK,), None),
    (S.SPEAKING, I.SPEECH_STOPPED): (S.SPEAKING, (C.UNDUCK,), None),
    (S.SPEAKING, I.INTERRUPTED): (S.HEARING, (*_YIELD, C.ACKNOWLEDGE), T.UTTERANCE),  # judged by late words
    (S.SPEAKING, I.INTERRUPTED_BRIEFLY): (S.ENDPOINTING, _YIELD, T.ENDPOINT),
    (S.SPEAKING, I.KEY): (S.ENDPOINTING, _YIELD, T.KEYS),
    (S.SPEAKING, I.KEYS_DONE): (S.THINKING, (*_YIELD, C.START_REPLY), T.FILLER),
    (S.SPEAKING, I.REPLY_AUDIO): (S.SPEAKING, (), T.REPLY),
    (S.SPEAKING, I.REPLY_SENT): (S.SPEAKING, (), T.MARKS),
    (S.SPEAKING, I.MARK): (S.SPEAKING, (), None),
    (S.SPEAKING, I.PLAYOUT_DONE): (S.LISTENING, (), T.NO_INPUT),
    (S.SPEAKING, I.DONE_IN_SPEECH): (S.HEARING, (), T.UTTERANCE),
    (S.SPEAKING, I.DONE_WITH_WORDS): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.SPEAKING, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),
    (S.SPEAKING, I.REPLY_FAILED): (S.THINKING, (C.CLEAR_PLAYOUT, C.APOLOGISE), T.REPLY),
    (S.SPEAKING, I.TIMER): (S.THINKING, (C.NOTE_WATCHDOG, *_CUT, C.APOLOGISE), T.REPLY),  # it broke off
    (S.SPEAKING, I.MARKS_TIMER): (S.SPEAKING, (C.NOTE_WATCHDOG, C.TAKE_AS_HEARD), T.REPLY),
    (S.OVERLAP, I.INTERRUPTED): (S.HEARING, (*_YIELD, C.ACKNOWLEDGE), T.UTTERANCE),
    (S.OVERLAP, I.INTERRUPTED_BRIEFLY): (S.ENDPOINTING, _YIELD, T.ENDPOINT),
    (S.OVERLAP, I.BACKCHANNEL): (S.SPEAKING, (C.RESUME_PLAYOUT,), T.REPLY),
    (S.OVERLAP, I.KEY): (S.ENDPOINTING, _YIELD, T.KEYS),
    (S.OVERLAP, I.KEYS_DONE): (S.THINKING, (*_YIELD, C.START_REPLY), T.FILLER),
    (S.OVERLAP, I.PLAYOUT_DONE): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.OVERLAP, I.DONE_IN_SPEECH): (S.HEARING, (), T.UTTERANCE),
    (S.OVERLAP, I.DONE_WITH_WORDS): (S.ENDPOINTING, (), T.ENDPOINT),
    (S.OVERLAP, I.CALL_OVER): (S.CLOSED, (C.HANG_UP,), None),
    (S.OVERLAP, I.REPLY_FAILED): (S.HEARING, _CUT, T.UTTERANCE),
    (S.OVERLAP, I.TIMER): (S.SPEAKING, (C.NOTE_WATCHDOG, C.RESUME_PLAYOUT), T.REPLY),
    (S.CLOSING, I.PLAYOUT_DONE): (S.CLOSED, (C.HANG_UP,), None),
    (S.CLOSING, I.REPLY_SENT): (S.CLOSING, (), T.MARKS),
    (S.CLOSING, I.REPLY_FAILED): (S.CLOSED, (C.HANG_UP,), None),
    (S.CLOSING, I.TIMER): (S.CLOSED, (C.NOTE_WATCHDOG, C.HANG_UP), None),
    (S.CLOSING, I.HANGUP): (S.CLOSED, (C.STOP,), None),
}
TABLE |= {
    (state, I.FAREWELL): (S.CLOSING, (C.DROP_SPECULATION, *_CUT, C.SAY_FAREWELL), T.CLOSING)
    for state in _LIVE
}
TABLE |= {(state, I.HANGUP): (S.CLOSED, (C.DROP_SPECULATION, C.STOP), None) for state in _LIVE}


@dataclass(slots=True)
class TurnMachine:
    """One call's turn-taking. ``deadline`` is in seconds of the clock that ``handle`` is given.

    ``wait_seconds`` is the silence that ends the caller's turn; set it anew before each input about the
    caller's words. ``has_words`` says whether the caller's turn so far holds any.
    """

    timing: TurnTaking
    state: State = State.LISTENING
    deadline: float | None = None
    timer: Timer = Timer.NO_INPUT  # what ``deadline`` is
    fired: Timer | None = None  # the deadline that passed last
    has_words: bool = False
    wait_seconds: float = field(default=0.0)
    _awaits_final: bool = False
    _caller_talks: bool = False
    _silence_since: float = 0.0
    _keys_until: float = 0.0
    _no_input_at: float = 0.0
    _thinking_since: float = 0.0
    _resumed_at: float | None = None
    _heard_at: float | None = None  # when a reply that was sent will have been heard

    def __post_init__(self) -> None:
        self.wait_seconds = self.wait_seconds or self.timing.endpointing.usual_seconds

    def start(self, now: float) -> None:
        """The call was answered."""
        self.deadline = self._arm(T.NO_INPUT, now, now)

    def handle(self, event: Input, now: float, at: float | None = None) -> tuple[Command, ...]:
        """Apply one input; one that means nothing in this state changes nothing.

        ``at``, where it differs from ``now``: when the caller stopped (``SPEECH_STOPPED``), or when the
        reply will have been heard (``REPLY_SENT``).
        """
        if event is I.TIMER and (self.deadline is None or now < self.deadline):
            return ()
        if event is I.TIMER:
            self.fired = self.timer
        self._remember(event, now if at is None else at)
        row = TABLE.get((self.state, self._refined(event, now)))
        if row is None:
            return ()
        self.state, commands, timer = row
        if self.state is S.CLOSED:
            self.deadline = None
        elif timer is not None:
            self.deadline = self._arm(timer, now, now if at is None else at)
        if C.START_REPLY in commands:
            self.has_words = False
        if C.RESUME_PLAYOUT in commands:
            self._resumed_at = now
        return commands

    def _remember(self, event: Input, at: float) -> None:
        match event:
            case I.FINAL | I.WORDS | I.KEY | I.KEYS_DONE:
                self.has_words = True
            case I.SPEECH_STARTED:
                self._caller_talks = True
            case I.SPEECH_STOPPED:
                self._caller_talks = False
                self._awaits_final = True
                self._silence_since = at
            case I.REPLY_AUDIO:
                self._heard_at = None
            case I.REPLY_SENT:
                self._heard_at = at
        if event in {I.FINAL, I.FINAL_EMPTY}:
            self._awaits_final = False

    def _refined(self, event: Input, now: float) -> Input:
        """The input as the table tells it apart, by what is remembered."""
        overlap = self.timing.overlap
        match event:
            case I.TIMER if self.state in {S.HEARING, S.ENDPOINTING} and not self.has_words:
                return I.SILENT_TIMER
            case I.TIMER if self.timer is T.FILLER:
                return I.SLOW_TIMER
            case I.TIMER if self.timer is T.MARKS and self.state is S.SPEAKING:
                return I.MARKS_TIMER
            case I.SPEECH_STARTED if self.state is S.SPEAKING:
                if overlap.action in {OverlapAction.DUCK_AND_CONTINUE, OverlapAction.IGNORE}:
                    return I.TALKED_OVER
                if self._resumed_at is not None and now - self._resumed_at < overlap.cooldown_seconds:
                    return I.SPEECH_AGAIN
            case I.INTERRUPTED if not self._caller_talks:
                return I.INTERRUPTED_BRIEFLY
            case I.PLAYOUT_DONE if self.state is not S.CLOSING and self._caller_talks:
                return I.DONE_IN_SPEECH
            case I.PLAYOUT_DONE if self.state is not S.CLOSING and self.has_words:
                return I.DONE_WITH_WORDS
        return event

    def _arm(self, timer: Timer, now: float, at: float) -> float:
        timing = self.timing
        self.timer = timer
        match timer:
            case T.NO_INPUT:
                self._no_input_at = now + timing.no_input_seconds
                return self._no_input_at
            case T.NO_INPUT_STILL:
                return max(now + NO_INPUT_LEAST, self._no_input_at)
            case T.UTTERANCE:
                return now + timing.max_utterance_seconds
            case T.ENDPOINT:  # counted from the silence, so a late final never adds a wait
                patience = timing.endpointing.without_final_seconds if self._awaits_final else 0.0
                wait = max(self.wait_seconds, patience)
                return max(now, self._silence_since + wait, self._keys_until)
            case T.KEYS:
                self._keys_until = now + timing.keys.pause_seconds
                return self._keys_until
            case T.FILLER:
                self._thinking_since = now
                self._keys_until = 0.0
                return now + min(timing.filler_seconds, timing.reply_seconds)
            case T.MODEL:
                return max(now, self._thinking_since + timing.reply_seconds)
            case T.REPLY if self.state is S.SPEAKING and self._heard_at is not None:
                return self._arm(T.MARKS, now, max(now, self._heard_at))
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
