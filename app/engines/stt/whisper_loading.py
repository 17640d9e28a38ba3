"""Loading a Whisper model, and saying what to do when it cannot be. In a thread: 0.3 to 3 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.engines.errors import EngineUnavailable
from app.engines.models import find_model
from app.engines.ports import RecognitionHints
from app.engines.stt.whisper_model import NAME, WhisperDecoder
from app.engines.stt.whisper_segment import Decoding, Purpose
from config.engines import FasterWhisperSettings
from telephony.media.frame import SAMPLE_RATE, silence

_SETTING = "TRUNKLINE_ENGINES__FASTER_WHISPER__"
_FILES = ("model.bin", "config.json", "tokenizer.json")  # without the last, the library asks the hub


def load(settings: FasterWhisperSettings, models: Path) -> WhisperDecoder:
    """The model, tried once. Raises ``EngineUnavailable``: no library, model or device, or a broken one."""
    try:
        import ctranslate2  # noqa: PLC0415 - 0.5 s that only processes with this engine pay
        from faster_whisper import WhisperModel  # noqa: PLC0415
    except ImportError as error:
        raise EngineUnavailable(
            NAME, f"its library is not installed ({error}); run 'make engines'"
        ) from error
    folder = find_model(NAME, f"{_SETTING}MODEL", settings.model, models)
    for file in _FILES:
        if not (folder / file).is_file():
            raise EngineUnavailable(
                NAME,
                f"{folder} is no Whisper model of ctranslate2: it has no {file}; set {_SETTING}MODEL to one, "
                "such as Systran/faster-whisper-base.en",
            )
    device = _device(settings, ctranslate2)
    compute_type = _compute_type(settings, device, ctranslate2)
    try:
        model = WhisperModel(
            str(folder),
            device=device,
            compute_type=compute_type,
            cpu_threads=1,
            num_workers=settings.workers,
            local_files_only=True,
        )
        decoder = WhisperDecoder(model)
        language = "en" if "en" in decoder.languages else min(decoder.languages)
        for purpose in (Purpose.FINAL, Purpose.INTERIM):
            decoder.decode([Decoding(purpose, silence(SAMPLE_RATE), 0, RecognitionHints(language))])
    except Exception as error:  # the library has many kinds for bad files and devices; none is its own
        raise EngineUnavailable(
            NAME,
            f"the model in {folder} cannot be used on {device} as {compute_type}: {type(error).__name__}: "
            f"{error}; get it again, or set {_SETTING}MODEL to another or {_SETTING}DEVICE to cpu",
        ) from error
    return decoder


def _device(settings: FasterWhisperSettings, ctranslate2: Any) -> str:
    devices = int(ctranslate2.get_cuda_device_count())
    if settings.device == "auto":
        return "cuda" if devices else "cpu"
    if settings.device == "cuda" and not devices:
        raise EngineUnavailable(
            NAME,
            f"{_SETTING}DEVICE is cuda, and ctranslate2 finds no CUDA device; install its driver, "
            "or set it to cpu",
        )
    return settings.device


def _compute_type(settings: FasterWhisperSettings, device: str, ctranslate2: Any) -> str:
    wanted = settings.compute_type or ("float16" if device == "cuda" else "int8")
    possible = ctranslate2.get_supported_compute_types(device)
    if wanted not in possible:
        raise EngineUnavailable(
            NAME,
            f"{device} cannot compute {wanted}; set {_SETTING}COMPUTE_TYPE to one of "
            f"{', '.join(sorted(possible))}",
        )
    return wanted
