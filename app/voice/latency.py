"""One turn's timeline and the stages that its latency is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.voice.events import TurnLatency


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

    def stages(self) -> TurnLatency:
        """The stages in milliseconds."""
        return TurnLatency(
            stt=_between(self.final_asked, self.final),
            endpoint=_between(self.caller_stopped, self.turn_ended),
            llm=_between(self.turn_ended, self.first_token),
            phrase=_between(self.first_token, self.first_phrase),
            tts=_between(self.first_phrase, self.first_audio),
            send=_between(self.first_audio, self.first_sent),
            response=_between(self.caller_stopped, self.first_sent),
        )


def _between(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start) * 1000, 2)
