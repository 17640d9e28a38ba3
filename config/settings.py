"""Settings: profile file, then environment (``TRUNKLINE_``, nested by ``__``). Read once, at start."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.engines import EngineSettings
from config.group import Group

ROOT = Path(__file__).resolve().parent
PROFILES = ROOT / "profiles"
AGENTS = ROOT / "agents"


class HttpSettings(Group):
    """Where the web process listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    # Addresses and networks of proxies whose X-Forwarded-For tells the client's address.
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses_or_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_network(entry)
            except ValueError:
                raise ValueError(f"{entry!r} is no address or network, such as 10.1.0.0/16") from None
        return value


class TwilioSettings(Group):
    """The account whose webhooks are accepted. Empty in the embedded profile: made at first start."""

    account_sid: str = ""
    auth_token: SecretStr = SecretStr("")
    shared_keys: dict[str, SecretStr] = Field(default_factory=dict)  # key id -> secret, HMAC-SHA256 scheme
    api_url: str = ""  # REST origin; empty: Twilio's own


class AdminSettings(Group):
    """Who may use the admin API. Empty in the embedded profile: made at first start."""

    api_key: SecretStr = SecretStr("")


class RestSettings(Group):
    """How much a client of the admin API may ask. Requests are counted in Redis where it is the broker."""

    key_requests_per_minute: int = Field(default=600, ge=1)
    other_requests_per_minute: int = Field(default=60, ge=1)  # of an address, without a valid key
    body_bytes: int = Field(default=1_048_576, ge=1_024)  # largest body of a request
    previews: int = Field(default=2, ge=1, le=16)  # of voices, made at once
    tries: int = Field(default=4, ge=1, le=64)  # of agents as text, at once
    try_seconds: float = Field(default=60.0, gt=0, le=600)  # longest answer of a try


class LimitSettings(Group):
    """What the process admits, and what one peer may send."""

    max_calls: int = Field(default=100, ge=1)
    message_bytes: int = Field(default=65_536, ge=4_096)
    messages_per_second: int = Field(default=500, ge=100)  # a carrier sends 50; bursts follow a network stall
    start_seconds: float = Field(default=10.0, gt=0)  # from accept to the carrier's "start"
    idle_seconds: float = Field(default=30.0, gt=0)  # without any message
    send_seconds: float = Field(default=5.0, gt=0)  # a carrier that stops reading
    drain_seconds: float = Field(default=30.0, ge=0)  # for running calls at shutdown


class CallSettings(Group):
    """Which agent answers, and what happens when none can."""

    agent: str = "parcel"
    fallback_number: str = Field(default="", pattern=r"^(\+[1-9]\d{6,14})?$")
    token_seconds: float = Field(default=60.0, gt=0)
    lead_seconds: float = Field(default=0.3, ge=0.2, le=0.4)  # audio sent ahead of what the caller hears


class BucketSettings(Group):
    """A bucket of an S3-compatible service."""

    bucket: str = ""
    region: str = "us-east-1"
    endpoint: str = ""  # https://host[:port]; empty: Amazon's own
    access_key: str = ""  # empty: the environment's credentials, or those of the machine's role
    secret_key: SecretStr = SecretStr("")
    prefix: str = ""  # before every name in the bucket
    timeout_seconds: float = Field(default=60.0, gt=0)


class RecordingSettings(Group):
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


class AfterCallSettings(Group):
    """The work after a call, done by the worker. Durations in seconds."""

    worker: Literal["child", "apart"] = "child"  # without a broker: who starts the worker
    concurrency: int = Field(default=4, ge=1, le=64)  # calls that a worker works on at once
    relay_seconds: float = Field(default=1.0, gt=0)  # between looks for calls that ended
    lease_seconds: float = Field(default=300.0, gt=0)  # until a message without effect is taken for lost
    step_seconds: float = Field(default=120.0, gt=0)  # for one step of one call
    attempts: int = Field(default=6, ge=1, le=100)  # until a step has failed for good
    # Before a step's second try; four times as long each time.
    retry_seconds: float = Field(default=10.0, gt=0)
    llm: str = ""  # language models that judge calls, as in engines.llm; empty: those
    max_tokens: int = Field(default=1000, ge=100)  # of an answer about a call
    model_seconds: float = Field(default=60.0, gt=0)  # for an answer about a call
    metrics_port: int = Field(default=0, ge=0, le=65535)  # of the worker's own /metrics; 0: none
    metrics_host: str = "127.0.0.1"  # the address of that port


class WebhookSettings(Group):
    """Messages to the customer's systems. Durations in seconds."""

    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    # Before each further try; then it is given up.
    retry_seconds: tuple[float, ...] = (5, 30, 120, 600, 3600, 21600)
    # Hosts, addresses and networks that are not public and may be told all the same.
    allow: tuple[str, ...] = ()
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


class RetentionSettings(Group):
    """After how many days what is left of a call is deleted; 0: never. Agents may say otherwise."""

    recordings_days: int = Field(default=0, ge=0, le=36500)
    transcripts_days: int = Field(default=0, ge=0, le=36500)
    calls_days: int = Field(default=0, ge=0, le=36500)
    hash_key: SecretStr = SecretStr("")  # of the hash that names an erased number; empty: made, and kept


class PrivacySettings(Group):
    """How personal data is found in transcripts after a call."""

    regions: tuple[str, ...] = ("US", "GB")  # ISO 3166; whose numbers are known without a country code
    entity_model: str = ""  # a spaCy pipeline, by name or folder, that finds names; empty: none


class ObservabilitySettings(Group):
    """What is told about calls beside ``/metrics``. Neither holds texts or numbers of callers."""

    latency_lines: bool = False  # a line of JSON a turn, in files under the data directory
    latency_lines_days: int = Field(default=14, ge=1)  # for which these files are kept
    otlp_url: str = Field(default="", pattern=r"^(https?://[^\s/]+\S*)?$")  # where traces go; empty: nowhere
    otlp_headers: dict[str, SecretStr] = Field(default_factory=dict)  # of each request there
    otlp_timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    trace_ratio: float = Field(default=1.0, ge=0, le=1)  # of the calls that are traced


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
