"""The carrier's REST API, driven by Twilio's own library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import HeardCall
from telephony.simulator.phone import Phone
from tests.telephony.simulator.conftest import ACCOUNT, TOKEN
from tests.telephony.simulator.media_server import MediaServer, Stream


async def waits(stream: Stream) -> None:
    await stream.until("stop")


@asynccontextmanager
async def live_call(
    server: MediaServer, carrier: Carrier
) -> AsyncIterator[tuple[Any, asyncio.Task[HeardCall]]]:
    """A call in progress, as Twilio's library sees it."""
    server.agent = waits

    async def listens(phone: Phone) -> None:
        await phone.wait(30.0)

    async with carrier.rest_api() as origin:
        placed = asyncio.create_task(carrier.place_call(listens))
        await server.connected.wait()
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = origin
        yield client.calls(server.forms[0][1]["CallSid"]), placed


async def test_new_twiml(server: MediaServer, carrier: Carrier) -> None:
    async with live_call(server, carrier) as (call, placed):
        document = "<Response><Dial>+15550123</Dial></Response>"
        assert (await asyncio.to_thread(call.update, twiml=document)).status == "in-progress"
        heard = await placed
    assert heard.dialled == ("+15550123",)
    assert heard.twiml[-1] == document


async def test_another_url(server: MediaServer, carrier: Carrier) -> None:
    server.answers["else"] = "<Response><Dial>+15550456</Dial></Response>"
    async with live_call(server, carrier) as (call, placed):
        await asyncio.to_thread(call.update, url=f"{server.origin}/else", method="POST")
        assert (await placed).dialled == ("+15550456",)


async def test_the_end_and_after_it(server: MediaServer, carrier: Carrier) -> None:
    async with live_call(server, carrier) as (call, placed):
        assert (await asyncio.to_thread(call.update, status="completed")).status == "completed"
        await placed
        with pytest.raises(TwilioRestException) as gone:
            await asyncio.to_thread(call.update, status="completed")
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_what_is_refused(server: MediaServer, carrier: Carrier) -> None:
    async with live_call(server, carrier) as (call, placed), httpx.AsyncClient(trust_env=False) as http:
        url = call._version.absolute_url(call._uri)
        refused = await http.post(url, auth=(ACCOUNT, "wrong"), data={"Status": "completed"})
        assert refused.json()["code"] == 20003
        bad = await http.post(url, headers={"Authorization": "Basic %%%"})
        assert bad.status_code == 401
        assert (await http.get(url, auth=(ACCOUNT, TOKEN))).status_code == 404
        assert (await http.post(url, auth=(ACCOUNT, TOKEN), data={"A": "b"})).json()["code"] == 21218
        assert (await http.post(url, auth=(ACCOUNT, TOKEN), data={"Twiml": "<x/>"})).json()["code"] == 12100
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(url, auth=(ACCOUNT, TOKEN), content=b"x" * 200_000)
        await http.post(url, auth=(ACCOUNT, TOKEN), data={"Status": "completed"})
        await placed
