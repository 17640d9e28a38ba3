"""The ``wyoming`` recogniser: a server of Home Assistant's protocol (wyoming-faster-whisper, -vosk, others).

The connection is opened with the first 0.1 s of a segment and takes the audio while the caller speaks, at
16 kHz: not every server looks at the rate. Interims come from servers that stream transcripts. A server may
find the end by itself: its transcript then waits for the end of the segment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import numpy as np

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.languages import nearest, root, tag
from app.engines.ports import HELD_SAMPLES, Expectation, RecognitionHints, Transcript
from app.engines.stt.segments import Segment, Segments
from app.engines.wyoming import Address, Link, connected, describe, offers, offers_any
from app.engines.wyoming_events import Event
from app.metrics import AUDIO_DROPPED
from config.settings import WyomingSettings
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

_NAME = "wyoming"
_SETTING = "TRUNKLINE_ENGINES__WYOMING__STT_URL"
_RATE = 16_000
_FORMAT = {"rate": _RATE, "width": 2, "channels": 1}
_BATCH_SAMPLES = SAMPLE_RATE // 10  # sent together; less is no segment: no word is so short
_AHEAD_BYTES = HELD_SAMPLES * 2 * _RATE // SAMPLE_RATE  # for a server not there yet, or that reads too slowly
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
        """Raises ``EngineUnavailable`` for a language that the server's list of languages lacks."""
        if self._languages and nearest(hints.language, self._languages) is None:
            known = ", ".join(sorted(set(self._languages))[:20])
            raise EngineUnavailable(_NAME, f"the server understands {known}, not {hints.language!r}")

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> WyomingRecogniserStream:
        """A stream for one leg."""
        stream = WyomingRecogniserStream(self, self._request(hints), sink)
        self._streams.add(stream)
        return stream

    def forget(self, stream: WyomingRecogniserStream) -> None:
        """The stream is closed."""
        self._streams.discard(stream)

    def _request(self, hints: RecognitionHints) -> Event:
        language = nearest(hints.language, self._languages) or root(hints.language)
        terms = list(hints.phrases[:_TERMS])
        return Event("transcribe", {"language": language} | ({"transcript_terms": terms} if terms else {}))


class WyomingRecogniserStream:
    """One leg's recognition."""

    def __init__(self, engine: WyomingRecogniser, request: Event, sink: Callable[[Transcript], None]) -> None:
        self._engine, self._request = engine, request
        self._segments = Segments(_NAME, sink)
        self._batch: list[Samples] = []
        self._batch_samples = 0
        self._hearing: _Hearing | None = None

    def push(self, samples: Samples) -> None:
        """Take audio; it leaves in batches of 100 ms."""
        if self._segments.closed:
            return
        self._batch.append(samples)
        self._batch_samples += samples.size
        if self._batch_samples >= _BATCH_SAMPLES:
            if self._hearing is None:
                self._hearing = _Hearing(self._engine, self._request)
                self._segments.begin(self._hearing.run)
            self._hearing.take(np.concatenate(self._batch))
            self._drop_batch()

    def finish_segment(self) -> None:
        """Tell the server that this was all. A segment of less than 0.1 s holds no words."""
        if self._segments.closed:
            return
        hearing, self._hearing = self._hearing, None
        if hearing is None:
            self._segments.empty()
        else:
            if self._batch:
                hearing.take(np.concatenate(self._batch))
            hearing.finish()
        self._drop_batch()

    def expect(self, expectation: Expectation | None) -> None:
        """The protocol cannot say what to listen for."""

    async def close(self) -> None:
        """Free the stream; its connections are closed."""
        self._drop_batch()
        self._hearing = None
        await self._segments.close()
        self._engine.forget(self)

    def _drop_batch(self) -> None:
        self._batch = []
        self._batch_samples = 0


class _Hearing:
    """One segment and its connection."""

    def __init__(self, engine: WyomingRecogniser, request: Event) -> None:
        self._engine, self._request = engine, request
        self._resampler = Resampler(SAMPLE_RATE, _RATE)
        self._held: list[Event] = []  # until there is a connection
        self._held_bytes = 0
        self._link: Link | None = None
        self._over = False  # the server has answered, or failed
        self._finished = asyncio.Event()
        self._patience: asyncio.Timeout | None = None

    def take(self, samples: Samples) -> None:
        """Send audio of 8 kHz; a server that has found an end by itself takes no more."""
        if self._over:
            AUDIO_DROPPED.labels(_NAME).inc(samples.size / SAMPLE_RATE)
        else:
            self._send(self._resampler.push(samples), samples.size)

    def finish(self) -> None:
        """The segment is complete: the server has ``timeout_seconds`` to answer."""
        self._finished.set()
        if not self._over:
            self._send(self._resampler.flush(np.int16), 0)
            self._put(Event("audio-stop"))
            self._be_patient()

    async def run(self, segment: Segment) -> Transcript:
        """What the server heard, once the segment is complete. Raises ``EngineError``."""
        outcome: Transcript | EngineError
        try:
            outcome = await self._hear(segment)
        except EngineError as error:
            outcome = error
        self._over = True
        self._held.clear()
        if isinstance(outcome, Transcript) and not self._finished.is_set():
            segment.interim(outcome.text)
        await self._finished.wait()
        if isinstance(outcome, EngineError):
            raise outcome
        return outcome

    async def _hear(self, segment: Segment) -> Transcript:
        address = self._engine.address
        try:
            async with asyncio.timeout(None) as self._patience, connected(address) as link:
                self._be_patient()
                link.send(self._request)
                link.send(Event("audio-start", _FORMAT))
                for event in self._held:
                    link.send(event)
                self._link = link
                return await _answer(link, segment, address)
        except TimeoutError:
            raise address.silent() from None
        finally:
            self._link = self._patience = None

    def _be_patient(self) -> None:
        if self._finished.is_set() and self._patience is not None:
            seconds = self._engine.address.timeout_seconds
            self._patience.reschedule(asyncio.get_running_loop().time() + seconds)

    def _send(self, samples: Samples, of: int) -> None:
        if samples.size:
            unsent = self._held_bytes if self._link is None else self._link.unsent
            if unsent > _AHEAD_BYTES:
                AUDIO_DROPPED.labels(_NAME).inc(of / SAMPLE_RATE)
            else:
                self._put(Event("audio-chunk", _FORMAT, samples.astype("<i2", copy=False).tobytes()))

    def _put(self, event: Event) -> None:
        if self._link is not None:
            self._link.send(event)
        else:
            self._held.append(event)
            self._held_bytes += len(event.payload)


async def _answer(link: Link, segment: Segment, address: Address) -> Transcript:
    """The server's transcript. Raises ``EngineError``."""
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
                    segment.interim(_joined(text))
                case "error":
                    raise address.failed(event)
                case _:
                    pass
    raise EngineError(_NAME, "the server closed the connection before its transcript")


def _joined(text: str) -> str:
    return " ".join(text.split())
