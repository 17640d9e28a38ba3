"""Settings of the engines, and of the lists in which one takes over from another."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from config.group import Group


class OpenAISettings(Group):
    """Any server of OpenAI's chat completions: vLLM, Ollama, OpenAI, Gemini's compatible endpoint."""

    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    model: str = ""
    temperature: float = Field(default=0.4, ge=0, le=2)
    max_tokens: int = Field(default=200, ge=1)
    timeout_seconds: float = Field(default=10.0, gt=0)


class OpenAISpeechToTextSettings(Group):
    """Any server of OpenAI's ``/v1/audio/transcriptions``: OpenAI, speaches, vLLM."""

    base_url: str = ""  # empty: that of the language model
    api_key: SecretStr = SecretStr("")  # empty: that of the language model, if the server is its
    model: str = "gpt-4o-mini-transcribe"
    timeout_seconds: float = Field(default=10.0, gt=0)


class OpenAITextToSpeechSettings(Group):
    """Any server of OpenAI's ``/v1/audio/speech``: OpenAI, Kokoro, speaches."""

    base_url: str = ""  # empty: that of the language model
    api_key: SecretStr = SecretStr("")  # empty: that of the language model, if the server is its
    model: str = "gpt-4o-mini-tts"
    voice: str = "alloy"  # where an agent names none
    format: Literal["pcm", "wav"] = "pcm"
    pcm_hz: int = Field(default=24_000, ge=8_000, le=48_000)  # of "pcm", which does not say so itself
    timeout_seconds: float = Field(default=10.0, gt=0)


class FasterWhisperSettings(Group):
    """Whisper on ctranslate2, in this process."""

    model: str = "faster-whisper-base.en"  # a folder: its path, or its name among the models
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = ""  # empty: float16 on CUDA, int8 elsewhere
    workers: int = Field(default=1, ge=1, le=16)  # decodings at once, each on a core of its own
    interim_seconds: float = Field(default=0.2, ge=0.1, le=2)  # of new speech before each interim
    window_seconds: float = Field(default=3.0, ge=1, le=10)  # decoded again for an interim


class SherpaOnnxSettings(Group):
    """A streaming model of sherpa-onnx, in this process."""

    model: str = "sherpa-onnx-streaming-zipformer-en-2023-06-26"  # a folder: its path, or its name
    threads: int = Field(default=1, ge=1, le=16)
    hotwords_score: float = Field(
        default=1.5, ge=0, le=10
    )  # of an agent's phrases, where the model takes them


class VoskSettings(Group):
    """A Kaldi model, in this process."""

    model: str = "vosk-model-small-en-us-0.15"  # a folder: its path, or its name among the models
    workers: int = Field(default=1, ge=1, le=16)


class WyomingSettings(Group):
    """Speech servers of Home Assistant's Wyoming protocol, tcp://host:port."""

    stt_url: str = ""
    tts_url: str = ""
    timeout_seconds: float = Field(default=10.0, gt=0)


class EdgeSettings(Group):
    """The voices of Microsoft Edge's reading aloud: a public service without a promise."""

    url: str = ""  # of another endpoint, ws:// or wss://; empty: Microsoft's
    voice: str = ""  # where an agent names none; empty: the first of its language
    timeout_seconds: float = Field(default=10.0, gt=0)


class PiperSettings(Group):
    """Piper voices, in worker processes."""

    voice: str = (
        "en_US-lessac-medium"  # where an agent names none: a file's path, or its name among the models
    )
    workers: int = Field(default=1, ge=1, le=16)


class ApertiumSettings(Group):
    """Apertium's translation by rules."""

    url: str = ""  # of an apertium-apy server; empty: the command ``apertium``


class FallbackSettings(Group):
    """When an engine is given up for the next one in the list. Durations in seconds.

    Where another engine can take over, timeouts follow what the engine itself needed, 1.5 times its 99th
    percentile, within these bounds. A model without another has ``gap_most`` within a sentence.
    """

    failures: int = Field(default=3, ge=1, le=10_000)  # in a row, until nothing more is asked of it
    retry_seconds: float = Field(default=5.0, gt=0)  # until it is tried again; twice as long each time, to 60
    first_least: float = Field(default=0.5, gt=0)  # to the first token, audio or final
    first_most: float = Field(default=1.2, gt=0)
    llm_first_most: float = Field(default=1.2, gt=0)  # instead, of language models and of translators
    gap_least: float = Field(default=0.4, gt=0)  # from one to the next
    gap_most: float = Field(default=1.0, gt=0)
    hedge: bool = True  # ask the model a second time when the first token is later than 19 of 20 times


class TimedSettings(Group):
    """The ``timed`` engines: exact times, no inference. Durations in seconds."""

    interim_every: float = 0.2
    final_after: float = 0.1
    transcript: str = "this is the transcript of what the caller said"
    first_token_after: float = 0.15
    token_every: float = 0.01
    sentence_tokens: tuple[int, ...] = (13, 13, 14)
    first_audio_after: float = 0.08
    piece_seconds: float = 0.2
    real_time_factor: float = 20.0
    seconds_per_character: float = 0.055


class PocketsphinxSettings(Group):
    """Worker processes of the embedded recogniser."""

    workers: int = Field(default=1, ge=1, le=64)


class SmartTurnSettings(Group):
    """The model that hears whether a turn is over."""

    path: str = ""  # of the ONNX file; empty: turns end by their words alone


class EngineSettings(Group):
    """Engine names, comma-separated for fallbacks in order, and each engine's own settings.

    ``openai_compatible:NAME`` is a language model with the settings ``servers[NAME]``.
    """

    vad: str = "silero"
    stt: str = "pocketsphinx"
    llm: str = "scripted"
    tts: str = "espeak"
    mt: str = ""
    fallback: FallbackSettings = FallbackSettings()
    openai: OpenAISettings = OpenAISettings()
    servers: dict[str, OpenAISettings] = Field(default_factory=dict)
    openai_stt: OpenAISpeechToTextSettings = OpenAISpeechToTextSettings()
    openai_tts: OpenAITextToSpeechSettings = OpenAITextToSpeechSettings()
    faster_whisper: FasterWhisperSettings = FasterWhisperSettings()
    sherpa_onnx: SherpaOnnxSettings = SherpaOnnxSettings()
    vosk: VoskSettings = VoskSettings()
    wyoming: WyomingSettings = WyomingSettings()
    edge: EdgeSettings = EdgeSettings()
    piper: PiperSettings = PiperSettings()
    apertium: ApertiumSettings = ApertiumSettings()
    timed: TimedSettings = TimedSettings()
    pocketsphinx: PocketsphinxSettings = PocketsphinxSettings()
    smart_turn: SmartTurnSettings = SmartTurnSettings()

    @field_validator("servers")
    @classmethod
    def _names_of_variables(cls, value: dict[str, OpenAISettings]) -> dict[str, OpenAISettings]:
        """Each setting of a server can also be set by a variable, and those are not told apart by case."""
        for name in value:
            if not re.fullmatch("[a-z0-9_]+", name):
                raise ValueError(f"a server's name is of a-z, 0-9 and _, not {name!r}")
        return value
