"""Breaking it: kill -9, SIGTERM with a live call, a full server, and ten thousand mutated messages."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench.server import PrivateServer
from bench.talk import utterances
from telephony.simulator import signature
from telephony.simulator.carrier import Carrier
from telephony.simulator.phone import Phone
from telephony.simulator.webhook import WebhookFailed
from tests.e2e.conftest import api_of
from tests.telephony.carriers.twilio.conftest import call_sid, token_of

WEBHOOK_MESSAGES = 2_000
SOCKET_MESSAGES = 8_000
MESSAGES_A_CALL = 160


async def test_a_killed_server_leaves_no_call_open() -> None:
    """kill -9 in a call; the next start on the same data closes it as our fault."""
    said = utterances()[0]
    with PrivateServer() as server:
        async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:

            async def caller(phone: Phone) -> None:
                spoken = await phone.say(said)
                await phone.until(lambda now: phone.playout.first_heard(spoken.end, now) is not None, 5)
                await phone.wait(1.0)
                os.kill(server.pid, signal.SIGKILL)
                await phone.wait(5.0)

            with pytest.raises(WebhookFailed):  # nobody is left to say how the call goes on
                await carrier.place_call(caller)
        server.restart()
        async with api_of(server) as api, asyncio.timeout(45):
            while not (call := (await api.get("/calls")).json()["calls"][0])["ended_at"]:
                await asyncio.sleep(0.5)
    assert (call["outcome"], call["cause"]) == ("us", "server_error")


async def test_sigterm_lets_a_call_finish_and_takes_no_more() -> None:
    said = utterances()[0]
    with PrivateServer(environment={"TRUNKLINE_LIMITS__DRAIN_SECONDS": "2"}) as server:
        async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:
            second: list[Any] = []

            async def turned_away(phone: Phone) -> None:
                raise AssertionError("a draining server must not connect a call")

            async def caller(phone: Phone) -> None:
                await phone.say(said)
                os.kill(server.pid, signal.SIGTERM)
                await asyncio.sleep(0.3)
                async with httpx.AsyncClient(trust_env=False) as client:
                    ready = await client.get(f"{server.origin}/health/ready")
                    assert ready.status_code == 503
                second.append(await carrier.place_call(turned_away))
                await phone.wait(30.0)  # the agent hangs up before

            heard = await carrier.place_call(caller)
        assert heard.hung_up_by == "agent"
        assert "<Say>" in second[0].twiml[0]
        assert await asyncio.to_thread(server.wait, 25) == 0
        assert "Traceback" not in server.log()


async def test_a_full_server_says_so_politely() -> None:
    with PrivateServer(max_calls=1) as server:
        async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:
            refused: list[Any] = []

            async def never(phone: Phone) -> None:
                raise AssertionError("a full server must not connect a call")

            async def caller(phone: Phone) -> None:
                await phone.wait(0.5)
                refused.append(await carrier.place_call(never))

            await carrier.place_call(caller)
            assert "<Say>" in refused[0].twiml[0]
            await carrier.place_call(lambda phone: phone.wait(0.3))  # the place is free again


async def test_ten_thousand_mutated_messages(server: PrivateServer, carrier: Carrier) -> None:
    """No crash, no stuck call, no unhandled exception in the log; afterwards a call is answered as ever."""
    rng = random.Random(20260101)
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(WEBHOOK_MESSAGES):
            answer = await _mutated_webhook(server, client, rng)
            assert answer.status_code < 500, answer.text
        sent = 0
        while sent < SOCKET_MESSAGES:
            results = await asyncio.gather(*(_mutated_call(server, client, rng) for _ in range(10)))
            sent += sum(results)
        async with asyncio.timeout(45):
            while (await client.get(f"{server.origin}/health/ready")).json()["calls"]:
                await asyncio.sleep(0.2)
    said = utterances()[0]
    answered: list[bool] = []

    async def caller(phone: Phone) -> None:
        spoken = await phone.say(said)
        answered.append(
            await phone.until(lambda now: phone.playout.first_heard(spoken.end, now) is not None, 5)
        )

    await carrier.place_call(caller)
    assert answered == [True]
    log = server.log()
    assert "Traceback" not in log
    assert "Exception" not in log


def _form(sid: str, account: str) -> dict[str, str]:
    return {
        "AccountSid": account,
        "CallSid": sid,
        "From": "+15550100001",
        "To": "+15550100000",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "SequenceNumber": "1",
        "StreamEvent": "stream-started",
    }


async def _mutated_webhook(
    server: PrivateServer, client: httpx.AsyncClient, rng: random.Random
) -> httpx.Response:
    route = rng.choice(["incoming", "status", "stream-status", "after", "recording", "amd"])
    url = f"{server.origin}/voice/twilio/{route}"
    form: dict[str, str] = _form(call_sid(), server.account_sid)
    for _ in range(rng.randrange(4)):
        name = rng.choice([*form, "Extra"])
        form[name] = rng.choice(
            ["", "\x00", "ß" * 50, "9" * 400, "-1", "null", "[]", "'; drop table calls;--"]
        )
    body = urlencode(form).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    kind = rng.randrange(4)
    if kind < 2:  # signed: it is the content that is wrong
        headers["X-Twilio-Signature"] = signature.sign(server.auth_token, url, form)
    elif kind == 2:
        body = _mutate(body, rng)
        headers["X-Twilio-Signature"] = base64.b64encode(rng.randbytes(20)).decode()
    else:
        headers["Content-Type"] = rng.choice(["application/json", "text/plain", "multipart/form-data"])
        body = rng.randbytes(rng.randrange(2000))
    return await client.request(rng.choice(["POST", "POST", "GET"]), url, content=body, headers=headers)


def _mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, double or insert bytes."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randrange(20)]
            case 2:
                changed[at:at] = changed[: rng.randrange(40)]
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(8))
    return bytes(changed)


async def _mutated_call(server: PrivateServer, client: httpx.AsyncClient, rng: random.Random) -> int:
    """One call whose socket carries nonsense among good messages; returns how many messages were sent."""
    sid, stream_sid = call_sid(), "MZ" + "2" * 32
    form = _form(sid, server.account_sid)
    headers = {"X-Twilio-Signature": signature.sign(server.auth_token, server.webhook, form)}
    answer = await client.post(server.webhook, data=form, headers=headers)
    url = server.origin.replace("http", "ws") + "/media/twilio"
    upgrade = {"X-Twilio-Signature": signature.sign(server.auth_token, url)}
    sent = 0
    try:
        async with connect(url, additional_headers=upgrade, compression=None, close_timeout=1) as socket:
            for message in _messages(sid, stream_sid, server.account_sid, token_of(answer.text), rng):
                await socket.send(message)
                sent += 1
                if rng.random() < 0.1:
                    await asyncio.sleep(0.002)
    except ConnectionClosed:
        pass  # a refusal; that the server stays well is what is tested
    return max(sent, 1)


def _messages(sid: str, stream_sid: str, account: str, token: str, rng: random.Random) -> list[str | bytes]:
    start = {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": stream_sid,
        "start": {
            "streamSid": stream_sid,
            "accountSid": account,
            "callSid": sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        },
    }
    begin = json.dumps(start)
    if rng.random() < 0.2:
        begin = _text(_mutate(begin.encode(), rng))
    messages: list[str | bytes] = [begin]
    for number in range(MESSAGES_A_CALL):
        good = json.dumps(_good(stream_sid, number, rng))
        kind = rng.random()
        if kind < 0.3:
            messages.append(good)
        elif kind < 0.9:
            messages.append(_text(_mutate(good.encode(), rng)))
        elif kind < 0.97:
            messages.append(json.dumps(_twisted(_good(stream_sid, number, rng), rng)))
        else:
            messages.append(rng.randbytes(rng.randrange(300)))
    return messages


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _good(stream_sid: str, number: int, rng: random.Random) -> dict[str, Any]:
    payload = base64.b64encode(rng.randbytes(160)).decode()
    media = {"track": "inbound", "chunk": str(number), "timestamp": str(number * 20), "payload": payload}
    bodies: list[Mapping[str, Any]] = [
        {"event": "media", "media": media},
        {"event": "media", "media": media},
        {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "5"}},
        {"event": "mark", "mark": {"name": "1.1"}},
    ]
    return {"sequenceNumber": str(number + 2), "streamSid": stream_sid, **rng.choice(bodies)}


def _twisted(message: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The right shape with a value of the wrong type somewhere."""
    wrong: list[Any] = [None, 0, -1, 1e308, True, [], {}, [[]], "", "ß", "0" * 5000]
    target = message
    for value in list(message.values()):
        if isinstance(value, dict) and rng.random() < 0.7:
            target = value
    target[rng.choice(list(target))] = rng.choice(wrong)
    return message


def test_a_taken_port_is_explained(server: PrivateServer) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "run"],
        env={**os.environ, "TRUNKLINE_HTTP__PORT": str(server.port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"cannot listen on 127.0.0.1:{server.port}" in done.stderr
    assert "TRUNKLINE_HTTP__PORT" in done.stderr
    assert "Traceback" not in done.stderr
