"""Settings: profile file, then environment (``TRUNKLINE_``, nested by ``__``). Read once, at start."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
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


class RestSettings(_Group):
    """How much a client of the admin API may ask. Requests are counted in Redis where it is the broker."""

    key_requests_per_minute: int = Field(default=600, ge=1)
    other_requests_per_minute: int = Field(default=60, ge=1)  # of an address, without a valid key
    body_bytes: int = Field(default=1_048_576, ge=1_024)  # largest body of a request
    previews: int = Field(default=2, ge=1, le=16)  # of voices, made at once
    tries: int = Field(default=4, ge=1, le=64)  # of agents as text, at once
    try_seconds: float = Field(default=60.0, gt=0, le=600)  # longest answer of a try


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


class BucketSettings(_Group):
    """A bucket of an S3-compatible service."""

    bucket: str = ""
    region: str = "us-east-1"
    endpoint: str = ""  # https://host[:port]; empty: Amazon's own
    access_key: str = ""  # empty: the environment's credentials, or those of the machine's role
    secret_key: SecretStr = SecretStr("")
    prefix: str = ""  # before every name in the bucket
    timeout_seconds: float = Field(default=60.0, gt=0)


class RecordingSettings(_Group):
    """Whether calls are recorded, by whom, and where it is kept. Agents may differ in the first two."""

    enabled: bool = False
    by: Literal["trunkline", "carrier"] = "trunkline"
    store: Literal["local", "s3"] = "local"
    queue_seconds: float = Field(default=20.0, ge=5, le=600)  # of a recording, that may wait for the disk
    s3: BucketSettings = BucketSettings()

    @model_validator(mode="after")
    def _bucket_named(self) -> Self:
        if self.store == "s3" and not self.s3.bucket:
            raise ValueError("TRUNKLINE_RECORDINGS__STORE=s3 needs TRUNKLINE_RECORDINGS__S3__BUCKET")
        return self


class AfterCallSettings(_Group):
    """The work after a call, done by the worker. Durations in seconds."""

    worker: Literal["child", "apart"] = "child"  # without a broker: who starts the worker
    concurrency: int = Field(default=4, ge=1, le=64)  # calls that a worker works on at once
    relay_seconds: float = Field(default=1.0, gt=0)  # between looks for calls that ended
    lease_seconds: float = Field(default=300.0, gt=0)  # until a message without effect is taken for lost
    step_seconds: float = Field(default=120.0, gt=0)  # for one step of one call
    attempts: int = Field(default=6, ge=1, le=100)  # until a step has failed for good
    retry_seconds: float = Field(
        default=10.0, gt=0
    )  # before a step's second try; four times as long each time
    llm: str = ""  # language models that judge calls, as in engines.llm; empty: those
    max_tokens: int = Field(default=1000, ge=100)  # of an answer about a call
    model_seconds: float = Field(default=60.0, gt=0)  # for an answer about a call
    metrics_port: int = Field(default=0, ge=0, le=65535)  # of the worker's own /metrics; 0: none
    metrics_host: str = "127.0.0.1"  # the address of that port


class WebhookSettings(_Group):
    """Messages to the customer's systems. Durations in seconds."""

    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    retry_seconds: tuple[float, ...] = (
        5,
        30,
        120,
        600,
        3600,
        21600,
    )  # before each further try; then given up
    allow: tuple[
        str, ...
    ] = ()  # hosts, addresses and networks that are not public and may be told all the same
    concurrency: int = Field(default=8, ge=1, le=64)  # messages under way at once, of one worker

    @field_validator("allow")
    @classmethod
    def _hosts_or_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", entry):
                    raise ValueError(f"{entry!r} is no host, address or network") from None
        return value


class RetentionSettings(_Group):
    """After how many days what is left of a call is deleted; 0: never. Agents may say otherwise."""

    recordings_days: int = Field(default=0, ge=0)
    transcripts_days: int = Field(default=0, ge=0)
    calls_days: int = Field(default=0, ge=0)
    hash_key: SecretStr = SecretStr("")  # of the hash that names an erased number; empty: made, and kept


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


class PrivacySettings(_Group):
    """How personal data is found in transcripts after a call."""

    regions: tuple[str, ...] = ("US", "GB")  # ISO 3166; whose numbers are known without a country code
    entity_model: str = ""  # a spaCy pipeline, by name or folder, that finds names; empty: none


class ObservabilitySettings(_Group):
    """What is told about calls beside ``/metrics``. Neither holds texts or numbers of callers."""

    latency_lines: bool = False  # a line of JSON a turn, in files under the data directory
    latency_lines_days: int = Field(default=14, ge=1)  # for which these files are kept
    otlp_url: str = Field(default="", pattern=r"^(https?://[^\s/]+\S*)?$")  # where traces go; empty: nowhere
    otlp_headers: dict[str, SecretStr] = Field(default_factory=dict)  # of each request there
    otlp_timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    trace_ratio: float = Field(default=1.0, ge=0, le=1)  # of the calls that are traced


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
    rest: RestSettings = RestSettings()
    limits: LimitSettings = LimitSettings()
    calls: CallSettings = CallSettings()
    recordings: RecordingSettings = RecordingSettings()
    after_calls: AfterCallSettings = AfterCallSettings()
    webhooks: WebhookSettings = WebhookSettings()
    retention: RetentionSettings = RetentionSettings()
    engines: EngineSettings = EngineSettings()
    privacy: PrivacySettings = PrivacySettings()
    observability: ObservabilitySettings = ObservabilitySettings()

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
    def recordings_dir(self) -> Path:
        """Where recordings are written, and kept where the store is local."""
        return self.data_dir / "recordings"

    @property
    def latency_dir(self) -> Path:
        """Where lines of latency are written."""
        return self.data_dir / "latency"

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
