"""``/calls/{id}/steps``: what came of the work after a call, and doing it again."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from app.auth.service import Role
from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.postcall.plan import STEPS
from app.postcall.repository import began_at, plan_steps
from tests.app.api_client import api_client
from tests.app.calls.events import started, whole_call


async def test_steps_are_seen_and_started_again(database: Database) -> None:
    presence = Presence(database)
    await presence.start()
    events = whole_call()
    call_id = events[0].call_id
    async with database.transaction() as session:
        await write_entries(session, [Entry(n, event) for n, event in enumerate(events, 1)], presence.id)
        begun = await began_at(session, call_id)
        assert begun is not None
        await plan_steps(session, call_id, begun)
        await session.execute(text("UPDATE call_steps SET state = 'done'"))
        await session.execute(
            text(
                "UPDATE call_steps SET state = 'failed', attempts = 6, error = 'the model is away' "
                "WHERE step = 'summarise'"
            )
        )
        await session.execute(text("DELETE FROM outbox"))
    async with api_client(database, Role.VIEWER) as api:
        steps = (await api.get(f"/calls/{call_id}/steps")).json()["steps"]
        assert [step["step"] for step in steps] == list(STEPS)
        (failed,) = (await api.get("/steps")).json()["steps"]
        assert (failed["step"], failed["error"]) == ("summarise", "the model is away")
        assert (await api.post(f"/calls/{call_id}/steps/summarise/retry")).status_code == 403
    async with api_client(database, Role.OPERATOR) as api:
        again = await api.post(f"/calls/{call_id}/steps/summarise/retry")
        assert again.status_code == 202
        assert again.json()["steps"] == ["summarise", "notify"]
        waiting = (await api.get("/steps", params={"failed": False})).json()["steps"]
        assert {step["step"] for step in waiting} == {"summarise", "notify"}
        assert (await api.post(f"/calls/{call_id}/steps/nothing/retry")).status_code == 404
        assert (await api.post(f"/calls/{uuid4()}/steps/summarise/retry")).status_code == 404
        assert (await api.get(f"/calls/{uuid4()}/steps")).status_code == 404
    async with database.transaction() as session:
        assert list(await session.scalars(text("SELECT call_id FROM outbox"))) == [call_id]
        assert await session.scalar(text("SELECT action FROM audit_log")) == "retry"


async def test_a_call_that_runs_has_no_work_after_it(database: Database) -> None:
    presence = Presence(database)
    await presence.start()
    event = started()
    async with database.transaction() as session:
        await write_entries(session, [Entry(1, event)], presence.id)
    async with api_client(database, Role.OPERATOR) as api:
        assert (await api.get(f"/calls/{event.call_id}/steps")).json() == {"steps": []}
        assert (await api.post(f"/calls/{event.call_id}/steps/summarise/retry")).status_code == 409
