"""What servers of OpenAI's transcriptions answer with, from bytes cut anywhere to a transcript.

Understood: plain text; JSON and verbose JSON; server-sent events of OpenAI (``transcript.text.delta``,
``.done``), of vLLM (chunks with ``choices``), and of speaches (one JSON a segment).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engines.languages import root
from app.engines.openai_speech import error_text
from app.engines.ports import RecognisedWord, Transcript
from telephony.media.frame import SAMPLE_RATE

_MOST_BYTES = 256 * 1024  # of an answer; twice the verbose JSON of five minutes, and 3 ms to parse


class BadAnswerError(ValueError):
    """The answer is no transcript. The text says why, in words for an operator."""


@dataclass(slots=True)
class TranscriptionAnswer:
    """Reads the answer with this content type to a segment of ``samples`` at 8 kHz."""

    content_type: str
    samples: int
    pieces: int = 0  # that have come: events, or, of an answer that does not stream, what was fed
    text: str = ""  # of the pieces so far
    _complete: bool = False
    _whole: Mapping[Any, Any] = field(default_factory=dict)  # the object that ends the answer
    _logprobs: list[float] = field(default_factory=list)
    _unread: bytearray = field(default_factory=bytearray)
    _bytes: int = 0

    def feed(self, data: bytes) -> str | None:
        """Take the next bytes: the text so far, where it has grown. Raises ``BadAnswerError``."""
        self._bytes += len(data)
        if self._bytes > _MOST_BYTES:
            raise BadAnswerError("the server's answer does not end")
        self._unread += data
        if not self._streams:
            self.pieces += 1
            return None
        before = self.text
        for event in self._events():
            self.pieces += 1
            self._take(event)
        return self.text if self.text != before else None

    def finish(self) -> Transcript:
        """The final transcript, after the last byte. Raises ``BadAnswerError``."""
        if self._streams:
            self._unread += b"\n\n"
            for event in self._events():
                self._take(event)
            if not self._complete:
                raise BadAnswerError("the server broke off in the middle of the transcript")
        else:
            self._read_whole()
        whole = self._whole
        text = whole["text"] if isinstance(whole.get("text"), str) else self.text
        return Transcript(
            " ".join(text.split()),
            final=True,
            confidence=_confidence(whole) or _probability(self._logprobs),
            words=tuple(_words(whole, self.samples)),
            language=_language(whole),
        )

    @property
    def _streams(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    def _events(self) -> Iterator[bytes]:
        """The data of each event that is complete."""
        while (end := self._unread.find(b"\n")) >= 0:
            line = bytes(self._unread[:end]).rstrip(b"\r")
            del self._unread[: end + 1]
            if line.startswith(b"data:"):
                yield line[5:].strip()

    def _take(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._complete = True
            return
        match _parsed(data):
            case {"error": dict() | str()}:
                raise BadAnswerError(f"the server reports: {error_text(data)}")
            case {"type": "transcript.text.delta", "delta": str() as delta} as event:
                self.text += delta
                self._logprobs += _logprobs(event)
            case {"type": "transcript.text.done", "text": str()} as event:
                self._whole, self._complete = event, True
            case {"choices": [{"delta": dict() as delta, **choice}, *_]}:
                self.text += delta["content"] if isinstance(delta.get("content"), str) else ""
                self._complete = self._complete or bool(choice.get("finish_reason"))
            case {"text": str() as text, **others} if "type" not in others:
                self.text = f"{self.text} {text}".strip()
                self._logprobs += _logprobs(others)
                self._complete = True  # of any number of segments: the last does not say that it is
            case {}:
                pass  # usage, segments of speakers, what is yet to be invented
            case _:
                raise BadAnswerError("the server sent what is no transcript")

    def _read_whole(self) -> None:
        body = bytes(self._unread)
        if self.content_type.startswith("text/plain"):
            self.text = body.decode("utf-8", "replace")
            return
        parsed = _parsed(body) if "json" in self.content_type else None
        if isinstance(parsed, dict) and isinstance(parsed.get("text"), str):
            self._whole = parsed
        elif isinstance(parsed, str):
            self.text = parsed
        else:
            told = error_text(body) or self.content_type or "no content type"
            raise BadAnswerError(f"the server sent what is no transcript ({told})")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _logprobs(holder: Mapping[Any, Any]) -> list[float]:
    """Logarithms of probabilities: of an object's tokens, or of its segments."""
    found = [entry.get("logprob") for entry in _objects(holder.get("logprobs"))]
    found += [entry.get("avg_logprob") for entry in _objects(holder.get("segments"))]
    return [value for value in found if isinstance(value, int | float) and math.isfinite(value)]


def _confidence(whole: Mapping[Any, Any]) -> float | None:
    return _probability(_logprobs(whole))


def _probability(logprobs: Sequence[float]) -> float | None:
    """The geometric mean of probabilities."""
    return math.exp(min(0.0, sum(logprobs) / len(logprobs))) if logprobs else None


def _words(whole: Mapping[Any, Any], samples: int) -> Iterator[RecognisedWord]:
    """The words of verbose JSON, whose times are seconds; at its top, or in its segments."""
    nested = [word for segment in _objects(whole.get("segments")) for word in _objects(segment.get("words"))]
    for word in _objects(whole.get("words")) or nested:
        match word:
            case {"word": str() as text, "start": int() | float() as start, "end": int() | float() as end}:
                if text.strip() and start <= end:
                    first, last = _sample(start, samples), _sample(end, samples)
                    sure = word.get("probability")
                    confidence = float(sure) if isinstance(sure, int | float) and 0 <= sure <= 1 else None
                    yield RecognisedWord(text.strip(), first, last, confidence)


def _sample(seconds: float, samples: int) -> int:
    return round(min(max(seconds, 0.0), samples / SAMPLE_RATE) * SAMPLE_RATE)


def _language(whole: Mapping[Any, Any]) -> str | None:
    """The language heard, where it is a code; whisper-1 gives an English name."""
    codes = [entry.get("code") for entry in _objects(whole.get("languages"))] + [whole.get("language")]
    for code in codes:
        if isinstance(code, str) and 2 <= len(root(code)) <= 3:
            return code
    return None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
