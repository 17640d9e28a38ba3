"""The ``pocketsphinx`` recogniser: English, offline, for an agent's own domain, in worker processes.

It hears the words of the agent's phrases, and digits; other speech becomes ``[unclear]``. Numbers come back
as figures: ``1 2 3 4 5``. A stream costs a worker 4 % of a core while its caller speaks, 6 % while a number
is expected, and 12 MB. A worker that ends is replaced: pending finals are answered empty, and counted.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable

import numpy as np
import structlog

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.ports import Expectation, RecognitionHints, Transcript
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
from config.settings import PocketsphinxSettings
from telephony.media.frame import SAMPLE_RATE, Samples

_NAME = "pocketsphinx"
_WORKER = "app.engines.stt.pocketsphinx_worker"
_BATCH_SAMPLES = SAMPLE_RATE // 10  # sent together: a fifth of the messages, and at most 4 ms late at the end
_AHEAD_SAMPLES = SAMPLE_RATE  # sent and not yet taken
_HELD_SAMPLES = 8 * SAMPLE_RATE  # waiting here, beyond that; what exceeds it is dropped
_PREPARE_SECONDS = 30.0
_FINAL_SECONDS = 10.0  # a worker that owes a final for so long hangs and is replaced

log = structlog.get_logger(__name__)


class PocketsphinxRecogniser:
    """Recognises English speech about what ``RecognitionHints.phrases`` say.

    ``dropped_samples``, ``lost_finals``, ``restarts``: what went wrong, counted since the start.
    """

    name = _NAME

    def __init__(self, settings: PocketsphinxSettings) -> None:
        self._domains: dict[tuple[str, ...], int] = {}
        self._workers = [_Worker(self._domains) for _ in range(settings.workers)]
        self._last_stream = 0

    @property
    def dropped_samples(self) -> int:
        """Audio thrown away because a worker fell behind."""
        return sum(worker.dropped_samples for worker in self._workers)

    @property
    def lost_finals(self) -> int:
        """Finals answered empty because their worker had ended."""
        return sum(worker.lost_finals for worker in self._workers)

    @property
    def restarts(self) -> int:
        """Worker processes that ended by themselves."""
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

        Raises ``EngineUnavailable`` for a language that is not English, ``EngineError`` when it fails.
        """
        domain = self._domain(hints)
        for worker in self._workers:
            missing = await worker.prepare(domain, hints.phrases)
            if missing and worker is self._workers[0]:
                log.warning("words_without_pronunciation", engine=_NAME, words=missing)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> PocketsphinxStream:
        """A stream in the worker with the fewest. Hints that were not prepared delay its first transcript."""
        domain = self._domain(hints)
        worker = min(
            self._workers, key=lambda candidate: (not candidate.process.ready, len(candidate.streams))
        )
        worker.ensure(domain, hints.phrases)
        self._last_stream = (self._last_stream + 1) & 0xFFFFFFFF
        return PocketsphinxStream(worker, self._last_stream, domain, sink)

    def _domain(self, hints: RecognitionHints) -> int:
        if hints.language.split("-", maxsplit=1)[0].lower() != "en":
            raise EngineUnavailable(_NAME, f"it understands English, not {hints.language!r}")
        return self._domains.setdefault(hints.phrases, len(self._domains) + 1)


class _Worker:
    """One worker process, its streams and the domains it was told of."""

    def __init__(self, domains: dict[tuple[str, ...], int]) -> None:
        self._domains = domains
        self.process = WorkerProcess(_NAME, _WORKER, (), self._on_message, self._on_lost, self._on_ready)
        self.streams: dict[int, PocketsphinxStream] = {}
        self.dropped_samples = 0
        self.lost_finals = 0
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
        self._owed: deque[asyncio.TimerHandle] = deque()  # finals; each handle ends a worker that hangs
        self._expected = ANYTHING
        worker.streams[number] = self
        self.reopen()

    def push(self, samples: Samples) -> None:
        """Take audio; it leaves in batches of 100 ms."""
        self._batch.append(samples)
        self._batch_samples += samples.size
        if self._batch_samples >= _BATCH_SAMPLES:
            self._flush()

    def finish_segment(self) -> None:
        """The final comes about 10 ms later, from a worker that is not behind."""
        self._flush()
        if not self._worker.process.ready:
            self._worker.lost_finals += 1
            self._drop_all()
            self._loop.call_soon(self.report, Transcript("", final=True))
            return
        self._owed.append(self._loop.call_later(_FINAL_SECONDS, self._worker.process.kill))
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
        while self._owed:
            self._owed.popleft().cancel()

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
        while self._owed:
            self._worker.lost_finals += 1
            self.answer(Transcript("", final=True))

    def taken(self, samples: int) -> None:
        """The worker has decoded so many samples more."""
        self._ahead -= samples
        self._pump()

    def answer(self, final: Transcript) -> None:
        """The final of the oldest segment that has none."""
        if self._owed:
            self._owed.popleft().cancel()
            self.report(final)

    def report(self, transcript: Transcript) -> None:
        """Give a transcript to the sink, unless the stream is closed."""
        if self._sink is not None:
            self._sink(transcript)

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
        if self._waiting_samples > _HELD_SAMPLES:
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
            if kind == AUDIO and self._waiting_samples > _HELD_SAMPLES:
                self._waiting_samples -= _samples(body)
                self._worker.dropped_samples += _samples(body)
            else:
                kept.append((kind, body))
        self._waiting = kept

    def _drop_all(self) -> None:
        self._batch.clear()
        self._waiting.clear()
        self._batch_samples = self._waiting_samples = 0


def _samples(body: bytes) -> int:
    return (len(body) - ID.size) // 2
