"""The carrier's REST API, as far as a live call needs it: update its TwiML, redirect it, end it.

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
from dataclasses import dataclass
from urllib.parse import parse_qs

import h11

from telephony.simulator import twiml
from telephony.simulator.call import Call

MAX_BODY = 128 * 1024
_CALL = re.compile(r"^/2010-04-01/Accounts/(AC\w*)/Calls/(CA\w+)\.json$")


@dataclass(frozen=True, slots=True)
class RestAccount:
    """Whose calls these are. ``find`` looks up a live call by its SID."""

    account_sid: str
    auth_token: str
    find: Callable[[str], Call | None]


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

    def _answer(self, request: h11.Request, body: bytes) -> tuple[int, dict[str, object]]:
        try:
            return 200, self._update(request, body)
        except _Refused as refused:
            return refused.status, {"code": refused.code, "message": str(refused), "status": refused.status}

    def _update(self, request: h11.Request, body: bytes) -> dict[str, object]:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        if not self._is_account(headers.get("authorization", "")):
            raise _Refused(401, 20003, "Authenticate")
        path = request.target.decode("latin-1")
        match = _CALL.match(path)
        if match is None or request.method != b"POST" or match[1] != self._account.account_sid:
            raise _Refused(404, 20404, f"The requested resource {path} was not found")
        call = self._account.find(match[2])
        if call is None:
            raise _Refused(404, 20404, f"The requested resource {path} was not found")
        form = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        status = self._change(call, form)
        return {"sid": match[2], "account_sid": match[1], "status": status}

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

    def _reply(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self._writer.write(self._http.send(event) or b"")
