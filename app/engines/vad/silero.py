"""Silero VAD (ONNX, native 8 kHz), one inference for the windows of all legs.

A window is 256 samples (32 ms) with the 32 samples before it; without those the model silently
collapses (0.94 -> 0.37 of speech windows found). A window alone costs 80 us, in a batch of 16-64 it
costs 27-29 us, so windows wait up to ``TICK`` for company. The inference runs in one worker thread; it
releases the GIL, and the event loop only ever gathers and scatters small arrays.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.errors import EngineUnavailable
from app.engines.ports import VoiceActivity
from app.metrics import VAD_BATCH
from telephony.media.frame import SAMPLE_RATE, Samples

WINDOW = 256
CONTEXT = 32
TICK = 0.008
"""Seconds a window waits for others: under 10 ms, so that it stays a small part of a turn's latency."""

MAX_BATCH = 64
"""Windows of one inference: about 1.8 ms of one core."""

_SILENT_ENERGY = 256 * 16.0**2
"""Sum of squares below which a window (-66 dBFS) is silence, told without the model."""

_NEAR_FLOOR = 2.5
"""A window of at most so many times the energy of the line's own noise (4 dB) holds no speech, whatever the
model says: on a noisy line it stays above 0.5 for 90-150 ms after the last sound."""

_LOUDEST_FLOOR = 256 * 184.0**2
"""What is louder than this (-45 dBFS) is never taken for the line's noise: a caller may begin at once."""

_SETTLED = 10
"""Once so many windows (0.32 s) in a row held no speech, the model is not asked about windows near the
floor: it saves most inferences of a listening caller."""

_FLOOR_RISE = 1.02
"""The noise floor follows the quietest windows at once and rises by so much a window: 2.7 dB a second."""

_UNLIKELY = 0.15

_MODEL = "silero_vad_op18_ifless.onnx"


