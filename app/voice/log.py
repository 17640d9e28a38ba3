"""One call's events, on their way to the recorder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.voice.events import CallEnded, CallNoted, CallStarted, Outcome, TurnCompleted, TurnLatency
from app.voice.latency import NEVER, Moments
from app.voice.ports import CallRecorder
from app.voice.terms import USUAL, Terms
from app.voice.transcript import Turn
from telephony.errors import HangupCause
from telephony.ports import LegInfo

_OUTCOMES = {
    HangupCause.AGENT: Outcome.SUCCESS,
    HangupCause.TRANSFERRED: Outcome.SUCCESS,
    HangupCause.CALLER: Outcome.CALLER,
    HangupCause.CARRIER_ERROR: Outcome.CARRIER,
    HangupCause.CARRIER_STALLED: Outcome.CARRIER,
    HangupCause.SERVER_ERROR: Outcome.US,
    HangupCause.SERVER_SHUTDOWN: Outcome.US,
}


@dataclass(frozen=True, slots=True)
class CallLog:
    """Gives each event its call and its time."""

    call_id: UUID
    recorder: CallRecorder

    def started(
        self, info: LegInfo, agent: str, agent_version: int, language: str, terms: Terms = USUAL
    ) -> None:
        """The leg was answered, by an agent that speaks a language."""
        self.recorder.record(
            CallStarted(
                call_id=self.call_id,
                at=datetime.now(UTC),
                carrier=info.carrier,
                carrier_call_id=info.carrier_call_id,
                direction=info.direction,
                from_number=info.from_number,
                to_number=info.to_number,
                agent=agent,
                agent_version=agent_version,
                prompt=terms.prompt,
                prompt_version=terms.prompt_version,
                voice=terms.voice,
                language=language,
            )
        )

    def turn(
        self,
        turn: Turn,
        began: float | None,
        ended: float | None,
        heard: tuple[float, float] | None = None,
        latency: TurnLatency | None = None,
        moments: Moments = NEVER,
    ) -> None:
        """A turn is over. In seconds of the media clock: ``began``, ``ended``, where the caller spoke, and
        ``heard``, from when until when the reply was heard.
        """
        caller, spoken = turn.caller, bool(turn.caller_text)
        now = datetime.now(UTC)
        self.recorder.record(
            TurnCompleted(
                call_id=self.call_id,
                at=now,
                index=turn.index,
                caller_text=caller.text,
                caller_started=began if spoken else None,
                caller_ended=ended if spoken else None,
                reply_text=turn.reply_text,
                heard_text=turn.heard_text,
                reply_started=heard[0] if heard else None,
                reply_ended=heard[1] if heard else None,
                interrupted=turn.interrupted,
                latency=latency or TurnLatency(),
                backchannels=tuple(turn.backchannels),
                caller_words=caller.words,
                caller_confidence=caller.confidence,
                caller_language=caller.language,
                final_at=_before(now, moments.final),
                replied_at=_before(now, moments.replied),
            )
        )

    def note(self, name: str, detail: dict[str, str | int | float | bool]) -> None:
        """Something worth a line in the call's record."""
        self.recorder.record(CallNoted(self.call_id, datetime.now(UTC), name, detail))

    def ended(self, cause: HangupCause, seconds: float) -> None:
        """The leg is over, after so many seconds."""
        outcome = _OUTCOMES.get(cause, Outcome.UNKNOWN)
        self.recorder.record(CallEnded(self.call_id, datetime.now(UTC), cause, outcome, seconds))


def _before(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now - timedelta(seconds=seconds)
