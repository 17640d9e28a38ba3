"""A process put together as it serves: what it keeps, and what of it changes while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.main import create_app, uvicorn_config
from app.rest.limiting import RateLimits
from app.services import Services, open_services
from config.settings import AdminSettings, HttpSettings, Settings, TwilioSettings
from telephony.simulator.signature import HEADER, sign

KEY = "tl_" + "k" * 43
ORIGIN = "https://voice.example.com"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        profile="bench",
        public_url=ORIGIN,
        data_dir=tmp_path,
        database_url=SecretStr(database_url),
        twilio=TwilioSettings(account_sid="AC1", auth_token=SecretStr("token")),
        admin=AdminSettings(api_key=SecretStr(KEY)),
    )


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield services


@pytest.fixture
async def client(services: Services) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(create_app(services))
    headers = {"Authorization": f"Bearer {KEY}", "If-Match": "*"}
    async with AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        yield client


async def turned_away(client: AsyncClient) -> str:
    """What the carrier is told to say to a caller."""
    form = {"AccountSid": "AC1", "CallSid": "CA1", "From": "+15551230001", "To": "+15551230002"}
    path = "/voice/twilio/incoming"
    signature = sign("token", ORIGIN + path, form)
    return (await client.post(path, data=form, headers={HEADER: signature})).text


async def test_a_changed_sentence_for_busy_lines_is_said_to_the_next_caller(
    services: Services, client: AsyncClient
) -> None:
    services.live.draining = True
    assert "All our lines are busy right now." in await turned_away(client)
    profile = (await client.get("/api/v1/agents/bench")).json()["profile"]
    profile["says"]["busy"] = "Come back tomorrow."
    changed = await client.put("/api/v1/agents/bench", json={"profile": profile})
    assert changed.status_code == 200, changed.text
    async with asyncio.timeout(3):
        while "Come back tomorrow." not in await turned_away(client):
            await asyncio.sleep(0.05)


async def test_the_first_key_is_in_the_audit_log(client: AsyncClient) -> None:
    entries = (await client.get("/api/v1/audit", params={"resource": "keys"})).json()["entries"]
    assert [(entry["actor"], entry["action"], entry["resource_id"]) for entry in entries] == [
        ("trunkline", "create", "1")
    ]
    assert entries[0]["after"]["label"] == "first admin key"
    assert KEY not in str(entries)


async def test_what_counts_requests_is_closed_also_when_serving_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[RateLimits] = []

    async def close(limits: RateLimits) -> None:
        closed.append(limits)

    monkeypatch.setattr(RateLimits, "close", close)
    with pytest.raises(ExceptionGroup):
        async with open_services(settings) as services:
            raise RuntimeError("serving failed")
    assert closed == [services.api.limits]


@pytest.mark.parametrize(
    ("proxies", "peer", "client"),
    [
        (("127.0.0.1", "::1"), "127.0.0.1", "203.0.113.7"),
        (("127.0.0.1", "::1"), "172.18.0.1", "172.18.0.1"),
        (("172.18.0.0/16",), "172.18.0.1", "203.0.113.7"),
        ((), "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_a_proxy_that_is_named_tells_who_the_client_is(
    proxies: tuple[str, ...], peer: str, client: str
) -> None:
    async def address(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.client.host if request.client else "")

    settings = Settings(profile="bench", http=HttpSettings(trusted_proxies=proxies))
    config = uvicorn_config(Starlette(routes=[Route("/", address)]), settings)
    config.load()
    transport = ASGITransport(config.loaded_app, client=(peer, 4000))
    async with AsyncClient(transport=transport, base_url=ORIGIN) as asking:
        answer = await asking.get("/", headers={"X-Forwarded-For": "203.0.113.7"})
    assert answer.text == client


def test_a_proxy_is_an_address_or_a_network() -> None:
    with pytest.raises(ValueError, match="'proxy' is no address or network"):
        HttpSettings(trusted_proxies=("proxy",))
