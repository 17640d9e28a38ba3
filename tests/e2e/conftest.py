"""The running product: a server process of its own, called over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from bench.server import PrivateServer
from telephony.simulator.carrier import Carrier


@pytest.fixture(scope="session")
def server() -> Iterator[PrivateServer]:
    """The ``bench`` profile: timed engines, the real voice activity detector, the real database."""
    with PrivateServer(max_calls=200) as running:
        yield running


@pytest.fixture
async def carrier(server: PrivateServer) -> AsyncIterator[Carrier]:
    async with Carrier(server.webhook, server.account_sid, server.auth_token) as dialling:
        yield dialling


@pytest.fixture
async def api(server: PrivateServer) -> AsyncIterator[httpx.AsyncClient]:
    """The admin API with the first key."""
    async with api_of(server) as client:
        yield client


def api_of(server: PrivateServer) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    return httpx.AsyncClient(base_url=f"{server.origin}/api/v1", headers=headers, trust_env=False)


async def stored_calls(api: httpx.AsyncClient, sids: set[str], seconds: float = 15.0) -> dict[str, Any]:
    """The stored calls with these CallSids, by CallSid, once all have ended."""
    async with asyncio.timeout(seconds):
        while True:
            found: dict[str, Any] = {}
            cursor = None
            while len(found) < len(sids):
                parameters = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
                page = (await api.get("/calls", params=parameters)).raise_for_status().json()
                found |= {
                    call["carrier_call_id"]: call
                    for call in page["calls"]
                    if call["carrier_call_id"] in sids and call["ended_at"]
                }
                cursor = page["next_cursor"]
                if not cursor:
                    break
            if len(found) == len(sids):
                break
            await asyncio.sleep(0.2)
    return {
        sid: (await api.get(f"/calls/{call['id']}")).raise_for_status().json() for sid, call in found.items()
    }
