"""What the agent says of its own accord: greeting, reprompts that escalate, apologies, fillers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.engines.ports import UNCLEAR
from app.voice.latency import Timeline
from app.voice.ports import AfterReply
from app.voice.profile import AgentProfile, OverlapAction
from app.voice.recording import CallRecording
from app.voice.replies import Replies
from app.voice.said import Said
from app.voice.speaker import Detail
from telephony.errors import HangupCause

_MAX_APOLOGIES = 2


class Prompter:
    """Chooses the sentence, counts how often it did not help, and ends the call when it helps no more.

    ``end`` says last words and hangs up.
    """

    def __init__(
        self,
        profile: AgentProfile,
        replies: Replies,
        note: Callable[[str, Detail], None],
        end: Callable[[str, HangupCause], None],
        recording: CallRecording,
    ) -> None:
        self._says = profile.says
        self._turns = profile.turns
        self._replies = replies
        self._note = note
        self._end = end
        self._recording = recording
        self._silences = 0  # since the caller last spoke
        self._mismatches = 0  # since the caller was last understood
        self._apologies = 0  # since a reply was last heard to its end
        self._fillers = 0

    def greet(self) -> bool:
        """Begin the call; False where the caller is to speak first."""
        greeting = self._recording.before(self._says.greeting)
        if greeting:
            self._replies.prompt(greeting)
        return bool(greeting)

    def ask_whether_there(self) -> None:
        """Nobody has said anything."""
        sentences = self._says.no_input
        if self._silences >= self._turns.no_input_reprompts or not sentences:
            self._end(self._says.no_input_goodbye, HangupCause.NO_INPUT)
            return
        self._silences += 1
        self._note("no_input", {"count": self._silences})
        self._replies.prompt(_nth(sentences, self._silences))

    def ask_again(self, caller: Said) -> bool:
        """What the caller has said: where no word of it is clear, say so, or hand over, or hang up.

        True where that, or the answer to a refused recording, is the reply.
        """
        self._silences = 0
        clear = caller.text.replace(UNCLEAR, "").strip()
        if self._recording.is_refused_by(clear):
            self._replies.drop()
            self._replies.prompt(self._recording.refused, caller)
            return True
        if clear or not self._says.no_match:
            self._mismatches = 0
            return False
        self._replies.drop()
        self._mismatches += 1
        self._note("no_match", {"count": self._mismatches})
        if self._mismatches <= self._turns.no_match_reprompts:
            self._replies.prompt(_nth(self._says.no_match, self._mismatches), caller)
        elif self._turns.escalate == "transfer":
            self._replies.prompt(self._says.no_match_transfer, caller, AfterReply.TRANSFER)
        else:
            self._end(self._says.no_match_goodbye, HangupCause.NO_INPUT)
        return True

    def answer(self, caller: Said, timeline: Timeline) -> None:
        """Let the model answer; ahead of it comes what the caller must be told and has not heard yet."""
        announcement = self._recording.announcement
        if announcement:
            self._replies.drop()
        self._replies.answer(caller, timeline)
        if announcement and self._replies.current is not None:
            self._replies.current.delivery.interject(announcement, urgent=True)

    def fill(self) -> None:
        """The model has been silent for a while."""
        reply = self._replies.current
        if self._says.filler and reply is not None and not reply.begun:
            self._note("filler", {})
            sentence = self._says.filler[self._fillers % len(self._says.filler)]
            reply.delivery.interject(sentence, urgent=False)
            self._fillers += 1

    def acknowledge(self) -> None:
        """The caller took the floor: say that we listen, where the agent does."""
        if self._turns.overlap.action is OverlapAction.STOP_AND_ACKNOWLEDGE:
            self._note("acknowledged", {})
            self._replies.acknowledge(self._says.acknowledgement)

    def apologise(self) -> None:
        """The reply failed; after too many in a row the call is our fault."""
        current = self._replies.current
        if current is not None:
            self._replies.complete(interrupted=current.playout.sent > 0)
        self._apologies += 1
        if self._apologies > _MAX_APOLOGIES:
            self._end("", HangupCause.SERVER_ERROR)
        else:
            self._replies.prompt(self._says.apology)

    def was_heard(self) -> None:
        """A reply was heard to its end."""
        self._apologies = 0


def _nth(sentences: Sequence[str], number: int) -> str:
    """The ``number``-th sentence, counted from 1; the last one from then on."""
    return sentences[min(number, len(sentences)) - 1]
