"""Settings: profile file, then environment (``TRUNKLINE_``, nested by ``__``). Read once, at start."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ROOT = Path(__file__).resolve().parent
PROFILES = ROOT / "profiles"
AGENTS = ROOT / "agents"


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HttpSettings(_Group):
    """Where the web process listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)


class TwilioSettings(_Group):
    """The account whose webhooks are accepted. Empty in the embedded profile: made at first start."""

    account_sid: str = ""
    auth_token: SecretStr = SecretStr("")
    shared_keys: dict[str, SecretStr] = Field(default_factory=dict)  # key id -> secret, HMAC-SHA256 scheme
    api_url: str = ""  # REST origin; empty: Twilio's own


class AdminSettings(_Group):
    """Who may use the admin API. Empty in the embedded profile: made at first start."""

    api_key: SecretStr = SecretStr("")


class LimitSettings(_Group):
    """What the process admits, and what one peer may send."""

    max_calls: int = Field(default=100, ge=1)
    message_bytes: int = Field(default=65_536, ge=4_096)
    messages_per_second: int = Field(default=500, ge=100)  # a carrier sends 50; bursts follow a network stall
    start_seconds: float = Field(default=10.0, gt=0)  # from accept to the carrier's "start"
    idle_seconds: float = Field(default=30.0, gt=0)  # without any message
    send_seconds: float = Field(default=5.0, gt=0)  # a carrier that stops reading
    drain_seconds: float = Field(default=30.0, ge=0)  # for running calls at shutdown


class CallSettings(_Group):
    """Which agent answers, and what happens when none can."""

    agent: str = "parcel"
    fallback_number: str = Field(default="", pattern=r"^(\+[1-9]\d{6,14})?$")
    token_seconds: float = Field(default=60.0, gt=0)
    lead_seconds: float = Field(default=0.3, ge=0.2, le=0.4)  # audio sent ahead of what the caller hears


class OpenAISettings(_Group):
    """Any server of OpenAI's chat completions: vLLM, Ollama, OpenAI, Gemini's compatible endpoint."""

    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    model: str = ""
    temperature: float = Field(default=0.4, ge=0, le=2)
    max_tokens: int = Field(default=200, ge=1)
    timeout_seconds: float = Field(default=10.0, gt=0)


class OpenAISpeechToTextSettings(_Group):
    """Any server of OpenAI's ``/v1/audio/transcriptions``: OpenAI, speaches, vLLM."""

    base_url: str = ""  # empty: that of the language model
    api_key: SecretStr = SecretStr("")  # empty: that of the language model, if the server is its
    model: str = "gpt-4o-mini-transcribe"
    timeout_seconds: float = Field(default=10.0, gt=0)


class OpenAITextToSpeechSettings(_Group):
    """Any server of OpenAI's ``/v1/audio/speech``: OpenAI, Kokoro, speaches."""

    base_url: str = ""  # empty: that of the language model
    api_key: SecretStr = SecretStr("")  # empty: that of the language model, if the server is its
    model: str = "gpt-4o-mini-tts"
    voice: str = "alloy"  # where an agent names none
    format: Literal["pcm", "wav"] = "pcm"
    pcm_hz: int = Field(default=24_000, ge=8_000, le=48_000)  # of "pcm", which does not say so itself
    timeout_seconds: float = Field(default=10.0, gt=0)


class FasterWhisperSettings(_Group):
    """Whisper on ctranslate2, in this process."""

    model: str = "faster-whisper-base.en"  # a folder: its path, or its name among the models
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = ""  # empty: float16 on CUDA, int8 elsewhere
    workers: int = Field(default=1, ge=1, le=16)  # decodings at once, each on a core of its own
    interim_seconds: float = Field(default=0.2, ge=0.1, le=2)  # of new speech before each interim
    window_seconds: float = Field(default=3.0, ge=1, le=10)  # decoded again for an interim


