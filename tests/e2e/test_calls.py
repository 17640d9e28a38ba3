"""Calls to the running server, and what it remembers of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.server import PrivateServer
from bench.talk import utterances
from config.engines import TimedSettings
from config.settings import ROOT
from telephony.media.level import AUDIBLE
from telephony.simulator.call import CallerFn
from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import EventKind
from telephony.simulator.measure import turns
from telephony.simulator.phone import Phone
from tests.e2e.conftest import stored_calls

REPLY_TENTHS = 85  # the timed reply lasts 8.8 s


async def test_a_call_is_answered_measured_and_stored(carrier: Carrier, api: httpx.AsyncClient) -> None:
    said = utterances()[0]

    async def caller(phone: Phone) -> None:
        await phone.wait(0.5)
        spoken = await phone.say(said)
        await phone.until(lambda now: (phone.playout.last_heard(now) or 0) > spoken.end + 5, 8)

    heard = await carrier.place_call(caller)
    (turn,) = turns(heard)
    assert turn.response is not None
    assert heard.violations == ()
    assert heard.counts.gaps == 0
    assert heard.counts.longest_lead <= 0.4
    marks = [event.at for event in heard.events if event.kind is EventKind.MARK_PLACED]
    assert max(np.diff(marks)) <= 0.55

    stored = (await stored_calls(api, {heard.call_sid}))[heard.call_sid]
    (kept,) = stored["turns"]
    assert kept["caller_text"] == TimedSettings().transcript
    assert kept["heard_text"] == kept["reply_text"][: len(kept["heard_text"])]
    assert all(value is not None for value in kept["latency_ms"].values())
    assert stored["outcome"] == stored["cause"] == "caller"
    assert stored["from_number"] == heard.from_number


async def test_heard_text_is_within_a_word_for_a_barge_in_at_each_tenth(
    carrier: Carrier, api: httpx.AsyncClient
) -> None:
    """What the server stored as heard, against what the carrier played, at every 100 ms of a reply."""
    first, _, over = utterances()
    seconds_a_character = TimedSettings().seconds_per_character

    def caller(index: int) -> CallerFn:
        async def call(phone: Phone) -> None:
            await phone.wait(0.3)
            spoken = await phone.say(first)
            assert await phone.until(lambda now: phone.playout.first_heard(spoken.end, now) is not None, 5)
            began = phone.agent_began(spoken.end)
            assert began is not None
            await phone.wait(max(0.0, began + index / 10 - phone.now))
            await phone.say(over)
            await phone.wait(0.2)

        return call

    heard = await carrier.place_calls(REPLY_TENTHS, caller, spread_seconds=12.0, keep_audio=True)
    calls = {call.call_sid: call for call in heard if not isinstance(call, Exception)}
    assert len(calls) == REPLY_TENTHS, [call for call in heard if isinstance(call, Exception)]
    stored = await stored_calls(api, set(calls))
    checked = 0
    for sid, call in calls.items():
        clears = [event.at for event in call.events if event.kind is EventKind.CLEARED]
        turn = stored[sid]["turns"][0]
        if not clears:
            assert turn["heard_text"] == turn["reply_text"]
            continue
        audible = np.abs(call.agent[: int(clears[0] * 8000)].astype(np.int32)) > AUDIBLE
        begins = int(np.argmax(audible))
        played = (int(clears[0] * 8000) - begins) / 8000
        # One character is 55 ms of tone; count the words whose tone began before the clear.
        said = turn["reply_text"]
        characters = played / seconds_a_character
        words = len(said[: round(characters)].split())
        stored_words = len(turn["heard_text"].split())
        assert abs(stored_words - words) <= 1, (played, turn["heard_text"])
        checked += 1
    assert checked >= REPLY_TENTHS - 8


def test_the_demonstration() -> None:
    """``make demo``: hours, a parcel number read back, one barge-in obeyed, goodbye; all of it stored."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", "--json", "--out", str(ROOT.parent / "var" / "demo")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    answered = [turn for turn in result["call"]["turns"] if turn["caller_text"]]
    assert len(answered) >= 5
    replies = " ".join(turn["reply_text"] for turn in answered)
    assert "8 in the morning" in replies
    heard = [turn["caller_text"] for turn in answered]
    assert "1 2 3 4 5" in heard, (heard, result["measured"])
    assert "1 2 3 4 5" in answered[heard.index("1 2 3 4 5")]["reply_text"]
    barged = [turn for turn in result["measured"] if turn["barge_in"]]
    assert len(barged) == 1
    assert barged[0]["clear_ms"] is not None
    cut = [turn for turn in answered if turn["interrupted"]]
    assert len(cut) == 1
    assert cut[0]["reply_text"].startswith(cut[0]["heard_text"])
    assert len(cut[0]["heard_text"]) < len(cut[0]["reply_text"])
    assert "Goodbye" in answered[-1]["heard_text"]
    assert result["hung_up_by"] == "agent"
    assert result["call"]["outcome"] == "success"
    assert all(turn["latency_ms"]["response"] is not None for turn in answered)
    assert all(turn["response_ms"] is not None for turn in result["measured"])
    assert result["violations"] == []
    assert Path(result["heard_wav"]).stat().st_size > 100_000


async def test_a_hundred_synchronised_callers_are_all_answered(
    carrier: Carrier, api: httpx.AsyncClient
) -> None:
    said = utterances()[0]

    def caller(_: int) -> CallerFn:
        async def call(phone: Phone) -> None:
            await phone.wait(0.5)
            spoken = await phone.say(said)
            assert await phone.until(lambda now: phone.playout.first_heard(spoken.end, now) is not None, 8)

        return call

    heard = await carrier.place_calls(100, caller, keep_audio=False)
    failed = [call for call in heard if isinstance(call, Exception)]
    assert failed == []


async def test_nobody_gets_in_without_a_key(server: PrivateServer) -> None:
    async with httpx.AsyncClient(base_url=server.origin, trust_env=False) as client:
        for path in ("/api/v1/calls", "/api/v1/latency"):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/api/v1/openapi.json")).status_code == 200
        metrics = (await client.get("/metrics")).text
    assert "trunkline_calls_active" in metrics
    assert "+1555" not in metrics


async def test_the_log_holds_nothing_personal_and_no_fault(server: PrivateServer, carrier: Carrier) -> None:
    said = utterances()[0]

    async def caller(phone: Phone) -> None:
        await phone.say(said)
        await asyncio.sleep(1.0)

    heard = await carrier.place_call(caller)
    await asyncio.sleep(0.5)
    log = server.log()
    assert "call answered" in log
    for secret in (server.auth_token, server.api_key, heard.from_number, TimedSettings().transcript, "MIZ"):
        assert secret not in log
    assert "Traceback" not in log
    assert "[error" not in log
