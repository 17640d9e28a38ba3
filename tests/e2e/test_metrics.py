"""What the running server shows of calls in its metrics."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.server import PrivateServer
from bench.talk import utterances
from telephony.simulator.carrier import Carrier
from telephony.simulator.phone import Phone
from tests.e2e.conftest import stored_calls


async def test_a_turn_is_counted_by_agent_and_engine(
    server: PrivateServer, carrier: Carrier, api: httpx.AsyncClient
) -> None:
    said = utterances()[0]

    async def caller(phone: Phone) -> None:
        await phone.wait(0.5)
        spoken = await phone.say(said)
        await phone.until(lambda now: (phone.playout.last_heard(now) or 0) > spoken.end + 2, 8)

    stage = {"agent": "bench", "stage": "llm", "port": "llm", "engine": "timed"}
    before = await _count(server, **stage)
    heard = await carrier.place_call(caller)
    await stored_calls(api, {heard.call_sid})
    assert await _count(server, **stage) == before + 1


async def _count(server: PrivateServer, **labels: str) -> float:
    """Observations of a stage so far."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{server.origin}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer)
        for sample in family.samples
        if sample.name == "trunkline_stage_seconds_count" and labels.items() <= sample.labels.items()
    )
