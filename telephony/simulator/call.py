"""One call at the carrier: asks for TwiML, carries out its verbs, and tells the server what became of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal, TypeAlias

from telephony.simulator import twiml, wire
from telephony.simulator.conditions import PERFECT, LineConditions
from telephony.simulator.heard import EventKind, HeardCall, LineEvent, Request, Violation
from telephony.simulator.phone import HungUpError, Phone
from telephony.simulator.recording import LineRecording
from telephony.simulator.socket import Closed, MediaSocket, UpgradeRefused, open_socket
from telephony.simulator.webhook import Parties, WebhookClient

CallerFn: TypeAlias = Callable[[Phone], Awaitable[None]]
"""What the caller does once the call is answered; when it returns, the caller hangs up."""

Ending: TypeAlias = Literal["caller", "agent", "carrier", "rejected"]

DialOutcome: TypeAlias = Literal["completed", "answered", "busy", "no-answer", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How a call is placed. URLs are as configured at the carrier; times in seconds.

    ``dial_outcome`` is what becomes of every ``<Dial>``. ``status_events`` are those sent to
    ``status_callback``: ``initiated``, ``ringing``, ``answered``, ``completed``.
    """

    webhook_url: str
    account_sid: str
    from_number: str
    to_number: str
    via: str = ""
    verify_tls: bool = True
    offer_deflate: bool = False
    status_callback: str = ""
    status_events: tuple[str, ...] = ("completed",)
    dial_outcome: DialOutcome = "completed"
    max_seconds: float = 600.0
    keep_audio: bool = True
    conditions: LineConditions = PERFECT


def new_sid(prefix: str) -> str:
    """A Twilio identifier: two letters and 32 hex digits."""
    return prefix + secrets.token_hex(16)


