"""The ``wyoming`` recogniser: a server of Home Assistant's protocol (wyoming-faster-whisper, -vosk, others).

The connection is opened with the first 0.1 s of a segment and takes the audio while the caller speaks, at
16 kHz: not every server looks at the rate. Interims come from servers that stream transcripts. A server may
find an end by itself. What the caller says after its transcript has come goes to it over another connection,
and the texts are joined at the end of the segment; what was sent before counts as heard, since the protocol
does not say how far the server listened.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.languages import nearest, root, tag
from app.engines.ports import HELD_SAMPLES, Expectation, RecognitionHints, Transcript
from app.engines.stt.segments import Segment, Segments
from app.engines.timing import Breath
from app.engines.wyoming import Address, Link, connected, describe, offers, offers_any
from app.engines.wyoming_events import Event
from app.metrics import AUDIO_DROPPED
from config.engines import WyomingSettings
from telephony.media.frame import SAMPLE_RATE, Samples, silence
from telephony.media.resample import Resampler

_NAME = "wyoming"
_SETTING = "TRUNKLINE_ENGINES__WYOMING__STT_URL"
_RATE = 16_000
_FORMAT = {"rate": _RATE, "width": 2, "channels": 1}
_PIECE_SAMPLES = SAMPLE_RATE // 10  # sent together; less is no segment: no word is so short
_MOST_PIECES = 5  # of those that wait, sent together
_PAUSE_SAMPLES = SAMPLE_RATE // 5  # that end a segment (0.12 s), and no more than a part of a word
_TERMS = 100  # phrases that a server is told of


class WyomingRecogniser:
    """Recognises speech with the server at ``settings.stt_url``."""

    name = _NAME

    def __init__(self, settings: WyomingSettings) -> None:
        self._settings = settings
        self._address: Address | None = None
        self._languages: tuple[str, ...] = ()
        self._streams: set[WyomingRecogniserStream] = set()

    @property
    def address(self) -> Address:
        """Where the server is. Raises ``EngineUnavailable``."""
        if self._address is None:
            self._address = Address.of(
                _NAME, _SETTING, self._settings.stt_url, self._settings.timeout_seconds
            )
        return self._address

    async def start(self) -> None:
        """Ask the server what it offers. Raises ``EngineUnavailable``."""
        info = await describe(self.address)
        if not offers_any(info, "asr"):
            problem = f"{self.address}: the server recognises no speech (no asr); check {_SETTING}"
            raise EngineUnavailable(_NAME, problem)
        models = offers(info, "asr", "models")
        self._languages = tuple(language for model in models for language in model.languages)

    async def close(self) -> None:
        """End all streams and their connections."""
        for stream in tuple(self._streams):
            await stream.close()

    async def prepare(self, hints: RecognitionHints) -> None:
        """Raises ``RequestRefused`` for a language that the server's list of languages lacks."""
        self._check(hints)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> WyomingRecogniserStream:
        """A stream for one leg. Raises ``RequestRefused`` as ``prepare`` does."""
        self._check(hints)
        stream = WyomingRecogniserStream(self, self._request(hints), sink)
        self._streams.add(stream)
        return stream

    def forget(self, stream: WyomingRecogniserStream) -> None:
        """The stream is closed."""
        self._streams.discard(stream)

    def _check(self, hints: RecognitionHints) -> None:
        if self._languages and nearest(hints.language, self._languages) is None:
            known = ", ".join(sorted(set(self._languages))[:20])
            raise RequestRefused(_NAME, f"the server understands {known}, not {hints.language!r}")

    def _request(self, hints: RecognitionHints) -> Event:
        language = nearest(hints.language, self._languages) or root(hints.language)
        terms = list(hints.phrases[:_TERMS])
        return Event("transcribe", {"language": language} | ({"transcript_terms": terms} if terms else {}))


class WyomingRecogniserStream:
    """One leg's recognition."""

    def __init__(self, engine: WyomingRecogniser, request: Event, sink: Callable[[Transcript], None]) -> None:
        self._engine, self._request = engine, request
        self._segments = Segments(_NAME, sink)
        self._hearing = _Hearing(engine, request)

    def push(self, samples: Samples) -> None:
        """Take audio; it leaves in pieces of 100 ms."""
        if self._segments.closed:
            return
        self._hearing.take(samples)
        if not self._hearing.begun and self._hearing.unsent_samples >= _PIECE_SAMPLES:
            self._hearing.begun = True
            self._segments.begin(self._hearing.run)

    def finish_segment(self) -> None:
        """Tell the server that this was all. A segment of less than 0.1 s holds no words."""
        if self._segments.closed:
            return
        hearing, self._hearing = self._hearing, _Hearing(self._engine, self._request)
        if hearing.begun:
            hearing.finish()
        else:
            self._segments.empty()

    def expect(self, expectation: Expectation | None) -> None:
        """The protocol cannot say what to listen for."""

    async def close(self) -> None:
        """Free the stream; its connections are closed."""
        await self._segments.close()
        self._engine.forget(self)


