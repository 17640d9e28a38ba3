"""One turn's timeline and the stages that its latency is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.voice.events import TurnLatency


@dataclass(frozen=True, slots=True)
class Moments:
    """How long ago, in seconds, the final transcript of a turn came and its reply was first sent."""

    final: float | None = None
    replied: float | None = None


NEVER = Moments()


@dataclass(slots=True)
class Timeline:
    """When things happened, in seconds of one monotonic clock; ``None``: not (yet)."""

    caller_stopped: float | None = None  # the last window with speech ended
    final_asked: float | None = None
    final: float | None = None
    turn_ended: float | None = None
    first_token: float | None = None
    first_phrase: float | None = None
    first_audio: float | None = None  # from the speech engine
    first_sent: float | None = None

    def ask(self, timeline: Timeline) -> None:
        """Take over when the caller stopped and the turn ended: this reply was begun before."""
        self.caller_stopped = timeline.caller_stopped
        self.final_asked, self.final = timeline.final_asked, timeline.final
        self.turn_ended = timeline.turn_ended

    def stages(self) -> TurnLatency:
        """The stages in milliseconds. What was done before the turn ended cost the caller nothing."""
        token, phrase, audio = map(self._in_turn, (self.first_token, self.first_phrase, self.first_audio))
        return TurnLatency(
            stt=_between(self.final_asked, self.final),
            endpoint=_between(self.caller_stopped, self.turn_ended),
            llm=_between(self.turn_ended, token),
            phrase=_between(token, phrase),
            tts=_between(phrase, audio),
            send=_between(audio, self.first_sent),
            response=_between(self.caller_stopped, self.first_sent),
        )

    def moments(self, now: float) -> Moments:
        """Where on another clock the stages were: how long before ``now``."""
        return Moments(_since(self.final, now), _since(self.first_sent, now))

    def _in_turn(self, at: float | None) -> float | None:
        return at if at is None or self.turn_ended is None else max(at, self.turn_ended)


def _between(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start) * 1000, 2)


def _since(moment: float | None, now: float) -> float | None:
    return None if moment is None else now - moment
