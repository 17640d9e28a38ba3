"""The carrier's REST API, as far as a call needs it: update its TwiML, redirect it, end it, record it.

Source: Twilio, "Call resource", update: ``POST /2010-04-01/Accounts/{sid}/Calls/{sid}.json`` with
``Twiml``, ``Url`` and ``Method``, or ``Status``; HTTP Basic with the account's SID and token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import h11

from telephony.simulator import twiml
from telephony.simulator.call import Call
from telephony.simulator.recording import LineRecording

MAX_BODY = 128 * 1024

Answer: TypeAlias = dict[str, object] | bytes
"""JSON, or a recording's media."""

_ROOT = r"^/2010-04-01/Accounts/(AC\w*)"
_CALL = re.compile(_ROOT + r"/Calls/(CA\w+)\.json$")
_START = re.compile(_ROOT + r"/Calls/(CA\w+)/Recordings\.json$")
_CHANGE = re.compile(_ROOT + r"/Calls/(CA\w+)/Recordings/(RE\w+)\.json$")
_LIST = re.compile(_ROOT + r"/Recordings\.json$")
_MEDIA = re.compile(_ROOT + r"/Recordings/(RE\w+)\.wav$")
_RECORDING = re.compile(_ROOT + r"/Recordings/(RE\w+)\.json$")


@dataclass(frozen=True, slots=True)
class RestAccount:
    """Whose calls these are. ``find`` looks up a live call by its SID; ``recordings`` are kept by theirs."""

    account_sid: str
    auth_token: str
    find: Callable[[str], Call | None]
    recordings: dict[str, LineRecording] = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@asynccontextmanager
async def serve_rest(account: RestAccount, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the API and give its origin, to be set as ``TRUNKLINE_TWILIO__API_URL``. Raises ``OSError``."""
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_Connection(account, reader, writer).run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, port)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    """One HTTP connection."""

    def __init__(
        self, account: RestAccount, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._account = account
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            while True:
                request, body = await self._request()
                if request is None:
                    return
                status, answer = self._answer(request, body)
                self._reply(status, answer)
                await self._writer.drain()
                self._http.start_next_cycle()  # an error when either side closes
        except (h11.ProtocolError, ConnectionError):
            return
        finally:
            self._writer.close()

    async def _request(self) -> tuple[h11.Request | None, bytes]:
        request: h11.Request | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65_536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("the body is too large")
            elif isinstance(event, h11.EndOfMessage):
                return request, body
            else:
                return None, b""

    def _answer(self, request: h11.Request, body: bytes) -> tuple[int, Answer]:
        try:
            self._authenticate(request)
            target = urlsplit(request.target.decode("latin-1"))
            query = body.decode() if request.method == b"POST" else target.query
            form = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
            return self._route(request.method.decode(), target.path, form)
        except _Refused as refused:
            return refused.status, {"code": refused.code, "message": str(refused), "status": refused.status}

    def _authenticate(self, request: h11.Request) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        if not self._is_account(headers.get("authorization", "")):
            raise _Refused(401, 20003, "Authenticate")

    def _route(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Answer]:
        routes: tuple[tuple[str, re.Pattern[str], Callable[..., tuple[int, Answer]]], ...] = (
            ("POST", _CALL, self._update),
            ("POST", _START, self._record),
            ("POST", _CHANGE, self._change_recording),
            ("GET", _LIST, self._list),
            ("GET", _MEDIA, self._media),
            ("DELETE", _RECORDING, self._delete),
        )
        for allowed, pattern, answer in routes:
            match = pattern.match(path)
            if match is not None and method == allowed and match[1] == self._account.account_sid:
                return answer(path, form, *match.groups()[1:])
        raise _not_found(path)

    def _live(self, path: str, call_sid: str) -> Call:
        call = self._account.find(call_sid)
        if call is None:
            raise _not_found(path)
        return call

    def _update(self, path: str, form: dict[str, str], call_sid: str) -> tuple[int, Answer]:
        status = self._change(self._live(path, call_sid), form)
        return 200, {"sid": call_sid, "account_sid": self._account.account_sid, "status": status}

    def _record(self, path: str, form: dict[str, str], call_sid: str) -> tuple[int, Answer]:
        recording = self._live(path, call_sid).record(form.get("RecordingStatusCallback", ""))
        self._account.recordings[recording.sid] = recording
        return 201, recording.resource()

    def _change_recording(
        self, path: str, form: dict[str, str], call_sid: str, sid: str
    ) -> tuple[int, Answer]:
        call = self._live(path, call_sid)
        recording = self._account.recordings.get(sid)
        if recording is None:
            raise _not_found(path)
        if not recording.change(form.get("Status", ""), call.now):
            raise _Refused(400, 21220, "the recording cannot be changed to that now")
        return 200, recording.resource()

    def _list(self, _path: str, form: dict[str, str]) -> tuple[int, Answer]:
        wanted = form.get("CallSid", "")
        found = [one.resource() for one in self._account.recordings.values() if one.call_sid == wanted]
        return 200, {"recordings": found, "page": 0, "page_size": 50}

    def _media(self, path: str, _form: dict[str, str], sid: str) -> tuple[int, Answer]:
        recording = self._account.recordings.get(sid)
        media = recording.wav() if recording is not None else b""
        if not media:
            raise _not_found(path)
        return 200, media

    def _delete(self, path: str, _form: dict[str, str], sid: str) -> tuple[int, Answer]:
        if self._account.recordings.pop(sid, None) is None:
            raise _not_found(path)
        return 204, b""

    def _change(self, call: Call, form: dict[str, str]) -> str:
        if form.get("Status") == "completed":
            call.complete()
            return "completed"
        if "Twiml" in form:
            try:
                call.redirect(form["Twiml"])
            except twiml.TwimlError as error:
                raise _Refused(400, 12100, str(error)) from error
        elif "Url" in form:
            call.redirect_to(form["Url"], form.get("Method", "POST"))
        else:
            raise _Refused(400, 21218, "expected Twiml, Url or Status=completed")
        return "in-progress"

    def _is_account(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        expected = f"{self._account.account_sid}:{self._account.auth_token}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, expected)

    def _reply(self, status: int, answer: Answer) -> None:
        media = isinstance(answer, bytes)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "audio/x-wav" if media else "application/json"
        headers = [("Content-Type", kind)]
        if status != 204:
            headers.append(("Content-Length", str(len(body))))
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self._writer.write(self._http.send(event) or b"")


def _not_found(path: str) -> _Refused:
    return _Refused(404, 20404, f"The requested resource {path} was not found")