class Call:
    """Run once. ``redirect`` and ``complete`` are what the carrier's REST API does to a live call."""

    def __init__(self, plan: CallPlan, client: WebhookClient) -> None:
        self.sid = new_sid("CA")
        self._plan = plan
        self._client = client
        self._parties = Parties(plan.account_sid, self.sid, plan.from_number, plan.to_number)
        self._phone = Phone(plan.conditions)
        self._requests: list[Request] = []
        self._documents: list[str] = []
        self._dialled: list[str] = []
        self._status_sequence = 0
        self._ending: Ending | None = None
        self._setup = 0.0
        self._began = datetime.now(UTC)
        self._caller: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._recordings: list[LineRecording] = []
        self._redirected: asyncio.Future[tuple[twiml.Verb, ...]] | None = None
        self._background: asyncio.TaskGroup = asyncio.TaskGroup()

    async def run(self, caller: CallerFn) -> HeardCall:
        """The whole call. Raises ``WebhookFailed``, ``TwimlError``, or what the caller raised."""
        ended = 0.0
        async with self._background:
            try:
                async with asyncio.timeout(self._plan.max_seconds):
                    await self._signalling(caller)
            except TimeoutError:
                self._ending = "carrier"
            except Exception as error:  # noqa: BLE001 - kept, to be raised once the callbacks have been sent
                self._error = error
            finally:
                ended = self._phone.now if self._phone.origin else 0.0
                self._phone.end()
                if self._caller is not None:
                    self._caller.cancel()
            self._status("completed", ended)
            self._complete_recordings(ended)
        if self._error is not None:
            raise self._error
        return self._result(ended)

    def redirect(self, document: str) -> None:
        """Replace the running TwiML: the media stream ends. Raises ``TwimlError``."""
        verbs = twiml.read(document, self._plan.webhook_url)
        self._documents.append(document)
        self._replace(verbs)

    def redirect_to(self, url: str, method: str = "POST") -> None:
        """Go on with the TwiML of another URL: the media stream ends."""
        self._replace((twiml.Redirect(url, method),))

    def complete(self) -> None:
        """End the call from the carrier's side."""
        self._replace((twiml.Hangup(),))

    def record(self, callback: str) -> LineRecording:
        """Record the call from now on; ``callback`` is told once the recording is complete."""
        account_sid = self._plan.account_sid
        recording = LineRecording(new_sid("RE"), account_sid, self.sid, self._phone.now, callback)
        self._recordings.append(recording)
        return recording

    @property
    def now(self) -> float:
        """Seconds of the call's line."""
        return self._phone.now

    def _complete_recordings(self, ended: float) -> None:
        for recording in self._recordings:
            recording.complete(self._phone.said(ended), self._phone.playout.samples(ended), ended)
            if recording.callback:
                media = f"https://api.twilio.com/2010-04-01/Accounts/{recording.account_sid}/Recordings"
                form = recording.form(f"{media}/{recording.sid}")
                self._notify("recording completed", recording.callback, form)

    def _replace(self, verbs: tuple[twiml.Verb, ...]) -> None:
        if self._redirected is not None and not self._redirected.done():
            self._redirected.set_result(verbs)

    # verbs

    async def _signalling(self, caller: CallerFn) -> None:
        self._status("initiated")
        self._status("ringing")
        began = perf_counter()
        verbs = await self._fetch("voice", self._plan.webhook_url, "POST", self._parties.form("ringing"))
        if verbs and isinstance(verbs[0], twiml.Reject):
            self._ending = "rejected"
            return
        self._status("in-progress")
        while verbs and self._ending is None:
            verbs = await self._carry_out(verbs[0], verbs[1:], caller, began)
        self._ending = self._ending or "agent"

    async def _carry_out(
        self, verb: twiml.Verb, rest: tuple[twiml.Verb, ...], caller: CallerFn, began: float
    ) -> tuple[twiml.Verb, ...]:
        """Carry out one verb; returns what is to be done next."""
        match verb:
            case twiml.Connect():
                return await self._connect(verb, rest, caller, began)
            case twiml.Dial():
                return await self._dial(verb, rest)
            case twiml.Say(text):
                self._event(EventKind.CARRIER_SAYS, text)
                return rest
            case twiml.Pause(length):
                await self._pause(length)
                return rest
            case twiml.Redirect(url, method):
                return await self._fetch("redirect", url, method, self._parties.form("in-progress"))
            case twiml.Hangup() | twiml.Reject():
                self._ending = "agent"
                return ()

    async def _connect(
        self, verb: twiml.Connect, rest: tuple[twiml.Verb, ...], caller: CallerFn, began: float
    ) -> tuple[twiml.Verb, ...]:
        stream_sid = new_sid("MZ")
        loop = asyncio.get_running_loop()
        closed: asyncio.Future[Closed] = loop.create_future()
        self._redirected = loop.create_future()
        try:
            socket = await open_socket(
                verb.url,
                self._client.sign(verb.url),
                self._phone.receive,
                closed.set_result,
                via=self._plan.via,
                offer_deflate=self._plan.offer_deflate,
                verify_tls=self._plan.verify_tls,
            )
        except UpgradeRefused as error:
            self._phone.violations.append(Violation(0.0, wire.HANDSHAKE_ERROR, str(error)))
            self._stream_event(verb, stream_sid, "stream-error", f"{wire.HANDSHAKE_ERROR} {error}")
            if not verb.action and not rest:
                self._ending = "carrier"
            return await self._after(verb, rest)
        self._setup = self._setup or perf_counter() - began
        writer = wire.StreamWriter(stream_sid, self.sid, self._plan.account_sid)
        socket.send(writer.connected())
        socket.send(writer.start(verb.parameters))
        self._phone.connect(writer, socket)
        self._stream_event(verb, stream_sid, "stream-started")
        self._start_caller(caller)
        try:
            await self._while_connected(closed)
        finally:
            await self._close_stream(verb, writer, socket, closed)
        if self._redirected.done():
            return self._redirected.result()
        return await self._after(verb, rest)

    async def _while_connected(self, closed: asyncio.Future[Closed]) -> None:
        """Until the server closes the socket, the caller hangs up, or the call is redirected."""
        assert self._redirected is not None  # noqa: S101 - set by _connect
        hung_up = asyncio.ensure_future(self._phone.hung_up.wait())
        endings: set[asyncio.Future[Any]] = {closed, hung_up, self._redirected}
        try:
            await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hung_up.cancel()
        if self._phone.hung_up.is_set() and not closed.done():
            self._ending = "caller"

    async def _close_stream(
        self,
        verb: twiml.Connect,
        writer: wire.StreamWriter,
        socket: MediaSocket,
        closed: asyncio.Future[Closed],
    ) -> None:
        if closed.done():
            how = f"closed by the server, {closed.result().code}"
        else:
            how = "closed by the carrier"
            self._phone.disconnect(how)
            socket.send(writer.stop())
            socket.close()
            await asyncio.wait({closed})
        self._phone.disconnect(how)
        broken = closed.result().code == 1006 and self._phone.violations
        if broken and self._phone.violations[-1].code == wire.PROTOCOL_ERROR:
            error = f"{wire.PROTOCOL_ERROR} {self._phone.violations[-1].reason}"
            self._stream_event(verb, writer.stream_sid, "stream-error", error)
        self._stream_event(verb, writer.stream_sid, "stream-stopped")

    async def _after(self, verb: twiml.Connect, rest: tuple[twiml.Verb, ...]) -> tuple[twiml.Verb, ...]:
        """The ``action`` of a finished ``<Connect>``; its TwiML counts only while the call lives."""
        if not verb.action:
            return rest
        status = "in-progress" if self._ending is None else "completed"
        verbs = await self._fetch("action", verb.action, verb.method, self._parties.form(status))
        return verbs if self._ending is None else ()

    async def _dial(self, verb: twiml.Dial, rest: tuple[twiml.Verb, ...]) -> tuple[twiml.Verb, ...]:
        outcome = self._plan.dial_outcome
        self._dialled.extend(verb.numbers)
        for number in verb.numbers:
            self._event(EventKind.DIALLED, f"{number}: {outcome}")
        if not verb.action:
            return rest
        form = self._parties.form("in-progress") | {"DialCallStatus": outcome, "DialCallSid": new_sid("CA")}
        form["DialBridged"] = "true" if outcome in {"completed", "answered"} else "false"
        if outcome == "completed":
            form["DialCallDuration"] = "1"
        return await self._fetch("dial action", verb.action, verb.method, form)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._phone.hung_up.wait()
            self._ending = "caller"
        except TimeoutError:
            pass

    # the caller, the server's callbacks, the record

    def _start_caller(self, caller: CallerFn) -> None:
        if self._caller is None:
            self._began = datetime.now(UTC)
            self._caller = self._background.create_task(self._run_caller(caller))

    async def _run_caller(self, caller: CallerFn) -> None:
        try:
            await caller(self._phone)
        except HungUpError:
            pass
        except Exception as error:  # noqa: BLE001 - kept, to be raised when the call has been ended in order
            self._error = error
        self._phone.hang_up()

    async def _fetch(
        self, purpose: str, url: str, method: str, form: dict[str, str]
    ) -> tuple[twiml.Verb, ...]:
        document = await self._client.fetch(purpose, url, method, form, self._requests.append)
        self._documents.append(document)
        return twiml.read(document, url)

    def _status(self, status: str, duration: float | None = None) -> None:
        event = "answered" if status == "in-progress" else status
        if not self._plan.status_callback or event not in self._plan.status_events:
            return
        if self._ending == "rejected":
            status = "busy"
        form = self._parties.status_form(status, self._status_sequence, duration)
        self._status_sequence += 1
        self._notify(f"status {status}", self._plan.status_callback, form)

    def _stream_event(self, verb: twiml.Connect, stream_sid: str, event: str, error: str = "") -> None:
        if verb.status_callback:
            form = self._parties.stream_form(stream_sid, verb.name, event, error)
            self._notify(event, verb.status_callback, form)

    def _notify(self, purpose: str, url: str, form: dict[str, str]) -> None:
        self._background.create_task(self._client.notify(purpose, url, form, self._requests.append))

    def _event(self, kind: EventKind, detail: str) -> None:
        at = self._phone.now if self._phone.origin else 0.0
        self._phone.events.append(LineEvent(at, kind, detail))

    def _result(self, ended: float) -> HeardCall:
        phone = self._phone
        length = ended if self._plan.keep_audio else 0.0
        return HeardCall(
            call_sid=self.sid,
            from_number=self._plan.from_number,
            to_number=self._plan.to_number,
            began=self._began,
            caller=phone.said(length),
            agent=phone.playout.samples(length),
            spoken=tuple(phone.spoken),
            events=tuple(sorted(phone.events, key=lambda event: event.at)),
            violations=tuple(phone.violations),
            twiml=tuple(self._documents),
            requests=tuple(self._requests),
            hung_up_by=self._ending or "carrier",
            dialled=tuple(self._dialled),
            counts=phone.counts(),
            setup=self._setup,
            duration=ended,
        )
