"""Erasing a caller: every trace of the calls from and to a number, and what cannot go now as soon as it can.

A call that has not ended, or that a worker is busy with, is noted in the outbox and erased a moment after
that. The audit log keeps that it was done, by a keyed hash of the number.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.audit.service import Action, Actor, write_audit
from app.calls.erasing import tables
from app.calls.erasing.tables import Found
from app.db.session import Database
from app.outbox import repository as outbox
from app.recordings.ports import Store

RESOURCE = "erasures"

_OWN = text("SELECT 1 FROM numbers WHERE number = :number")
# What is kept of requests and their answers, for a day, may name the number.
_ANSWERS = text("DELETE FROM idempotent_requests WHERE position(:number IN body) > 0 RETURNING 1")
_ONE = text("SELECT id, started_at, ended_at IS NULL AS live FROM calls WHERE id = :call")


class OwnNumber(ValueError):
    """The number is one of ours, so that its calls are everybody's."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted: ``rows`` of each table, ``files`` of recordings. ``waiting``: calls that go later."""

    hash: str
    rows: dict[str, int]
    files: int
    waiting: int


def hashed(number: str, key: bytes) -> str:
    """The name of an erased number: HMAC-SHA256, in hexadecimal."""
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()


async def erase_caller(database: Database, store: Store, number: str, key: bytes, who: Actor) -> Erased:
    """Erase all calls from and to a number (E.164), and write down that it was done.

    May be done again, after whatever interrupted it. Raises ``OwnNumber``, ``StoreError``.
    """
    async with database.transaction() as session:
        if await session.scalar(_OWN, {"number": number}):
            raise OwnNumber("this is one of the numbers that callers dial; name the caller's number")
        found = await tables.calls_of(session, number)
    rows, files = [], 0
    left: list[UUID] = []
    for call in found:
        done = None if call.live else await _erase_one(database, store, call)
        if done is None:
            left.append(call.id)
        else:
            rows.append(done[0])
            files += done[1]
    async with database.transaction() as session:
        await outbox.owe(session, left, topic=outbox.ERASE)
        answers = (await session.execute(_ANSWERS, {"number": number.encode()})).all()
        erased = Erased(
            hash=hashed(number, key),
            rows=tables.summed([*rows, {"idempotent_requests": len(answers)}]),
            files=files,
            waiting=len(left),
        )
        shown = {"rows": erased.rows, "files": files, "waiting": erased.waiting}
        await write_audit(session, who, Action.ERASE, RESOURCE, erased.hash, after=shown)
    return erased


async def erase_waiting(database: Database, store: Store) -> int:
    """Erase calls that could not be erased when it was asked for; returns how many. Raises ``StoreError``."""
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
            erased += await _erase_one(database, store, Found(row.id, row.started_at)) is not None
    return erased


async def _erase_one(database: Database, store: Store, call: Found) -> tuple[dict[str, int], int] | None:
    """Erase a call that has ended: rows of each table, and files. ``None``: a worker is busy with it."""
    async with outbox.alone_with(database.engine, call.id) as alone:
        if not alone:
            return None
        async with database.transaction() as session:
            keys = await tables.recorded(session, [call])
        await tables.delete_files(store, keys)
        async with database.transaction() as session:
            return await tables.delete_calls(session, [call]), len(keys)