class SileroVad:
    """All legs of a process share one session and one thread."""

    name = "silero"

    def __init__(self) -> None:
        self._session: Any = None
        self._rate = np.array(SAMPLE_RATE, dtype=np.int64)
        self._thread: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[_SileroStream] = deque()  # streams with a full window, each at most once
        self._running = False
        self._tick: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Load the model. Raises ``EngineUnavailable`` when its file is not installed."""
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="silero")
        self._session = await self._loop.run_in_executor(self._thread, _load)

    async def close(self) -> None:
        """Stop the thread; windows still waiting are dropped."""
        self._waiting.clear()
        if self._tick is not None:
            self._tick.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=True)

    def open(self, sink: Callable[[VoiceActivity], None]) -> _SileroStream:
        """A stream for one leg."""
        return _SileroStream(self, sink)

    def enqueue(self, stream: _SileroStream) -> None:
        """``stream`` has a full window: infer it at the next tick."""
        self._waiting.append(stream)
        if not self._running and self._tick is None and self._loop is not None:
            self._tick = self._loop.call_later(TICK, self._infer)

    def _infer(self) -> None:
        self._tick = None
        batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
        batch = [stream for stream in batch if not stream.closed]
        if not batch or self._loop is None or self._thread is None:
            return
        self._running = True
        VAD_BATCH.observe(len(batch))
        rows = np.empty((len(batch), CONTEXT + WINDOW), dtype=np.int16)
        for row, stream in zip(rows, batch, strict=True):
            stream.take_window(row)
        state = np.stack([stream.state for stream in batch], axis=1)
        work = self._loop.run_in_executor(self._thread, self._run, rows, state)
        work.add_done_callback(lambda done: self._deliver(batch, done))

    def _run(
        self, rows: npt.NDArray[np.int16], state: npt.NDArray[np.float32]
    ) -> tuple[list[float], npt.NDArray[np.float32]]:
        feed = {"input": rows.astype(np.float32) * np.float32(1 / 32768), "state": state, "sr": self._rate}
        probabilities, new_state = self._session.run(None, feed)
        return probabilities[:, 0].tolist(), new_state

    def _deliver(
        self,
        batch: list[_SileroStream],
        done: asyncio.Future[tuple[list[float], npt.NDArray[np.float32]]],
    ) -> None:
        self._running = False
        if done.cancelled():
            return
        probabilities, state = done.result()
        for index, stream in enumerate(batch):
            stream.window_done(probabilities[index], state[:, index].copy())
        if self._waiting:
            self._infer()


class _SileroStream:
    """One leg: its unread samples, and the model's state between its windows."""

    __slots__ = (
        "_buffer",
        "_end",
        "_floor",
        "_idle",
        "_near_floor",
        "_queued",
        "_sink",
        "_vad",
        "closed",
        "state",
    )

    def __init__(self, vad: SileroVad, sink: Callable[[VoiceActivity], None]) -> None:
        self._vad = vad
        self._sink = sink
        self._buffer: Samples = np.zeros(CONTEXT, dtype=np.int16)  # context, then unread samples
        self._end = 0  # sample of the stream where the last window taken ended
        self._queued = False
        self._floor = _LOUDEST_FLOOR  # energy of the line's own noise
        self._near_floor = False  # the window at the front, or in inference
        self._idle = 0  # windows in a row without speech
        self.closed = False
        self.state = _SILENT_STATE

    def push(self, samples: Samples) -> None:
        """Take caller audio; a full window is queued for the next inference."""
        self._buffer = np.concatenate((self._buffer, samples))
        if not self._queued:
            self._advance()

    def close(self) -> None:
        """Report nothing more."""
        self.closed = True

    def take_window(self, row: npt.NDArray[np.int16]) -> None:
        """Copy the next window with its context into ``row`` (288 samples) and drop it from the buffer."""
        row[:] = self._buffer[: CONTEXT + WINDOW]
        self._skip_window()

    def window_done(self, probability: float, state: npt.NDArray[np.float32]) -> None:
        """The model's answer for the window taken last."""
        self.state = state
        self._queued = False
        if self._near_floor:
            probability = 0.0
        self._idle = self._idle + 1 if probability < _UNLIKELY else 0
        if self.closed:
            return
        self._sink(VoiceActivity(probability, self._end))
        self._advance()

    def _advance(self) -> None:
        """Report the windows at the front that hold no speech for sure; queue the first that may."""
        while len(self._buffer) >= CONTEXT + WINDOW:
            if self._may_hold_speech(self._buffer[CONTEXT : CONTEXT + WINDOW]):
                self._queued = True
                self._vad.enqueue(self)
                return
            self.state = _SILENT_STATE
            self._idle += 1
            self._skip_window()
            self._sink(VoiceActivity(0.0, self._end))

    def _may_hold_speech(self, window: Samples) -> bool:
        samples = window.astype(np.float32)
        energy = float(np.dot(samples, samples))
        if energy < _SILENT_ENERGY:
            return False
        self._floor = min(energy, self._floor * _FLOOR_RISE, _LOUDEST_FLOOR)
        self._near_floor = energy <= self._floor * _NEAR_FLOOR
        return self._idle < _SETTLED or not self._near_floor

    def _skip_window(self) -> None:
        self._buffer = self._buffer[WINDOW:]
        self._end += WINDOW


_SILENT_STATE: npt.NDArray[np.float32] = np.zeros((2, 128), dtype=np.float32)


def _load() -> Any:
    import onnxruntime  # noqa: PLC0415 - 0.2 s that only processes with calls pay

    # The package itself would import torch; only its model file is wanted.
    spec = importlib.util.find_spec("silero_vad")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else None
    if folder is None or not (folder / _MODEL).is_file():
        raise EngineUnavailable(
            "silero", f"{_MODEL} is not installed; run: pip install --no-deps silero-vad==6.2.3"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the model file makes it warn of unused initialisers
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(folder / _MODEL), options, providers=["CPUExecutionProvider"])
    sizes = {1, 16, MAX_BATCH}
    for size in sizes:  # the first inference of a shape allocates; do it before the first call
        feed = {
            "input": np.zeros((size, CONTEXT + WINDOW), dtype=np.float32),
            "state": np.zeros((2, size, 128), dtype=np.float32),
            "sr": np.array(SAMPLE_RATE, dtype=np.int64),
        }
        outputs = session.run(None, feed)
        if not math.isfinite(float(outputs[0][0, 0])):
            raise EngineUnavailable("silero", "the model answers with a number that is not finite")
    return session