class _Hearing:
    """One segment, heard over one connection, or over more where the server finds ends in it."""

    def __init__(self, engine: WyomingRecogniser, request: Event) -> None:
        self._engine, self._request = engine, request
        self.begun = False
        self.unsent_samples = 0
        self._unsent: deque[Samples] = deque()  # at 8 kHz, pieces of any length
        self._news = asyncio.Event()  # there is something to send
        self._finished = asyncio.Event()
        self._failed = False
        self._patience: asyncio.Timeout | None = None

    def take(self, samples: Samples) -> None:
        """Keep audio of 8 kHz until it is sent; none for a server that failed."""
        if self._failed or self.unsent_samples + samples.size > HELD_SAMPLES:
            AUDIO_DROPPED.labels(_NAME).inc(samples.size / SAMPLE_RATE)
            return
        self._unsent.append(samples)
        self.unsent_samples += samples.size
        if self.unsent_samples >= _PIECE_SAMPLES:
            self._news.set()

    def finish(self) -> None:
        """The segment is complete: the server has ``timeout_seconds`` to answer."""
        self._finished.set()
        self._news.set()
        self._be_patient()

    async def run(self, segment: Segment) -> Transcript:
        """What the server heard, once the segment is complete. Raises ``EngineError``."""
        try:
            heard = await self._hear(segment)
            while True:
                if not self._finished.is_set():
                    segment.interim(heard.text)
                if not await self._goes_on():
                    return heard
                more = await self._hear(segment, heard.text)
                text = _joined(f"{heard.text} {more.text}")
                heard = replace(heard if heard.text else more, text=text)
        except EngineError:
            self._failed = True
            await self._finished.wait()
            raise

    async def _goes_on(self) -> bool:
        """Whether more follows than the pause that ends a segment; known at its end at the latest."""
        while self.unsent_samples <= _PAUSE_SAMPLES and not self._finished.is_set():
            await self._news.wait()
            self._news.clear()
        return self.unsent_samples > _PAUSE_SAMPLES

    async def _hear(self, segment: Segment, before: str = "") -> Transcript:
        """A transcript of the server's, for audio that is unsent. Raises ``EngineError``."""
        address = self._engine.address
        try:
            async with asyncio.timeout(None) as self._patience, connected(address) as link:
                self._be_patient()
                link.send(self._request)
                link.send(Event("audio-start", _FORMAT))
                # In no group, which would wrap what the sink raises.
                sending = asyncio.create_task(self._send(link), name="wyoming sends")
                try:
                    return await _answer(link, segment, address, before)
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
        except TimeoutError:
            raise address.silent() from None
        finally:
            self._patience = None

    def _be_patient(self) -> None:
        if self._finished.is_set() and self._patience is not None:
            seconds = self._engine.address.timeout_seconds
            self._patience.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _send(self, link: Link) -> None:
        """Send audio as it comes, and that it is complete; to a server that is gone, no more."""
        resampler, breath = Resampler(SAMPLE_RATE, _RATE), Breath()
        chunks: list[Event] = []
        while await link.ready():
            while self.unsent_samples >= _PIECE_SAMPLES and len(chunks) < _MOST_PIECES:
                chunks.append(_chunk(resampler.push(self._next_piece())))
                await breath.take()  # a minute may come at once, to ten calls
            if chunks:
                link.send(*chunks)
                chunks.clear()
            elif self._finished.is_set():
                last = (resampler.push(self._next_piece()), resampler.flush(np.int16))
                link.send(_chunk(np.concatenate(last)), Event("audio-stop"))
                return
            else:
                self._news.clear()
                await self._news.wait()

    def _next_piece(self) -> Samples:
        """0.1 s of what is unsent, or what there is."""
        pieces = [silence(0)]
        missing = min(_PIECE_SAMPLES, self.unsent_samples)
        self.unsent_samples -= missing
        while missing:
            samples = self._unsent.popleft()
            if samples.size > missing:
                self._unsent.appendleft(samples[missing:])
            pieces.append(samples[:missing])
            missing -= pieces[-1].size
        return np.concatenate(pieces)


def _chunk(samples: Samples) -> Event:
    return Event("audio-chunk", _FORMAT, samples.astype("<i2", copy=False).tobytes())


async def _answer(link: Link, segment: Segment, address: Address, before: str) -> Transcript:
    """The server's transcript; ``before``: what was heard of the segment before. Raises ``EngineError``."""
    text = language = ""
    async with aclosing(link.events()) as events:
        async for event in events:
            match event.kind:
                case "transcript" | "transcript-stop":
                    whole = event.text("text") if event.kind == "transcript" else text
                    language = event.text("language") or language
                    return Transcript(
                        _joined(whole), final=True, language=tag(language) if language else None
                    )
                case "transcript-start":
                    text, language = "", event.text("language")
                case "transcript-chunk":
                    text += event.text("text")
                    segment.interim(_joined(f"{before} {text}"))
                case "error":
                    raise EngineError(_NAME, address.reported(event, f"{before} {text}"))
                case _:
                    pass
    raise EngineError(_NAME, "the server closed the connection before its transcript")


def _joined(text: str) -> str:
    return " ".join(text.split())
