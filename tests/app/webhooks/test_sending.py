"""Messages to a receiver over HTTP: signed, once, again where that failed, and given up in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from app.db.session import Database
from app.webhooks import repository
from app.webhooks.guard import Guard
from app.webhooks.sending import MOST_BYTES, Sender, Sending, open_client
from app.webhooks.signing import new_secret
from tests.app.webhooks.receiver import answer, receiving

SECRET = new_secret()
BODY = {"type": "call.ended", "data": {"call": {"id": "1", "from_number": "+15550001111"}, "ü": "ß"}}
RETRY_SECONDS = 0.1


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as client:
        yield client


def sender(database: Database, client: httpx.AsyncClient, *, retries: int = 2) -> Sender:
    how = Sending(timeout_seconds=0.5, retry_seconds=(RETRY_SECONDS,) * retries, concurrency=2)
    return Sender(database, Guard(("127.0.0.1",)), client, how)


async def endpoint(database: Database, url: str, secret: str = SECRET) -> UUID:
    identity = uuid4()
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled) "
                "VALUES (:id, :url, '', :secret, '{call.ended}', true)"
            ),
            {"id": identity, "url": url, "secret": secret},
        )
    return identity


async def tell(database: Database, to: UUID, call_id: UUID | None = None, body: Any = None) -> UUID:
    call_id = call_id or uuid4()
    async with database.transaction() as session:
        await repository.tell(session, [to], "call.ended", call_id, body or BODY)
    return call_id


async def kept(database: Database) -> Any:
    async with database.transaction() as session:
        return (await session.execute(text("SELECT * FROM webhook_deliveries"))).one()


async def until(there: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not there():
            await asyncio.sleep(0.01)


async def test_a_message_is_signed_and_delivered_once(database: Database, client: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        await tell(database, await endpoint(database, receiver.url))
        sending = sender(database, client)
        assert await sending.send_due() == 1
        assert await sending.send_due() == 0
        ((headers, body),) = receiver.requests
    row = await kept(database)
    assert (row.state, row.attempts, row.last_status) == ("delivered", 1, 204)
    assert headers["webhook-id"] == f"msg_{row.id.hex}"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(body, headers) == BODY
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"555", b"556"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


async def test_after_a_rotation_both_secrets_sign(database: Database, client: httpx.AsyncClient) -> None:
    newer = new_secret()
    async with receiving() as receiver:
        await tell(database, await endpoint(database, receiver.url, f"{newer} {SECRET}"))
        await sender(database, client).send_due()
        ((headers, body),) = receiver.requests
    for secret in (newer, SECRET):
        assert Webhook(secret).verify(body, headers) == BODY


@pytest.mark.parametrize(
    ("refusal", "status", "told"),
    [
        (answer("503 Busy"), 503, "HTTP 503"),
        (answer("302 Found", "Location: http://127.0.0.1:9/"), 302, "redirects are not followed"),
        (None, None, "no answer within 0.5 s"),
        (b"nonsense\r\n\r\n", None, "it could not be reached"),
        (b"", None, "it could not be reached"),
    ],
)
async def test_it_is_sent_again_with_the_same_id(
    database: Database, client: httpx.AsyncClient, refusal: bytes | None, status: int | None, told: str
) -> None:
    async with receiving(refusal) as receiver:
        await tell(database, await endpoint(database, receiver.url))
        sending = sender(database, client)
        await sending.send_due()
        row = await kept(database)
        assert (row.state, row.last_status) == ("waiting", status)
        assert told in row.last_error
        await asyncio.sleep(1.3 * RETRY_SECONDS)
        await sending.send_due()
        first, second = (headers["webhook-id"] for headers, _ in receiver.requests)
    assert first == second
    assert (await kept(database)).state == "delivered"


async def test_it_is_given_up_and_can_be_sent_again(database: Database, client: httpx.AsyncClient) -> None:
    async with receiving(*[answer("500 No")] * 3) as receiver:
        await tell(database, await endpoint(database, receiver.url))
        sending = sender(database, client)
        for _ in range(5):
            await sending.send_due()
            await asyncio.sleep(1.3 * RETRY_SECONDS)
        row = await kept(database)
        assert (row.state, row.attempts, len(receiver.requests)) == ("dead", 3, 3)
        async with database.transaction() as session:
            again = await repository.send_again(session, row.id)
        assert again is not None
        assert again.state == "waiting"
        await sending.send_due()
    assert (await kept(database)).state == "delivered"


async def test_a_receiver_that_is_gone_is_told_no_more(database: Database, client: httpx.AsyncClient) -> None:
    async with receiving(answer("410 Gone")) as receiver:
        to = await endpoint(database, receiver.url)
        await tell(database, to)
        await sender(database, client).send_due()
    assert (await kept(database)).state == "dead"
    async with database.transaction() as session:
        assert await repository.endpoints_for(session, "call.ended") == []


async def test_a_long_answer_is_not_read_to_its_end(database: Database, client: httpx.AsyncClient) -> None:
    endless = answer("200 OK", body=b"x" * (MOST_BYTES * 40))
    async with receiving(endless) as receiver:
        await tell(database, await endpoint(database, receiver.url))
        await sender(database, client).send_due()
    assert (await kept(database)).state == "delivered"


async def test_a_receiver_may_ask_for_a_pause(database: Database, client: httpx.AsyncClient) -> None:
    async with receiving(answer("429 Slow", "Retry-After: 600")) as receiver:
        await tell(database, await endpoint(database, receiver.url))
        await sender(database, client).send_due()
    async with database.transaction() as session:
        wait = await session.scalar(text("SELECT extract(epoch FROM due_at - now()) FROM webhook_deliveries"))
    assert 590 < float(wait) <= 600


async def test_a_private_address_is_told_nothing(database: Database, client: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        await tell(database, await endpoint(database, receiver.url.replace("127.0.0.1", "localhost")))
        how = Sending(timeout_seconds=0.5, retry_seconds=(), concurrency=2)
        await Sender(database, Guard(), client, how).send_due()
        assert receiver.requests == []
    row = await kept(database)
    assert row.state == "dead"
    assert "https" in row.last_error


async def test_one_that_was_taken_by_a_worker_that_died_is_sent_by_another(
    database: Database, client: httpx.AsyncClient
) -> None:
    async with receiving() as receiver:
        await tell(database, await endpoint(database, receiver.url))
        async with database.transaction() as session:
            assert len(await repository.claim(session, lease_seconds=0.05, most=5)) == 1
        sending = sender(database, client)
        assert await sending.send_due() == 0
        await asyncio.sleep(0.06)
        assert await sending.send_due() == 1
        assert len(receiver.requests) == 1


async def test_the_same_is_told_once_and_something_new_anew(
    database: Database, client: httpx.AsyncClient
) -> None:
    async with receiving() as receiver:
        to = await endpoint(database, receiver.url)
        call_id = await tell(database, to)
        sending = sender(database, client)
        await sending.send_due()
        await tell(database, to, call_id)
        assert await sending.send_due() == 0
        changed = {**BODY, "data": {"call": {"id": "1", "outcome": "success"}}}
        await tell(database, to, call_id, changed)
        assert await sending.send_due() == 1
        (first, _), (second, body) = receiver.requests
    assert first["webhook-id"] != second["webhook-id"]
    assert orjson.loads(body) == changed


async def test_a_receiver_that_hangs_holds_up_nobody_else(
    database: Database, client: httpx.AsyncClient
) -> None:
    how = Sending(timeout_seconds=1.0, retry_seconds=(60.0,), concurrency=4)
    async with receiving(*[None] * 20) as hanging, receiving() as healthy:
        stuck, well = await endpoint(database, hanging.url), await endpoint(database, healthy.url)
        for _ in range(6):
            await tell(database, stuck)
        for _ in range(6):
            await tell(database, well)
        sending = asyncio.create_task(Sender(database, Guard(("127.0.0.1",)), client, how).send_due())
        await asyncio.sleep(0.7)
        assert len(healthy.requests) == 6
        assert len(hanging.requests) == 2  # half of what may be under way
        assert await sending == 12


async def test_one_that_is_told_while_others_are_sent_goes_out_at_once(
    database: Database, client: httpx.AsyncClient
) -> None:
    how = Sending(timeout_seconds=5.0, retry_seconds=(60.0,), concurrency=4)
    async with receiving(None) as hanging, receiving() as healthy:
        await tell(database, await endpoint(database, hanging.url))
        well = await endpoint(database, healthy.url)
        sender = Sender(database, Guard(("127.0.0.1",)), client, how)
        sending = asyncio.create_task(sender.send_due())
        await until(lambda: hanging.requests)
        await tell(database, well)
        sender.wake()
        await until(lambda: healthy.requests)
        assert not sending.done()
        hanging.answer_all()
        assert await sending == 2


async def test_it_is_woken_before_its_time(database: Database, client: httpx.AsyncClient) -> None:
    sending = sender(database, client)
    pausing = asyncio.create_task(sending.pause(60.0))
    await asyncio.sleep(0)
    sending.wake()
    async with asyncio.timeout(1):
        await pausing
    await sending.send_due()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sending.pause(60.0)


async def test_what_is_under_way_is_not_cut_off_when_the_database_is_away(
    database: Database, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = Sending(timeout_seconds=5.0, retry_seconds=(60.0,), concurrency=4)
    away = False
    claim = repository.claim

    async def claim_or_fail(session: AsyncSession, **asked: Any) -> list[repository.Claimed]:
        if away:
            raise OperationalError("SELECT", {}, ConnectionRefusedError())
        return await claim(session, **asked)

    monkeypatch.setattr(repository, "claim", claim_or_fail)
    async with receiving(None) as receiver:
        to = await endpoint(database, receiver.url)
        await tell(database, to)
        sender = Sender(database, Guard(("127.0.0.1",)), client, how)
        sending = asyncio.create_task(sender.send_due())
        await until(lambda: receiver.requests)
        away = True
        sender.wake()
        await asyncio.sleep(0.05)
        assert not sending.done()
        receiver.answer_all()
        with pytest.raises(OperationalError):  # bare: who asked knows it for an outage
            await sending
    assert (await kept(database)).state == "delivered"
    assert len(receiver.requests) == 1
