"""One thread a process writes all its recordings, so that no call ever waits for the disk.

Blocks wait in a queue, of each recording at most ``queue_seconds``: where the disk stalls for longer, or is
full, the recording has failed, what was written of it stays, and the call goes on. A failure is counted once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import structlog

from app.metrics import RECORDINGS_FAILED, RECORDINGS_WAITING, RECORDINGS_WRITTEN
from app.recordings import flac
from app.recordings.blocks import Block
from telephony.media.frame import SAMPLE_RATE

log = structlog.get_logger(__name__)

_AT_ONCE = 10 * SAMPLE_RATE  # samples of a channel that are copied together for libsndfile: 320 kB


class RecordingWriter:
    """The thread and its queue. ``open`` and what it returns are for the event loop, and never block."""

    def __init__(self, folder: Path, queue_seconds: float = 20.0) -> None:
        self._folder = folder
        self._most_queued = round(queue_seconds * SAMPLE_RATE)
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        RECORDINGS_WAITING.set_function(self._work.qsize)  # asked when the metrics are
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Write what waits, for at most ``seconds``; whether all of it was. Blocks."""
        self._work.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def open(self, key: str) -> FileSink:
        """A new recording of this name under the folder."""
        return FileSink(self._folder / key, self._work.put, self._most_queued)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class FileSink:
    """One recording on its way to its file. Implements ``BlockSink``."""

    def __init__(self, path: Path, put: Callable[[Callable[[], None]], None], most_queued: int) -> None:
        self._path = path
        self._put = put
        self._most_queued = most_queued
        self._queued = 0  # samples, counted by the loop
        self._written = 0  # samples, counted by the thread
        self._file: flac.FlacWriter | None = None  # the thread's
        self._failure = threading.Lock()  # locked for good by the first failure
        put(lambda: self._attempt(self._open))

    @property
    def failed(self) -> bool:
        """See ``BlockSink.failed``."""
        return self._failure.locked()

    def write(self, block: Block) -> None:
        """See ``BlockSink.write``."""
        if self.failed:
            return
        waiting = self._queued - self._written
        if waiting and waiting + block.samples > self._most_queued:
            self.fail("stalled")
            return
        self._queued += block.samples
        self._put(lambda: self._attempt(lambda: self._append(block)))

    def close(self) -> None:
        """See ``BlockSink.close``."""
        self._put(lambda: self._attempt(self._finish))

    def discard(self) -> None:
        """See ``BlockSink.discard``."""
        self._put(lambda: self._attempt(self._delete))

    def fail(self, reason: str) -> None:
        """See ``BlockSink.fail``."""
        if self._failure.acquire(blocking=False):
            RECORDINGS_FAILED.labels(reason).inc()
            log.error("a recording failed; the call goes on", recording=self._path.stem, reason=reason)

    # In the thread

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the edge of one recording: the others go on
            log.warning(
                "cannot write a recording; check the space and the rights of the data directory's recordings",
                recording=self._path.stem,
                error=type(error).__name__,
                number=getattr(error, "errno", None),
            )
            self.fail("disk")

    def _open(self) -> None:
        self._file = flac.FlacWriter(self._path)

    def _append(self, block: Block) -> None:
        try:
            if self._file is not None and not self.failed:
                for pcm in block.pcm(_AT_ONCE):
                    self._file.write(pcm)
        finally:
            self._written += block.samples

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if self.failed:
            file.abandon()
            flac.complete(self._path)  # what there is of it
            return
        file.finish()
        RECORDINGS_WRITTEN.inc()

    def _delete(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.discard()