class SherpaOnnxSettings(_Group):
    """A streaming model of sherpa-onnx, in this process."""

    model: str = "sherpa-onnx-streaming-zipformer-en-2023-06-26"  # a folder: its path, or its name
    threads: int = Field(default=1, ge=1, le=16)
    hotwords_score: float = Field(
        default=1.5, ge=0, le=10
    )  # of an agent's phrases, where the model takes them


class VoskSettings(_Group):
    """A Kaldi model, in this process."""

    model: str = "vosk-model-small-en-us-0.15"  # a folder: its path, or its name among the models
    workers: int = Field(default=1, ge=1, le=16)


class WyomingSettings(_Group):
    """Speech servers of Home Assistant's Wyoming protocol, tcp://host:port."""

    stt_url: str = ""
    tts_url: str = ""
    timeout_seconds: float = Field(default=10.0, gt=0)


class EdgeSettings(_Group):
    """The voices of Microsoft Edge's reading aloud: a public service without a promise."""

    url: str = ""  # of another endpoint, ws:// or wss://; empty: Microsoft's
    voice: str = ""  # where an agent names none; empty: the first of its language
    timeout_seconds: float = Field(default=10.0, gt=0)


class PiperSettings(_Group):
    """Piper voices, in worker processes."""

    voice: str = (
        "en_US-lessac-medium"  # where an agent names none: a file's path, or its name among the models
    )
    workers: int = Field(default=1, ge=1, le=16)


class ApertiumSettings(_Group):
    """Apertium's translation by rules."""

    url: str = ""  # of an apertium-apy server; empty: the command ``apertium``


class FallbackSettings(_Group):
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


class TimedSettings(_Group):
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


class PocketsphinxSettings(_Group):
    """Worker processes of the embedded recogniser."""

    workers: int = Field(default=1, ge=1, le=64)


class SmartTurnSettings(_Group):
    """The model that hears whether a turn is over."""

    path: str = ""  # of the ONNX file; empty: turns end by their words alone


class EngineSettings(_Group):
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


class Settings(BaseSettings):
    """All settings of a process."""

    model_config = SettingsConfigDict(
        env_prefix="TRUNKLINE_", env_nested_delimiter="__", extra="ignore", hide_input_in_errors=True
    )

    profile: str = "embedded"
    public_url: str = ""
    data_dir: Path = Path("var")
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_json: bool = False
    http: HttpSettings = HttpSettings()
    twilio: TwilioSettings = TwilioSettings()
    admin: AdminSettings = AdminSettings()
    limits: LimitSettings = LimitSettings()
    calls: CallSettings = CallSettings()
    engines: EngineSettings = EngineSettings()

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("TRUNKLINE_PUBLIC_URL must be an origin such as https://voice.example.com")
        if parts.path not in {"", "/"} or parts.fragment:
            raise ValueError(
                "TRUNKLINE_PUBLIC_URL must have no path: carriers are sent to fixed routes under it"
            )
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def models_dir(self) -> Path:
        """Where ``trunkline models fetch`` puts models."""
        return self.data_dir / "models"

    @property
    def origin(self) -> str:
        """The origin that callers and carriers see, without a trailing slash."""
        return self.public_url or f"http://{self.http.host}:{self.http.port}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the profile's file."""
        return (init_settings, env_settings, _ProfileFile(settings_cls, init_settings))


class _ProfileFile(PydanticBaseSettingsSource):
    """``config/profiles/<profile>.yaml``."""

    def __init__(self, settings_cls: type[BaseSettings], arguments: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        name = str(arguments().get("profile") or os.environ.get("TRUNKLINE_PROFILE") or "embedded")
        path = PROFILES / f"{name}.yaml"
        known = sorted(file.stem for file in PROFILES.glob("*.yaml"))
        if name not in known:
            raise SystemExit(f"TRUNKLINE_PROFILE is {name!r}; known profiles are {', '.join(known)}")
        self._values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """One field's value, as pydantic-settings asks for it."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values of the file."""
        return self._values
