"""Servers of OpenAI's HTTP API: where one is, its key, the connections to it, and its errors in words.

An error text names the setting to change. It quotes the server at most 200 characters, never the key nor
what is private in a request. Connections stay open for 300 s without use, so that a turn does not wait for a
handshake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.http_client import environment_of
from app.engines.quotation import quotation, shown_address
from config.engines import OpenAISettings, OpenAISpeechToTextSettings, OpenAITextToSpeechSettings

OPENAI_URL = "https://api.openai.com/v1"
_IDLE_SECONDS = 300.0
_CONNECTIONS = 1000
_PASSING = frozenset({408, 409, 425, 429})  # besides 5xx: the same request may succeed later
NOT_NOW = frozenset({502, 503, 504})  # a gateway without its server; a server that still loads
_PREFIX = "TRUNKLINE_ENGINES__"


class ServerRefusal(EngineError):
    """The server answered with an HTTP status of an error."""

    def __init__(self, engine: str, message: str, status: int) -> None:
        super().__init__(engine, message, retryable=status in _PASSING or status >= 500)
        self.status = status


@dataclass(frozen=True, slots=True)
class OpenAIEndpoint:
    """A server, for the engine called ``engine``; ``*_setting``: the variables that its parts come from."""

    engine: str
    url: str
    key: str = field(repr=False)
    timeout_seconds: float
    url_setting: str
    key_setting: str
    model_setting: str

    def connections(self) -> httpx2.AsyncClient:
        """A new client; 20 ms, most of it for the certificates. Timeouts are those of each single read.

        Raises ``EngineUnavailable`` for proxies or certificates of the environment that cannot be used.
        """
        limits = httpx2.Limits(
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
        )
        timeout = httpx2.Timeout(self.timeout_seconds)
        with environment_of(self.engine):
            return httpx2.AsyncClient(limits=limits, timeout=timeout, follow_redirects=True)

    def check_complete(self, model: str) -> None:
        """Raises ``EngineUnavailable`` for settings that cannot work: no model, no key for OpenAI, no URL."""
        if not model:
            raise EngineUnavailable(self.engine, f"no model named; set {self.model_setting}")
        if not self.key and self.url == OPENAI_URL:
            raise EngineUnavailable(self.engine, f"no key; set {self.key_setting} or {self.url_setting}")
        if not self.key.isascii() or len(self.key.split()) > 1:
            problem = "it is no key: keys are of ASCII characters without spaces"
            raise EngineUnavailable(self.engine, f"{problem}; check {self.key_setting}")
        if _server_of(self.url) is None:
            problem = f"{self.url_setting} must be a URL such as http://127.0.0.1:8000/v1"
            raise EngineUnavailable(self.engine, problem)

    def refused(self, status: int, said: str = "", private: str = "") -> ServerRefusal:
        """The error of an answer with this HTTP status; ``said`` is the server's own text."""
        return ServerRefusal(self.engine, self._problem(status, self.quoted(said, private)), status)

    def unavailable(self, status: int, said: str = "") -> EngineUnavailable:
        """Like ``refused``, at the start."""
        problem = self._problem(status, self.quoted(said))
        return EngineUnavailable(
            self.engine, f"{shown_address(self.url)}: {problem}", retryable=status in NOT_NOW
        )

    def unreached(self) -> EngineUnavailable:
        """The error of a server that does not answer at the start."""
        problem = f"{shown_address(self.url)}: no connection to the server; check {self.url_setting}"
        return EngineUnavailable(self.engine, problem, retryable=True)

    def silent(self) -> EngineTimeout:
        """The error of a server from which nothing came for ``timeout_seconds``."""
        return EngineTimeout(self.engine, f"nothing from the server for {self.timeout_seconds:g} s")

    def broken(self, error: httpx2.HTTPError | httpx2.StreamError | httpx2.InvalidURL) -> EngineError:
        """What a failed exchange becomes."""
        match error:
            case httpx2.TimeoutException():
                return self.silent()
            case httpx2.ConnectError():
                return EngineError(self.engine, "no connection to the server")
            case _:
                return EngineError(self.engine, f"the connection broke ({type(error).__name__})")

    def quoted(self, said: str, private: str = "") -> str:
        """A server's own words, short and without the key; none where they repeat ``private``."""
        return quotation(said.replace(self.key, "***") if self.key else said, private)

    def _problem(self, status: int, said: str) -> str:
        match status:
            case 401 | 403:
                return f"the server refuses the key ({status}); check {self.key_setting}"
            case 404 | 405:
                told = f"the server answers {status}{said and ': '}{said}"
                return f"{told}; check {self.url_setting} and {self.model_setting}"
            case 429:
                return "the server's rate or quota is used up (429)"
            case _:
                return f"the server answers {status}{said and ': '}{said}"


def chat_endpoint(engine: str, group: str, settings: OpenAISettings) -> OpenAIEndpoint:
    """The server of a language model, whose settings are called ``group``."""
    return OpenAIEndpoint(
        engine=engine,
        url=settings.base_url or OPENAI_URL,
        key=settings.api_key.get_secret_value(),
        timeout_seconds=settings.timeout_seconds,
        url_setting=f"{_PREFIX}{group}__BASE_URL",
        key_setting=f"{_PREFIX}{group}__API_KEY",
        model_setting=f"{_PREFIX}{group}__MODEL",
    )


def speech_endpoint(
    engine: str,
    group: str,
    settings: OpenAISpeechToTextSettings | OpenAITextToSpeechSettings,
    language_model: OpenAISettings,
) -> OpenAIEndpoint:
    """The server of a speech engine, whose settings are called ``group``.

    An empty URL is the language model's. So is an empty key, where the server is the same: a key is never
    sent to a server that it was not given for.
    """
    url = settings.base_url or language_model.base_url or OPENAI_URL
    language_url = language_model.base_url or OPENAI_URL
    same = _server_of(url) == _server_of(language_url)
    own = settings.api_key.get_secret_value()
    inherited = language_model.api_key.get_secret_value() if same and not own else ""
    shared_url = not settings.base_url and bool(language_model.base_url)
    return OpenAIEndpoint(
        engine=engine,
        url=url.rstrip("/"),
        key=own or inherited,
        timeout_seconds=settings.timeout_seconds,
        url_setting=f"{_PREFIX}{'OPENAI' if shared_url else group}__BASE_URL",
        key_setting=f"{_PREFIX}{'OPENAI' if inherited else group}__API_KEY",
        model_setting=f"{_PREFIX}{group}__MODEL",
    )


def _server_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; ``None`` for what is no URL of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port
