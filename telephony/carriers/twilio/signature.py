"""Is this request from Twilio? Webhooks and WebSocket upgrades, by signature, failing closed.

Twilio's own ``RequestValidator`` makes the digests. Around it stands what it gets wrong or leaves out
(twilio 9.13): a string body without ``bodySHA256`` raises ``TypeError``; for ``wss`` it takes 80 as the
default port; its comparison is not the constant-time one of the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
)

SIGNATURE_HEADER = "X-Twilio-Signature"


@dataclass(frozen=True, slots=True)
class TwilioCredentials:
    """An account's id, its primary auth token, and shared keys by id (HMAC-SHA256 scheme)."""

    account_sid: str
    auth_token: str = field(repr=False)
    shared_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


class SignatureCheck:
    """Checks requests against the public origin, never against what their headers say of host and scheme."""

    def __init__(self, credentials: TwilioCredentials, origin: str) -> None:
        self._credentials = credentials
        self._origin = origin
        scheme, _, self._authority = origin.partition("://")
        self._socket_scheme = "wss" if scheme == "https" else "ws"

    def webhook(self, target: str, headers: Mapping[str, str], form: ImmutableMultiDict[str, str]) -> bool:
        """A form POST or a GET (empty form). ``target`` is the raw path with its raw query."""
        params = _MultiDict(form)
        return any(self._signed(url, headers, params) for url in _with_ports(self._origin + target))

    def json_webhook(self, target: str, headers: Mapping[str, str], body: bytes) -> bool:
        """A JSON POST: the query's ``bodySHA256`` must be the body's, and the URL alone is signed."""
        stated = parse_qs(urlsplit(target).query).get("bodySHA256", [""])[0]
        if not hmac.compare_digest(stated.encode(), hashlib.sha256(body).hexdigest().encode()):
            return False
        return any(self._signed(url, headers, None) for url in _with_ports(self._origin + target))

    def upgrade(self, target: str, headers: Mapping[str, str]) -> bool:
        """A WebSocket upgrade: the ``wss`` URL, also with a trailing slash as Twilio's guide advises."""
        url = f"{self._socket_scheme}://{self._authority}{target}"
        return any(
            self._signed(candidate, headers, None)
            for base in (url, url + "/")
            for candidate in _with_ports(base)
        )

    def _signed(self, url: str, headers: Mapping[str, str], params: _MultiDict | None) -> bool:
        secret, algorithm = self._scheme(headers.get(SIGNATURE_SETTINGS_HEADER, ""))
        given = headers.get(SIGNATURE_HEADER, "")
        if not secret or not given:
            return False
        expected: str = RequestValidator(secret).compute_signature(url, params, algorithm)
        return hmac.compare_digest(expected.encode(), given.encode())

    def _scheme(self, settings: str) -> tuple[str, str]:
        """The secret and algorithm a request names; no secret when they are not ours. Never a weaker one."""
        if not settings:
            return self._credentials.auth_token, HMAC_SHA1
        named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        if named.get("algorithm", "").upper() != HMAC_SHA256:
            return "", HMAC_SHA256
        return self._credentials.shared_keys.get(named.get("key", ""), ""), HMAC_SHA256


class _MultiDict(dict[str, str]):
    """A form as ``RequestValidator`` reads one: keys, and ``getlist`` for repeated names."""

    def __init__(self, form: ImmutableMultiDict[str, str]) -> None:
        super().__init__(form)
        self.getlist = form.getlist


def _with_ports(url: str) -> tuple[str, ...]:
    """The URL as configured, and without and with the port that its scheme implies (Twilio does either)."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, ""
    default = {"https": "443", "wss": "443", "http": "80", "ws": "80"}[scheme]
    variants = {url, f"{scheme}://{host}:{port or default}{slash}{path}"}
    if scheme in {"https", "wss"} or port == default:  # over TLS the port is dropped before signing
        variants.add(f"{scheme}://{host}{slash}{path}")
    return tuple(variants)
