"""Smart Turn v3 (ONNX): whether a turn sounds complete, from intonation and pace, in 23 languages.

The model is no part of this product: ``smart-turn-v3.*-cpu.onnx`` (BSD-2-Clause, 8.7 MB), from
huggingface.co/pipecat-ai/smart-turn-v3 or from the wheel ``pipecat-ai``. It takes Whisper's log-mel features
of the last 8 s and gives a probability. Features and inference take 50 ms of one core, in a thread.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.turn.log_mel import FRAMES, MELS, RATE, SECONDS, Floats, log_mel
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

_NAME = "smart_turn"
_SETTING = "TRUNKLINE_ENGINES__SMART_TURN__PATH"
_INPUT = "input_features"
_PIECE = SAMPLE_RATE // 8  # resampled at once: pieces of one length share a plan


class SmartTurn:
    """All calls of a process share one session and one thread."""

    name = _NAME

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session: Any = None
        self._thread: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Load the model and try it. Raises ``EngineUnavailable``: no such file, or another model."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=_NAME)
        loop = asyncio.get_running_loop()
        self._session = await loop.run_in_executor(self._thread, _load, self._path)

    async def close(self) -> None:
        """Stop the thread; what still waits is never answered."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    async def complete(self, samples: Samples) -> float:
        """How likely the turn is complete, 0 to 1. ``samples``: its audio up to now; the last 8 s count.

        Raises ``EngineError`` when the model fails.
        """
        if self._thread is None or self._session is None:
            raise EngineError(_NAME, "it was not started")
        recent = samples[-SECONDS * SAMPLE_RATE :]
        return await asyncio.get_running_loop().run_in_executor(self._thread, _infer, self._session, recent)


def _infer(session: Any, samples: Samples) -> float:
    features = log_mel(_upsample(samples))
    try:
        return float(session.run(None, {_INPUT: features[None]})[0].reshape(-1)[0])
    except Exception as error:  # onnxruntime has many; none of them may end a call
        raise EngineError(_NAME, f"the model failed: {error}") from error


def _upsample(samples: Samples) -> Floats:
    resampler = Resampler(SAMPLE_RATE, RATE)
    audio = samples.astype(np.float32) * np.float32(1 / 32768)
    pieces = [resampler.push(audio[start : start + _PIECE]) for start in range(0, audio.size, _PIECE)]
    return np.concatenate((*pieces, resampler.flush(np.float32)))


def _load(path: Path) -> Any:
    import onnxruntime  # noqa: PLC0415 - 0.2 s that only processes with calls pay

    if not path.is_file():
        raise EngineUnavailable(
            _NAME,
            f"there is no file {path}; set {_SETTING} to a smart-turn-v3 model for the CPU (it is in the "
            "wheel pipecat-ai), or to nothing to judge turns by their words alone",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, one for each kind of bad file
        raise EngineUnavailable(_NAME, f"{path} is no ONNX model: {error}") from error
    if [given.name for given in session.get_inputs()] != [_INPUT]:
        raise EngineUnavailable(
            _NAME, f"{path} is another model: it does not take {_INPUT!r} [batch, {MELS}, {FRAMES}] alone"
        )
    probability = _infer(session, np.zeros(SAMPLE_RATE, dtype=np.int16))
    if not 0.0 <= probability <= 1.0:
        raise EngineUnavailable(_NAME, f"{path} is another model: {probability:.3g} is no probability")
    return session
