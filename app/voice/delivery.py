"""A reply's phrases on their way to the caller: speech, joined, held, paused, at most the lead ahead.

Two steps side by side, joined by a short queue: ``_speak`` makes the audio of the phrases, ``_play`` hands it
to the leg, at most ``lead_seconds`` ahead of what the caller hears. The small lead is what makes a barge-in
immediate and the heard text exact.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.engines.ports import SpeechChunk, WordMark
from app.voice.chunker import Phrase
from app.voice.feed import Feed
from app.voice.latency import Timeline
from app.voice.playout import Playout
from app.voice.speakable import speakable
from app.voice.speaker import Speaker
from app.voice.turn import Input
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence

MESSAGE_SAMPLES = 5 * FRAME_SAMPLES
"""Samples handed to the leg at once: 100 ms. Smaller messages cost more and make carriers skip."""

HESITATION = 0.1
"""Seconds of what was sent that must be left to make it worth feeding nothing: in half of the voices a
detector tells within 0.06 s that a sound is speech, in others, which begin with breath, only after 0.25 s."""

_PHRASES = 2  # phrases that wait for speech
_PIECES = 16  # pieces of audio that wait to be played
_SOON = 0.001  # seconds; less is not worth a timer
_RUNNING_DRY = 0.04  # seconds of lead at which what stays back for a joint is sent after all
_QUIET = 100  # a sample below this (-50 dBFS) at the start of a reply is not worth the caller's time


@dataclass(frozen=True, slots=True)
class _PhraseEnd:
    pass


_Audio: TypeAlias = Phrase | SpeechChunk | _PhraseEnd | None


class PhraseQueue:
    """Phrases that wait to be spoken. The model waits while there are enough; urgent ones overtake."""

    def __init__(self) -> None:
        self._phrases: deque[Phrase] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self.used = False  # something was put

    async def put(self, phrase: Phrase) -> None:
        """Queue a phrase of the reply."""
        while len(self._phrases) >= _PHRASES:
            self._changed.clear()
            await self._changed.wait()
        self.put_soon(phrase)

    def put_soon(self, phrase: Phrase) -> None:
        """Queue it even if many wait already."""
        self._phrases.append(phrase)
        self.used = True
        self._changed.set()

    def put_first(self, phrase: Phrase) -> None:
        """Queue it before all others."""
        self._phrases.appendleft(phrase)
        self.used = True
        self._changed.set()

    def close(self) -> None:
        """Nothing more is put."""
        self._closed = True
        self._changed.set()

    async def get(self) -> Phrase | None:
        """The next phrase; ``None`` after the last."""
        while not self._phrases:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        self._changed.set()
        return self._phrases.popleft()


class Delivery:
    """The audio side of one reply. ``run`` ends once all of it was handed to the leg.

    ``held``: nothing is heard until ``release``.
    """

    def __init__(self, speaker: Speaker, playout: Playout, timeline: Timeline, *, held: bool) -> None:
        self.phrases = PhraseQueue()
        self._speaker = speaker
        self._playout = playout
        self._timeline = timeline
        self._audio: asyncio.Queue[_Audio] = asyncio.Queue(_PIECES)
        self._feed = Feed()
        self._timer: asyncio.TimerHandle | None = None  # of a hesitation or a pause
        self._released = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._spoken_char = 0  # of the reply's text, up to where it was given to speech
        self._begins_at: int | None = None  # the sample at which the model's own words begin
        self._trimmed = 0  # samples of silence cut from the start of the reply
        if not held:
            self._released.set()

    async def run(self) -> None:
        """Speak all phrases until the queue is closed. Raises ``EngineError``."""
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(self._speak())
                steps.create_task(self._play())
        finally:
            self._stop_timer()

    def release(self) -> None:
        """Let the caller hear it."""
        self._released.set()

    def hesitate(self) -> None:
        """Stop feeding the leg until shortly before what was sent runs out: nobody hears it."""
        left = self._left() - _RUNNING_DRY
        if self._running.is_set() and left >= HESITATION:
            self._running.clear()
            self._set_timer(left, self.resume)

    def pause(self) -> None:
        """Stop feeding the leg; the audio that was sent plays on and, should it run out, ends in a fade."""
        self._running.clear()
        self._set_timer(max(0.0, self._left()), self._fade_out)

    def resume(self) -> None:
        """Go on with the next sample."""
        self._stop_timer()
        self._running.set()

    def duck(self, decibels: float) -> None:
        """Speak softer by so much; 0: as before."""
        self._feed.duck(10 ** (-decibels / 20))

    def interject(self, sentence: str, *, urgent: bool) -> None:
        """Say a sentence that is not the model's: before the queued phrases, or after them."""
        phrase = Phrase(sentence, self._spoken_char, self._spoken_char)
        if urgent:
            self.phrases.put_first(phrase)
        else:
            self.phrases.put_soon(phrase)

    def _left(self) -> float:
        """Seconds until what was sent runs out."""
        return self._playout.lead(self._speaker.clock()) - _RUNNING_DRY

    def _set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fade_out(self) -> None:
        self._timer = None
        if self._playout.sent:
            tail = self._feed.pause()
            if len(tail):
                self._emit(tail)
            if self._playout.unmarked:
                self._speaker.leg.mark(self._playout.new_mark())

    async def _speak(self) -> None:
        while (phrase := await self.phrases.get()) is not None:
            own = phrase.end > phrase.start
            self._spoken_char = max(self._spoken_char, phrase.end)
            spoken = speakable(phrase.text, self._speaker.voice.language)
            if not spoken.text:
                continue
            await self._audio.put(phrase)
            chunks = self._speaker.synthesiser.speak(spoken.text, self._speaker.voice)
            try:
                async for chunk in chunks:
                    if own and self._timeline.first_audio is None:
                        self._timeline.first_audio = self._speaker.clock()
                    words = tuple(WordMark(spoken.source(word.char), word.sample) for word in chunk.words)
                    await self._audio.put(SpeechChunk(chunk.samples, words))
            finally:
                await chunks.aclose()
            await self._audio.put(_PhraseEnd())
        await self._audio.put(None)

    async def _play(self) -> None:
        await self._released.wait()
        while (item := await self._next()) is not None:
            match item:
                case Phrase():
                    own = item.end > item.start
                    self._playout.begin_phrase(item.start, item.text if own else "", self._feed.made)
                    if own and self._begins_at is None:
                        self._begins_at = self._feed.made
                case SpeechChunk():
                    self._take(item)
                    await self._send()
                case _PhraseEnd():
                    self._playout.end_phrase(self._feed.made)
                    self._feed.end_phrase()
        await self._flush()
        if self._playout.unmarked:
            self._speaker.leg.mark(self._playout.new_mark())

    async def _next(self) -> _Audio:
        """The next piece of audio. Before the carrier runs dry, what stays back for a joint goes out."""
        if not self._audio.empty() or not self._feed.waiting:
            return await self._audio.get()
        left = self._playout.lead(self._speaker.clock())
        try:
            async with asyncio.timeout(max(_RUNNING_DRY, left - _RUNNING_DRY)):
                return await self._audio.get()
        except TimeoutError:
            await self._flush()
        return await self._audio.get()

    def _take(self, chunk: SpeechChunk) -> None:
        samples = chunk.samples
        if self._feed.made == 0:
            samples = _without_lead(samples)
            self._trimmed += len(chunk.samples) - len(samples)
        self._playout.add_words(_earlier(chunk.words, self._trimmed))
        self._feed.add(samples)

    async def _send(self) -> None:
        """Send what is ready, in messages of whole frames, as pause and lead allow."""
        playout, speaker, feed = self._playout, self._speaker, self._feed
        while True:
            await self._running.wait()
            least = MESSAGE_SAMPLES if playout.sent else FRAME_SAMPLES  # the caller waits for the first
            if feed.ready < least:
                return
            size = min(MESSAGE_SAMPLES, feed.ready)
            excess = playout.lead(speaker.clock()) + size / SAMPLE_RATE - speaker.lead_seconds
            if excess > _SOON:
                await asyncio.sleep(excess)
            else:
                self._emit(feed.take(MESSAGE_SAMPLES))

    async def _flush(self) -> None:
        while self._feed.ready >= MESSAGE_SAMPLES:
            await self._send()
        await self._running.wait()
        rest = self._feed.flush()
        if len(rest):
            self._emit(rest)

    def _emit(self, samples: Samples) -> None:
        playout, speaker = self._playout, self._speaker
        now = speaker.clock()
        speaker.leg.play(samples)
        speaker.echo.play(samples, playout.ends_at(now))
        playout.add_sent(len(samples), now)
        begun = self._begins_at is not None and playout.sent > self._begins_at
        if begun and self._timeline.first_sent is None:
            self._timeline.first_sent = now
        if playout.mark_due():
            speaker.leg.mark(playout.new_mark())
        speaker.report(Input.REPLY_AUDIO, None)


def _without_lead(samples: Samples) -> Samples:
    """Without the silence before the first audible sample."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) >= _QUIET)
    return samples[audible[0] :] if len(audible) else silence(0)


def _earlier(words: tuple[WordMark, ...], samples: int) -> tuple[WordMark, ...]:
    if not samples:
        return words
    return tuple(WordMark(word.char, max(0, word.sample - samples)) for word in words)
