"""Twilio's REST API, against a local server that answers as Twilio does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from telephony.carriers.twilio.rest import TwilioRest
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.errors import CarrierError, HangupCause
from tests.telephony.carriers.twilio.conftest import ACCOUNT, TOKEN, FakeHandler, FarEnd, serving

NUMBER = "+15550100000"
NUMBER_SID = "PN" + "3" * 32


@dataclass
class Api:
    """What the server was asked; ``fails`` is the error it answers updates with."""

    url: str = ""
    updates: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    fails: tuple[int, int] | None = None

    def error(self, status: int, code: int) -> Response:
        return JSONResponse({"status": status, "code": code, "message": "no"}, status)

    async def call(self, request: Request) -> Response:
        self.updates.append((request.path_params["sid"], dict((await request.form()).items())))  # type: ignore[arg-type]
        if self.fails:
            return self.error(*self.fails)
        return JSONResponse({"sid": request.path_params["sid"], "status": "in-progress"})

    async def numbers(self, request: Request) -> Response:
        expected = "Basic " + b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") != expected:
            return self.error(401, 20003)
        found = [{"sid": NUMBER_SID, "phone_number": NUMBER}]
        wanted = request.query_params.get("PhoneNumber")
        page = {"incoming_phone_numbers": found if wanted == NUMBER else [], "page": 0, "page_size": 1}
        return JSONResponse(page)

    async def number(self, request: Request) -> Response:
        self.updates.append((request.path_params["sid"], dict((await request.form()).items())))  # type: ignore[arg-type]
        return JSONResponse({"sid": request.path_params["sid"], "phone_number": NUMBER})


@asynccontextmanager
async def twilio_api() -> AsyncIterator[Api]:
    api = Api()
    account = "/2010-04-01/Accounts/{account}"
    routes = [
        Route(f"{account}/Calls/{{sid}}.json", api.call, methods=["POST"]),
        Route(f"{account}/IncomingPhoneNumbers.json", api.numbers, methods=["GET"]),
        Route(f"{account}/IncomingPhoneNumbers/{{sid}}.json", api.number, methods=["POST"]),
    ]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=0, lifespan="off", log_level="error")
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.005)
        api.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield api
        finally:
            server.should_exit = True
            await running


def rest(api: Api, token: str = TOKEN) -> TwilioRest:
    return TwilioRest(TwilioCredentials(ACCOUNT, token), api.url)


async def test_a_call_is_redirected() -> None:
    async with twilio_api() as api:
        assert await rest(api).redirect("CA1", "<Response/>")
        assert api.updates == [("CA1", {"Twiml": "<Response/>"})]


@pytest.mark.parametrize("failure", [(404, 20404), (400, 21220)])
async def test_57_a_call_that_has_ended_is_no_error(failure: tuple[int, int]) -> None:
    async with twilio_api() as api:
        api.fails = failure
        assert not await rest(api).redirect("CA1", "<Response/>")


@pytest.mark.parametrize(("failure", "retryable"), [((503, 20500), True), ((400, 21200), False)])
async def test_other_refusals_say_whether_to_try_again(failure: tuple[int, int], retryable: bool) -> None:
    async with twilio_api() as api:
        api.fails = failure
        with pytest.raises(CarrierError, match=f"error {failure[1]}") as raised:
            await rest(api).redirect("CA1", "<Response/>")
        assert raised.value.retryable is retryable


async def test_an_unreachable_api_is_explained() -> None:
    with pytest.raises(CarrierError, match="could not be reached") as raised:
        await rest(Api(url="http://127.0.0.1:9")).redirect("CA1", "<Response/>")
    assert raised.value.retryable


async def connect(api: Api, number: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``trunkline twilio connect NUMBER``, as a person runs it."""
    settings = {
        "TRUNKLINE_PUBLIC_URL": "https://voice.example.com",
        "TRUNKLINE_TWILIO__ACCOUNT_SID": ACCOUNT,
        "TRUNKLINE_TWILIO__AUTH_TOKEN": TOKEN,
        "TRUNKLINE_TWILIO__API_URL": api.url,
        "TRUNKLINE_ADMIN__API_KEY": "tl_not_used_here_at_all",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli", "twilio", "connect", number],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_a_number_is_pointed_at_this_server() -> None:
    async with twilio_api() as api:
        done = await connect(api, NUMBER)
        assert done.returncode == 0, done.stderr
        assert "https://voice.example.com/voice/twilio/incoming" in done.stdout
        ((sid, fields),) = api.updates
    assert sid == NUMBER_SID
    assert fields["VoiceUrl"] == "https://voice.example.com/voice/twilio/incoming"
    assert fields["VoiceMethod"] == "POST"
    assert fields["StatusCallback"] == "https://voice.example.com/voice/twilio/status"


@pytest.mark.parametrize(
    ("number", "environment", "says"),
    [
        ("+15550100777", {}, "has no number +15550100777"),
        ("5550100", {}, "not a number in E.164"),
        (NUMBER, {"TRUNKLINE_PUBLIC_URL": ""}, "TRUNKLINE_PUBLIC_URL must be the https origin"),
        (NUMBER, {"TRUNKLINE_TWILIO__AUTH_TOKEN": "wrong"}, "account sid or auth token is wrong"),
    ],
)
async def test_what_is_wrong_is_said_and_what_to_do(
    number: str, environment: dict[str, str], says: str
) -> None:
    async with twilio_api() as api:
        done = await connect(api, number, **environment)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_23_a_stream_error_redirects_the_call_once() -> None:
    async with twilio_api() as api:
        handler = FakeHandler()
        changes = {"api_url": api.url, "fallback_number": "+15550100999"}
        async with (
            serving(handler, **changes) as (base, carrier),
            httpx.AsyncClient(trust_env=False) as client,
        ):
            far_end = FarEnd(base, handler, carrier, client)
            async with far_end.stream() as stream:
                error = {
                    "CallSid": stream.call_sid,
                    "StreamEvent": "stream-error",
                    "StreamError": "31924",
                }
                for _ in range(2):
                    assert (await far_end.post("stream-status", error)).status_code == 204
                await handler.saw(lambda: bool(handler.causes))
        ((sid, fields),) = api.updates
        assert sid == stream.call_sid
        assert "<Dial" in fields["Twiml"]
        assert handler.causes == [HangupCause.CARRIER_ERROR]
