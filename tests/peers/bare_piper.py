"""Piper called bare, in a process of its own: ``python -m tests.peers.bare_piper VOICE.onnx THREADS``.

piper-tts is GPL-3, and is not imported by the tests' process. For each line, a JSON list of a phrase and
whether to resample it, it prints one: CPU seconds, seconds to the first sentence, and samples.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice
from piper.config import PiperConfig

from telephony.media.frame import SAMPLE_RATE
from telephony.media.resample import Resampler

_BLOCK = 22_050 // 5


def main() -> None:
    """Speak until the input ends."""
    path = Path(sys.argv[1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[2]), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    voice = PiperVoice(
        session=onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        ),
        config=PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))),
        download_dir=path.parent,
    )
    for line in sys.stdin:
        phrase, resampled = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        first = 0.0
        resampler = Resampler(voice.config.sample_rate, SAMPLE_RATE) if resampled else None
        pieces: list[Any] = []
        for sentence in voice.synthesize(phrase):
            audio = sentence.audio_int16_array
            if resampler is not None:
                audio = np.concatenate(
                    [resampler.push(audio[at : at + _BLOCK]) for at in range(0, audio.size, _BLOCK)]
                )
            first = first or time.perf_counter() - began
            pieces.append(audio)
        samples = sum(piece.size for piece in pieces)
        sys.stdout.write(json.dumps([time.process_time() - cpu, first, samples]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
