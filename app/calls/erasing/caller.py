"""Erasing a caller: every trace of the calls from and to a number, and what cannot go now as soon as it can.

All of them are noted in the outbox first. A call that has not ended, that a worker is busy with, or whose
sound cannot be deleted is erased as soon as it can be. The audit log keeps that it was done, by a keyed hash
of the number.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import text

from app.audit.service import Action, Actor, write_audit
from app.calls.erasing import tables
from app.calls.erasing.forgotten import forgotten
from app.calls.erasing.tables import Found
from app.db.session import Database
from app.outbox import repository as outbox
from app.recordings.ports import Places

RESOURCE = "erasures"

_OWN = text("SELECT 1 FROM numbers WHERE number = :number")
# What is kept of requests and their answers, for a day, may name the number.
_ANSWERS = text("DELETE FROM idempotent_requests WHERE position(:number IN body) > 0 RETURNING 1")
_ONE = text("SELECT id, started_at, ended_at IS NULL AS live FROM calls WHERE id = :call")


class OwnNumber(ValueError):
    """The number is one of ours, so that its calls are everybody's."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted: ``rows`` of each table, ``files``: recordings. ``waiting``: calls that go later."""

    hash: str
    rows: dict[str, int]
    files: int
    waiting: int


def hashed(number: str, key: bytes) -> str:
    """The name of an erased number: HMAC-SHA256, in hexadecimal."""
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()


async def erase_caller(database: Database, places: Places, number: str, key: bytes, who: Actor) -> Erased:
    """Erase all calls from and to a number (E.164), and write down that it was done.

    What cannot be erased now is owed, and erased as soon as it can be, whatever interrupts this. Raises
    ``OwnNumber``.
    """
    async with database.transaction() as session:
        if await session.scalar(_OWN, {"number": number}):
            raise OwnNumber("this is one of the numbers that callers dial; name the caller's number")
        found = await tables.calls_of(session, number)
        await outbox.owe(session, [call.id for call in found], topic=outbox.ERASE)
    over = [call for call in found if not call.live]
    done = [rows for call in over if (rows := await _erase_one(database, places, call)) is not None]
    async with database.transaction() as session:
        answers = (await session.execute(_ANSWERS, {"number": number.encode()})).all()
        erased = Erased(
            hash=hashed(number, key),
            rows=tables.summed([*done, {"idempotent_requests": len(answers)}]),
            files=sum(rows["recordings"] for rows in done),
            waiting=len(found) - len(done),
        )
        shown = {"rows": erased.rows, "files": erased.files, "waiting": erased.waiting}
        await write_audit(session, who, Action.ERASE, RESOURCE, erased.hash, after=shown)
    return erased


async def erase_waiting(database: Database, places: Places) -> int:
    """Erase calls that could not be erased when it was asked for; returns how many."""
    async with database.transaction() as session:
        waiting = await outbox.later(session, topic=outbox.ERASE)
    erased = 0
    for call_id in waiting:
        async with database.transaction() as session:
            row = (await session.execute(_ONE, {"call": call_id})).one_or_none()
        if row is None:
            async with database.transaction() as session:
                await outbox.settle(session, call_id, topic=outbox.ERASE)
        elif not row.live:
            erased += await _erase_one(database, places, Found(row.id, row.started_at)) is not None
    return erased


async def _erase_one(database: Database, places: Places, call: Found) -> dict[str, int] | None:
    """Erase a call that has ended: rows of each table. ``None``: it is for later."""
    async with forgotten(database, places, [call]) as gone:
        if not gone:
            return None
        async with database.transaction() as session:
            return await tables.delete_calls(session, gone)
