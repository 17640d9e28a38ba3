"""A change through one process reaches the next call of another, within a second and without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bench.server import PrivateServer
from telephony.simulator.carrier import Carrier
from telephony.simulator.phone import Phone
from tests.e2e.conftest import api_of, stored_calls


@pytest.fixture
def two_servers(database_url: str) -> Iterator[tuple[PrivateServer, PrivateServer]]:
    """Two processes with one database."""
    environment = {"TRUNKLINE_DATABASE_URL": database_url}
    with PrivateServer(environment=environment) as one:
        other = PrivateServer(
            environment=environment,
            api_key=one.api_key,
            account_sid=one.account_sid,
            auth_token=one.auth_token,
        )
        with other:
            yield one, other


async def test_the_next_call_of_every_process_is_answered_anew(
    two_servers: tuple[PrivateServer, PrivateServer],
) -> None:
    one, other = two_servers

    async def listen(phone: Phone) -> None:
        await phone.wait(2.0)

    async with (
        api_of(one) as api,
        Carrier(one.webhook, one.account_sid, one.auth_token) as here,
        Carrier(other.webhook, other.account_sid, other.auth_token) as there,
    ):
        before = await there.place_call(listen)
        agent = (await api.get("/agents/bench")).raise_for_status()
        profile = agent.json()["profile"] | {"prompt": "welcome"}
        profile["says"] |= {"greeting": "Good evening."}
        prompt = {"name": "welcome", "content": "You answer."}
        (await api.post("/prompts", json=prompt)).raise_for_status()
        (await api.post("/prompts/welcome/versions/1/activate")).raise_for_status()
        tag = {"If-Match": agent.headers["etag"]}
        (await api.put("/agents/bench", json={"profile": profile}, headers=tag)).raise_for_status()
        await asyncio.sleep(0.9)
        after = await there.place_call(listen)
        also = await here.place_call(listen)
        sids = {before.call_sid, after.call_sid, also.call_sid}
        found = await stored_calls(api, sids)
    assert found[before.call_sid]["turns"] == []
    assert found[before.call_sid]["agent_version"] == 1
    for call in (after, also):
        assert found[call.call_sid]["agent_version"] == 2
        (turn,) = found[call.call_sid]["turns"]
        assert turn["heard_text"] == "Good evening."
