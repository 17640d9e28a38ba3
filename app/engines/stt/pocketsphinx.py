"""The ``pocketsphinx`` recogniser: English, offline, for an agent's own domain, in worker processes.

It hears the words of the agent's phrases, and digits; other speech becomes ``[unclear]``. Numbers come back
as figures: ``1 2 3 4 5``. A stream costs a worker 4 % of a core while its caller speaks, 6 % while a number
is expected, and 12 MB. A worker that ends is replaced: segments that it heard are lost.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable

import numpy as np
import structlog

from app.engines.errors import EngineError, EngineTimeout, RequestRefused
from app.engines.languages import root
from app.engines.ports import HELD_SAMPLES, LOST, Expectation, RecognitionHints, Transcript
from app.engines.stt.pocketsphinx_messages import (
    ANY_LENGTH,
    ANYTHING,
    AUDIO,
    CLOSE,
    EXPECT,
    EXPECTED,
    FINAL,
    FINISH,
    HEARD,
    ID,
    INTERIM,
    OPEN,
    OPENED,
    PREPARE,
    PREPARED,
    RESULT,
    TAKEN,
)
from app.engines.worker import WorkerProcess, start_all
from app.metrics import AUDIO_DROPPED
from config.engines import PocketsphinxSettings
from telephony.media.frame import SAMPLE_RATE, Samples

_NAME = "pocketsphinx"
_WORKER = "app.engines.stt.pocketsphinx_worker"
_BATCH_SAMPLES = SAMPLE_RATE // 10  # sent together: a fifth of the messages, and at most 4 ms late at the end
_AHEAD_SAMPLES = SAMPLE_RATE  # sent and not yet taken
_PREPARE_SECONDS = 30.0
_SILENT_SECONDS = 10.0  # a worker that owes a final and says nothing for so long hangs, and is replaced

log = structlog.get_logger(__name__)


class PocketsphinxRecogniser:
    """Recognises English speech about what ``RecognitionHints.phrases`` say."""

    name = _NAME

    def __init__(self, settings: PocketsphinxSettings) -> None:
        self._domains: dict[tuple[str, ...], int] = {}
        self._workers = [_Worker(self._domains) for _ in range(settings.workers)]
        self._last_stream = 0

    @property
    def restarts(self) -> int:
        """Worker processes that ended by themselves, since the start."""
        return sum(worker.process.restarts for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return tuple(pid for worker in self._workers if (pid := worker.process.pid) is not None)

    async def start(self) -> None:
        """Start the workers; 0.4 s. Raises ``EngineUnavailable``."""
        await start_all([worker.process for worker in self._workers])

    async def close(self) -> None:
        """Stop the workers; streams still open report nothing more."""
        for worker in self._workers:
            worker.silence()
            await worker.process.close()

    async def prepare(self, hints: RecognitionHints) -> None:
        """Build the model of these phrases in every worker; 0.1 s. Words it cannot hear are logged by name.

        Raises ``RequestRefused`` for a language that is not English, ``EngineError`` when it fails.
        """
        domain = self._domain(hints)
        for worker in self._workers:
            missing = await worker.prepare(domain, hints.phrases)
            if missing and worker is self._workers[0]:
                log.warning("words_without_pronunciation", engine=_NAME, words=missing)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> PocketsphinxStream:
        """A stream in the worker with the fewest. Hints that were not prepared delay its first transcript.

        Raises ``RequestRefused`` for a language that is not English.
        """
        domain = self._domain(hints)
        worker = min(
            self._workers, key=lambda candidate: (not candidate.process.ready, len(candidate.streams))
        )
        worker.ensure(domain, hints.phrases)
        self._last_stream = (self._last_stream + 1) & 0xFFFFFFFF
        return PocketsphinxStream(worker, self._last_stream, domain, sink)

    def _domain(self, hints: RecognitionHints) -> int:
        if root(hints.language) != "en":
            raise RequestRefused(_NAME, f"it understands English, not {hints.language!r}")
        return self._domains.setdefault(hints.phrases, len(self._domains) + 1)


class _Worker:
    """One worker process, its streams and the domains it was told of."""

    def __init__(self, domains: dict[tuple[str, ...], int]) -> None:
        self._domains = domains
        self.process = WorkerProcess(_NAME, _WORKER, (), self._on_message, self._on_lost, self._on_ready)
        self.streams: dict[int, PocketsphinxStream] = {}
        self._told: set[int] = set()
        self._prepared: dict[int, asyncio.Future[list[str]]] = {}

    async def prepare(self, domain: int, phrases: tuple[str, ...]) -> list[str]:
        """Wait until the domain is built; the words it lacks."""
        await self.process.until_ready(_PREPARE_SECONDS)
        self.ensure(domain, phrases)
        try:
            async with asyncio.timeout(_PREPARE_SECONDS):
                return await asyncio.shield(self._prepared[domain])
        except TimeoutError:
            raise EngineTimeout(_NAME, f"no model after {_PREPARE_SECONDS:.0f} s") from None

    def ensure(self, domain: int, phrases: tuple[str, ...]) -> None:
        """Tell a worker that runs of a domain it does not know."""
        if domain not in self._told and self.process.send(
            PREPARE, ID.pack(domain) + json.dumps(phrases).encode()
        ):
            self._told.add(domain)
            self._prepared[domain] = asyncio.get_running_loop().create_future()

    def silence(self) -> None:
        """Let no stream report anything more."""
        for stream in tuple(self.streams.values()):
            stream.shut()

    def _on_ready(self) -> None:
        for phrases, domain in self._domains.items():
            self.ensure(domain, phrases)
        for stream in self.streams.values():
            stream.reopen()

    def _on_lost(self) -> None:
        self._told.clear()
        for waiting in self._prepared.values():
            if not waiting.done():
                waiting.set_exception(EngineError(_NAME, "its worker process ended"))
                waiting.exception()  # whoever waits still gets it; if nobody does, it is no news
        self._prepared.clear()
        for stream in tuple(self.streams.values()):
            stream.lose()

    def _on_message(self, kind: int, body: bytes) -> None:
        (number,) = ID.unpack_from(body)
        if kind == PREPARED:
            if (waiting := self._prepared.get(number)) is not None and not waiting.done():
                waiting.set_result(json.loads(body[ID.size :]))
            return
        stream = self.streams.get(number)
        if stream is None:
            return  # closed meanwhile
        if kind == HEARD:
            stream.taken(TAKEN.unpack(body)[1])
        elif kind == INTERIM:
            stream.report(Transcript(body[RESULT.size :].decode(), final=False))
        elif kind == FINAL:
            confidence = RESULT.unpack_from(body)[1]
            stream.answer(Transcript(body[RESULT.size :].decode(), final=True, confidence=confidence))


class PocketsphinxStream:
    """One leg's recognition."""

    def __init__(self, worker: _Worker, number: int, domain: int, sink: Callable[[Transcript], None]) -> None:
        self._worker, self._number, self._domain = worker, number, domain
        self._loop = asyncio.get_running_loop()
        self._sink: Callable[[Transcript], None] | None = sink
        self._batch: list[Samples] = []
        self._batch_samples = 0
        self._waiting: deque[tuple[int, bytes]] = deque()  # messages that the worker is not ready to take
        self._waiting_samples = 0
        self._ahead = 0  # samples sent and not yet taken
        self._pushed = False  # the current segment has audio
        self._damaged = False  # some of it went with a worker that ended
        self._owed: deque[bool] = deque()  # finals, and whether their segments are damaged
        self._patience: asyncio.TimerHandle | None = None  # while finals are owed
        self._expected = ANYTHING
        worker.streams[number] = self
        self.reopen()

    def push(self, samples: Samples) -> None:
        """Take audio; it leaves in batches of 100 ms."""
        self._pushed = self._pushed or samples.size > 0
        self._batch.append(samples)
        self._batch_samples += samples.size
        if self._batch_samples >= _BATCH_SAMPLES:
            self._flush()

    def finish_segment(self) -> None:
        """The final comes about 10 ms later, from a worker that is not behind."""
        if self._sink is None:
            return
        self._flush()
        self._pushed = False
        if not self._worker.process.ready:
            self._damaged = False
            self._drop_all()
            self.report(LOST)
            return
        self._owed.append(self._damaged)
        self._damaged = False
        if self._patience is None:
            self._wait()
        self._put(FINISH, ID.pack(self._number))

    def expect(self, expectation: Expectation | None) -> None:
        """Digits, of the length given or any, or anything."""
        if expectation is None or expectation.kind != "digits":
            self._expected = ANYTHING
        else:
            self._expected = expectation.length or ANY_LENGTH
        self._flush()
        self._put(EXPECT, EXPECTED.pack(self._number, self._expected))

    async def close(self) -> None:
        """Free the stream."""
        if self._sink is not None:
            self.shut()
            self._worker.process.send(CLOSE, ID.pack(self._number))

    def shut(self) -> None:
        """Report nothing more."""
        self._sink = None
        self._worker.streams.pop(self._number, None)
        self._drop_all()
        self._owed.clear()
        self._wait()

    def reopen(self) -> None:
        """Introduce the stream to a worker that is new to it."""
        if self._worker.process.send(OPEN, OPENED.pack(self._number, self._domain)) and (
            self._expected != ANYTHING
        ):
            self._worker.process.send(EXPECT, EXPECTED.pack(self._number, self._expected))

    def lose(self) -> None:
        """The worker is gone, with all it has not answered."""
        self._drop_all()
        self._ahead = 0
        self._damaged = self._pushed
        while self._owed:
            self.answer(LOST)

    def taken(self, samples: int) -> None:
        """The worker has decoded so many samples more."""
        self._ahead -= samples
        self._wait()
        self._pump()

    def answer(self, final: Transcript) -> None:
        """The final of the oldest segment that has none."""
        if self._owed:
            damaged = self._owed.popleft()
            self._wait()
            self.report(LOST if damaged else final)

    def report(self, transcript: Transcript) -> None:
        """Give a transcript to the sink, soon: one that fails ends no other call of its worker."""
        self._loop.call_soon(self._tell, transcript)

    def _tell(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)

    def _wait(self) -> None:
        """Give a worker that owes finals its time to say something, from now."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._owed:
            self._patience = self._loop.call_later(_SILENT_SECONDS, self._worker.process.kill)

    def _flush(self) -> None:
        if self._batch_samples:
            data = np.concatenate(self._batch).astype(np.int16, copy=False).tobytes()
            self._batch.clear()
            self._batch_samples = 0
            self._put(AUDIO, ID.pack(self._number) + data)

    def _put(self, kind: int, body: bytes) -> None:
        if self._sink is None:
            return
        self._waiting.append((kind, body))
        if kind == AUDIO:
            self._waiting_samples += _samples(body)
        self._pump()
        if self._waiting_samples > HELD_SAMPLES:
            self._drop_oldest()

    def _pump(self) -> None:
        process = self._worker.process
        while self._waiting and self._ahead < _AHEAD_SAMPLES and process.ready:
            kind, body = self._waiting.popleft()
            if kind == AUDIO:
                self._waiting_samples -= _samples(body)
                self._ahead += _samples(body)
            process.send(kind, body)

    def _drop_oldest(self) -> None:
        """Drop audio, oldest first; the ends of segments stay."""
        kept: deque[tuple[int, bytes]] = deque()
        for kind, body in self._waiting:
            if kind == AUDIO and self._waiting_samples > HELD_SAMPLES:
                self._waiting_samples -= _samples(body)
                AUDIO_DROPPED.labels(_NAME).inc(_samples(body) / SAMPLE_RATE)
            else:
                kept.append((kind, body))
        self._waiting = kept

    def _drop_all(self) -> None:
        self._batch.clear()
        self._waiting.clear()
        self._batch_samples = self._waiting_samples = 0


def _samples(body: bytes) -> int:
    return (len(body) - ID.size) // 2
