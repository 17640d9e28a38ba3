"""The carrier's HTTP requests: signed forms, as Twilio sends them.

Sources: Twilio, "TwiML voice request", "Stream status callbacks", "Call status callbacks", "Webhooks
connection overrides" (15 s to answer, one retry, only when no connection could be made).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from time import perf_counter
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import uuid4

import httpx

from telephony.errors import CarrierError
from telephony.simulator import signature
from telephony.simulator.heard import Request

READ_SECONDS = 15.0
CONNECT_SECONDS = 5.0


class WebhookFailed(CarrierError):
    """A request for TwiML had no usable answer. ``status``: the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message, retryable=status == 0 or status >= 500)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parties:
    """Who is on a call, as every form names them."""

    account_sid: str
    call_sid: str
    from_number: str
    to_number: str

    def form(self, call_status: str) -> dict[str, str]:
        """The standard parameters of a voice request."""
        form = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": call_status,
            "Called": self.to_number,
            "Caller": self.from_number,
            "Direction": "inbound",
            "From": self.from_number,
            "To": self.to_number,
        }
        for who in ("From", "Caller", "To", "Called"):
            form |= {f"{who}City": "", f"{who}State": "", f"{who}Zip": "", f"{who}Country": "US"}
        return form

    def stream_form(self, stream_sid: str, name: str, event: str, error: str = "") -> dict[str, str]:
        """The parameters of a stream status callback: ``stream-started``, ``-stopped`` or ``-error``."""
        form = {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "StreamSid": stream_sid,
            "StreamName": name or stream_sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return form | {"StreamError": error} if error else form

    def status_form(self, status: str, sequence: int, duration: float | None) -> dict[str, str]:
        """The parameters of a call status callback; ``duration`` in seconds for a call that has ended."""
        form = self.form(status) | {
            "SequenceNumber": str(sequence),
            "Timestamp": format_datetime(datetime.now(UTC)),
            "CallbackSource": "call-progress-events",
        }
        if duration is not None:
            whole = round(duration)
            form |= {"CallDuration": str(whole), "Duration": str(-(-whole // 60))}
        return form


class WebhookClient:
    """Sends signed forms. ``via`` is an origin to connect to in place of each URL's own; the signature
    is always that of the URL itself. Every request is reported to ``on_request`` of the call it is for.
    """

    def __init__(self, auth_token: str, *, via: str = "", verify_tls: bool = True) -> None:
        self._auth_token = auth_token
        self._via = via.rstrip("/")
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=64)
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, verify=verify_tls, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def sign(self, url: str) -> dict[str, str]:
        """Headers of an upgrade request for a media URL."""
        return {signature.HEADER: signature.sign(self._auth_token, url), "User-Agent": "Twilio.TmeWs/1.0"}

    async def fetch(
        self, purpose: str, url: str, method: str, form: Mapping[str, str], log: Callable[[Request], None]
    ) -> str:
        """The body of the answer to a request for TwiML. Raises ``WebhookFailed``."""
        status, body = await self._send(purpose, url, method, form, log)
        if not status:
            raise WebhookFailed(f"{purpose}: no answer from {url}: {body}")
        if status != 200:
            raise WebhookFailed(f"{purpose}: {method} {url} was answered with HTTP {status}", status)
        return body

    async def notify(
        self, purpose: str, url: str, form: Mapping[str, str], log: Callable[[Request], None]
    ) -> None:
        """Send a callback whose answer does not matter."""
        await self._send(purpose, url, "POST", form, log)

    async def _send(
        self, purpose: str, url: str, method: str, form: Mapping[str, str], log: Callable[[Request], None]
    ) -> tuple[int, str]:
        if method == "GET":
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(form)}"
        headers = {
            signature.HEADER: signature.sign(self._auth_token, url, form if method == "POST" else None),
            "I-Twilio-Idempotency-Token": str(uuid4()),
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Host": urlsplit(url).netloc.rpartition("@")[2],
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        content = urlencode(form) if method == "POST" else None
        began = perf_counter()
        status, body = 0, ""
        for _attempt in range(2):
            try:
                answer = await self._client.request(
                    method, self._target(url), content=content, headers=headers
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                body = f"{error or type(error).__name__}"
                continue
            except httpx.HTTPError as error:
                body = f"{type(error).__name__}: {error}"
                break
            status, body = answer.status_code, answer.text
            break
        log(Request(purpose, url, status, perf_counter() - began))
        return status, body

    def _target(self, url: str) -> str:
        url = url.partition("#")[0]
        if not self._via:
            return url
        parts = urlsplit(url)
        return self._via + urlunsplit(("", "", parts.path, parts.query, ""))
