"""``/webhooks`` as an administrator uses it."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from app.auth.service import Role
from app.db.session import Database
from app.webhooks import repository
from tests.app.api_client import api_client

URL = "https://crm.example.com/hooks/calls"


async def test_a_webhook_is_made_changed_and_deleted(database: Database) -> None:
    async with api_client(database, Role.ADMIN) as api:
        made = await api.post("/webhooks", json={"url": URL, "title": "CRM"})
        assert made.status_code == 201
        body = made.json()
        assert body["secret"].startswith("whsec_")
        assert made.headers["location"].endswith(f"/webhooks/{body['id']}")
        shown = await api.get(f"/webhooks/{body['id']}")
        assert "secret" not in shown.json()
        assert "secret" not in (await api.get("/webhooks")).json()["webhooks"][0]
        path = f"/webhooks/{body['id']}"
        changed = await api.put(
            path, json={"url": URL, "enabled": False}, headers={"If-Match": shown.headers["etag"]}
        )
        assert changed.json()["enabled"] is False
        stale = await api.put(path, json={"url": URL}, headers={"If-Match": shown.headers["etag"]})
        assert stale.status_code == 412
        assert (await api.delete(path)).status_code == 428
        assert (await api.delete(path, headers={"If-Match": changed.headers["etag"]})).status_code == 204
        assert (await api.get(path)).status_code == 404
        audited = (await api.get("/audit", params={"resource": "webhooks"})).json()["entries"]
    assert [entry["action"] for entry in audited] == ["delete", "change", "create"]
    assert body["secret"] not in str(audited)


async def test_a_secret_is_rotated_and_the_old_one_goes_on(database: Database) -> None:
    async with api_client(database, Role.ADMIN) as api:
        made = (await api.post("/webhooks", json={"url": URL})).json()
        rotated = (await api.post(f"/webhooks/{made['id']}/rotate")).json()
        assert rotated["secret"] != made["secret"]
        async with database.transaction() as session:
            stored = await session.scalar(text("SELECT secret FROM webhook_endpoints"))
        assert stored == f"{rotated['secret']} {made['secret']}"
        alone = (await api.post(f"/webhooks/{made['id']}/rotate", params={"keep_old": False})).json()
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT secret FROM webhook_endpoints")) == alone["secret"]


async def test_a_private_address_is_refused_with_what_to_do(database: Database) -> None:
    async with api_client(database, Role.ADMIN) as api:
        for url in (
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
            "http://crm.example.com/",
        ):
            refused = await api.post("/webhooks", json={"url": url})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "body.url"
            assert "TRUNKLINE_WEBHOOKS__ALLOW" in refused.json()["detail"]


async def test_messages_that_were_given_up_are_listed_and_sent_again(database: Database) -> None:
    async with api_client(database, Role.ADMIN) as api:
        made = (await api.post("/webhooks", json={"url": URL})).json()
        async with database.transaction() as session:
            await repository.tell(session, [made["id"]], "call.ended", uuid4(), {"type": "call.ended"})
            await session.execute(text("UPDATE webhook_deliveries SET state = 'dead', attempts = 7"))
        (dead,) = (await api.get("/webhooks/deliveries", params={"state": "dead"})).json()["deliveries"]
        assert "body" not in dead
        one = await api.get(f"/webhooks/deliveries/{dead['id']}")
        assert one.json()["body"] == {"type": "call.ended"}
        again = await api.post(f"/webhooks/deliveries/{dead['id']}/send")
        assert again.status_code == 202
        assert (again.json()["state"], again.json()["attempts"]) == ("waiting", 0)
        assert (await api.get("/webhooks/deliveries", params={"state": "dead"})).json()["deliveries"] == []
        assert (await api.post(f"/webhooks/deliveries/{uuid4()}/send")).status_code == 404


async def test_only_administrators_see_them(database: Database) -> None:
    async with api_client(database, Role.OPERATOR) as api:
        assert (await api.get("/webhooks")).status_code == 403
        assert (await api.post("/webhooks", json={"url": URL})).status_code == 403
