"""Twilio's HTTP side: the signed voice webhook, its callbacks, and the upgrade of the media socket."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

import orjson
import structlog
from prometheus_client import Counter
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from telephony.carriers.twilio import twiml
from telephony.carriers.twilio.leg import CLOSED, IGNORED, MessageRate, SocketLimits, TwilioLeg
from telephony.carriers.twilio.pending import PendingCalls
from telephony.carriers.twilio.protocol import Ignored, MediaStream, StreamStarted
from telephony.carriers.twilio.rest import TwilioRest
from telephony.carriers.twilio.signature import SignatureCheck, TwilioCredentials
from telephony.errors import CarrierError, HangupCause, RemoteProtocolError
from telephony.ports import CallHandler, LegInfo

log = structlog.get_logger(__name__)

WEBHOOKS = Counter("trunkline_twilio_webhooks", "Webhooks by route and answer", ["route", "answer"])

_TERMINAL = {"completed", "busy", "failed", "no-answer", "canceled"}
_DIAL_UNANSWERED = {"busy", "no-answer", "failed", "canceled"}
_MACHINE_READY = {"machine_end_beep", "machine_end_silence", "machine_end_other"}
_STATUSES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """What the carrier's routes need to know. ``origin`` is the public one; durations in seconds.

    ``busy_sentence`` is asked for whenever it is said: operators change it.
    """

    credentials: TwilioCredentials
    origin: str
    token_seconds: float
    fallback_number: str
    busy_sentence: Callable[[], str]
    limits: SocketLimits
    body_bytes: int = 65_536
    api_url: str = ""


class _Refused(Exception):
    """A webhook that is answered with an error. The text goes to the sender."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class TwilioCarrier:
    """The routes of one Twilio account, and the legs that came in through them."""

    def __init__(self, settings: TwilioSettings, handler: CallHandler) -> None:
        self._settings = settings
        self._handler = handler
        self._check = SignatureCheck(settings.credentials, settings.origin)
        self._routes = twiml.Routes.under(settings.origin)
        self._pending = PendingCalls(settings.token_seconds)
        self._legs: dict[str, TwilioLeg] = {}
        self._rest = TwilioRest(settings.credentials, settings.api_url)
        self._status_sequence: OrderedDict[str, int] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        """The carrier's routes, exactly as given: no slash redirects, since the path is signed."""
        webhooks: dict[str, Callable[[_Form], Awaitable[Response]]] = {
            "incoming": self._incoming,
            "status": self._status,
            "stream-status": self._stream_status,
            "after": self._after,
            "recording": self._recording,
            "amd": self._machine_detection,
        }
        served: list[BaseRoute] = [
            Route(f"/voice/twilio/{name}", self._signed(name, answer), methods=["GET", "POST"])
            for name, answer in webhooks.items()
        ]
        return [*served, WebSocketRoute("/media/twilio", self._media)]

    # Webhooks

    def _signed(
        self, name: str, answer: Callable[[_Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                form = await self._verified(request)
                response = await answer(form)
            except _Refused as refused:
                WEBHOOKS.labels(name, str(refused.status)).inc()
                log.warning("webhook refused", route=name, status=refused.status, reason=str(refused))
                return PlainTextResponse(str(refused), refused.status)
            WEBHOOKS.labels(name, str(response.status_code)).inc()
            return response

        return endpoint

    async def _verified(self, request: Request) -> _Form:
        """The request's fields, after its signature. Raises ``_Refused``."""
        target = request.scope["raw_path"].decode("latin-1")
        if request.url.query:
            target += "?" + request.scope["query_string"].decode("latin-1")
        if request.method == "GET":
            genuine = self._check.webhook(target, request.headers, ImmutableMultiDict())
            return _Form(_require(genuine, dict(request.query_params)), self._settings.credentials)
        body = await self._body(request)
        if request.headers.get("content-type", "").startswith("application/json"):
            genuine = self._check.json_webhook(target, request.headers, body)
            return _Form(_require(genuine, _json_fields(body)), self._settings.credentials)
        form = _parse_form(body)
        genuine = self._check.webhook(target, request.headers, form)
        return _Form(_require(genuine, dict(form)), self._settings.credentials)

    async def _body(self, request: Request) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._settings.body_bytes:
                raise _Refused(413, f"The body is larger than {self._settings.body_bytes} bytes.")
            parts.append(part)
        return b"".join(parts)

    async def _incoming(self, form: _Form) -> Response:
        info = LegInfo(
            carrier="twilio",
            carrier_call_id=form.call_sid(),
            direction="outbound" if form.get("Direction").startswith("outbound") else "inbound",
            from_number=form.get("From"),
            to_number=form.get("To"),
        )
        return self._connect(info)

    def _connect(self, info: LegInfo) -> Response:
        if not self._handler.reserve(info.carrier_call_id):
            log.warning("call turned away: full or draining")
            return _xml(self._apology())
        document = self._pending.document(
            info, lambda token: twiml.connect_stream(self._routes, token), time.monotonic()
        )
        return _xml(document)

    async def _after(self, form: _Form) -> Response:
        """``<Connect>`` or ``<Dial>`` is over. When a dialled person did not answer, the agent does."""
        call_sid = form.call_sid()
        status = form.get("DialCallStatus")
        if not status and (number := self._handler.onward(call_sid)):
            return _xml(twiml.dial(number, self._routes))
        if status:
            self._handler.note(call_sid, "dial_ended", {"status": status})
        if status not in _DIAL_UNANSWERED:
            return _xml(twiml.hang_up())
        if not self._handler.reserve(call_sid):
            return _xml(twiml.say_goodbye(self._settings.busy_sentence()))
        self._pending.discard(call_sid)  # its token may have been used before the transfer
        return await self._incoming(form)

    async def _status(self, form: _Form) -> Response:
        """Call status. Events are separate requests and come in any order: only a later one counts."""
        call_sid, status = form.call_sid(), form.get("CallStatus")
        sequence = form.integer("SequenceNumber", default=-1)
        last = self._status_sequence.get(call_sid)
        if last is not None and (last >= sequence >= 0):
            return Response(status_code=204)
        terminal = status in _TERMINAL
        self._status_sequence[call_sid] = 2**31 if terminal else sequence
        self._status_sequence.move_to_end(call_sid)
        if len(self._status_sequence) > _STATUSES_KEPT:
            self._status_sequence.popitem(last=False)
        detail: dict[str, str | int | float | bool] = {"status": status}
        if form.get("CallDuration"):  # seconds; "Duration" beside it is in minutes, for billing
            detail["seconds"] = form.integer("CallDuration", default=0)
        self._handler.note(call_sid, "carrier_status", detail)
        leg = self._legs.get(call_sid)
        if terminal and leg is not None:
            leg.hang_up(HangupCause.CALLER)
        return Response(status_code=204)

    async def _stream_status(self, form: _Form) -> Response:
        """A stream error comes before its socket dies: redirect the call at once, and once."""
        call_sid, event = form.call_sid(), form.get("StreamEvent")
        if event == "stream-error":
            self._handler.note(call_sid, "stream_error", {"error": form.get("StreamError")[:200]})
            leg = self._legs.get(call_sid)
            if leg is not None and leg.stream_failed():
                await self._redirect(call_sid)
                leg.hang_up(HangupCause.CARRIER_ERROR)
        return Response(status_code=204)

    async def _redirect(self, call_sid: str) -> None:
        try:
            redirected = await self._rest.redirect(call_sid, self._apology())
        except CarrierError as error:
            log.error("call could not be redirected", reason=str(error))
            return
        log.warning("call redirected after a stream error", already_ended=not redirected)

    def _apology(self) -> str:
        """The document for a call that nobody can take now."""
        settings = self._settings
        return twiml.apologise(settings.busy_sentence(), settings.fallback_number, self._routes)

    async def _recording(self, form: _Form) -> Response:
        detail: dict[str, str | int | float | bool] = {
            "status": form.get("RecordingStatus"),
            "sid": form.get("RecordingSid"),
            "seconds": form.integer("RecordingDuration", default=0),
        }
        self._handler.note(form.call_sid(), "carrier_recording", detail)
        return Response(status_code=204)

    async def _machine_detection(self, form: _Form) -> Response:
        call_sid, answered_by = form.call_sid(), form.get("AnsweredBy")
        self._handler.note(call_sid, "answered_by", {"kind": answered_by})
        leg = self._legs.get(call_sid)
        if leg is not None and answered_by in _MACHINE_READY:
            leg.machine_detected()
        return Response(status_code=204)

    # The media socket

    async def _media(self, socket: WebSocket) -> None:
        target = socket.scope["raw_path"].decode("latin-1")
        if socket.url.query:
            target += "?" + socket.scope["query_string"].decode("latin-1")
        if not self._check.upgrade(target, socket.headers):
            CLOSED.labels("bad_signature").inc()
            log.warning("media socket refused: the upgrade's signature is missing or wrong")
            await socket.close()  # before accept: the peer sees HTTP 403
            return
        await socket.accept()
        stream = MediaStream()
        try:
            async with asyncio.timeout(self._settings.limits.start_seconds):
                started = await self._started(socket, stream)
            info = self._claimed(started) if started else None
        except TimeoutError:
            await _refuse(socket, 1008, "no_start")
            return
        except RemoteProtocolError as error:
            await _refuse(socket, error.close_code, "bad_start", str(error))
            return
        if info is None:
            if started:
                await _refuse(socket, 1008, "bad_token")
            return
        await self._carry(TwilioLeg(socket, stream, info, self._settings.limits))

    async def _started(self, socket: WebSocket, stream: MediaStream) -> StreamStarted | None:
        """The carrier's ``start``; None when the socket closed before. Raises ``RemoteProtocolError``."""
        rate = MessageRate(self._settings.limits.messages_per_second)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if rate.exceeded(time.monotonic):
                raise RemoteProtocolError("too many messages before start")
            text = message.get("text")
            event = stream.receive(text) if text is not None else Ignored("binary")
            if isinstance(event, StreamStarted):
                return event
            if isinstance(event, Ignored):
                IGNORED.labels(event.reason).inc()

    def _claimed(self, started: StreamStarted) -> LegInfo | None:
        if started.account_sid != self._settings.credentials.account_sid:
            return None
        token = started.parameters.get("token", "")
        return self._pending.claim(token, started.call_sid, time.monotonic())

    async def _carry(self, leg: TwilioLeg) -> None:
        call_sid = leg.info.carrier_call_id
        self._legs[call_sid] = leg
        try:
            await self._handler.handle(leg)
        finally:
            del self._legs[call_sid]


class _Form:
    """A verified webhook's fields; an absent one is empty. Our account's, or it is refused."""

    def __init__(self, fields: dict[str, str], credentials: TwilioCredentials) -> None:
        self._fields = fields
        if fields.get("AccountSid") != credentials.account_sid:
            raise _Refused(403, "AccountSid is not the account that this server answers for.")

    def get(self, name: str) -> str:
        return self._fields.get(name, "")

    def call_sid(self) -> str:
        sid = self.get("CallSid")
        if not (0 < len(sid) <= 64 and sid.isascii() and sid.isalnum()):
            raise _Refused(400, "CallSid is missing or is not a call's id.")
        return sid

    def integer(self, name: str, default: int) -> int:
        value = self.get(name)
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default


def _require(genuine: bool, fields: dict[str, str]) -> dict[str, str]:
    if not genuine:
        raise _Refused(
            403,
            "The request's signature is missing or wrong. Check TRUNKLINE_TWILIO__AUTH_TOKEN, and that "
            "TRUNKLINE_PUBLIC_URL is the origin configured at the carrier.",
        )
    return fields


def _parse_form(body: bytes) -> ImmutableMultiDict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=1000, errors="strict")
    except ValueError:
        raise _Refused(400, "The body is not application/x-www-form-urlencoded.") from None
    return ImmutableMultiDict(pairs)


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Refused(400, "The body is not JSON.") from None
    if not isinstance(data, dict):
        raise _Refused(400, "The body is not a JSON object.")
    return {name: value for name, value in data.items() if isinstance(value, str)}


async def _refuse(socket: WebSocket, code: int, reason: str, detail: str = "") -> None:
    CLOSED.labels(reason).inc()
    log.warning("media socket refused", reason=reason, detail=detail)
    await socket.close(code)


def _xml(document: str) -> Response:
    return Response(document, media_type="text/xml")
