"""What operators do with a call that is running: hang up, say a sentence, tell the agent something.

A command is written into the call's record, and the processes are told its number; the one that answers the
call reads it there and obeys. So it does not matter which process was asked, and no message holds a text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.calls import repository
from app.calls.live import LiveCalls
from app.calls.models import CallEvent
from app.db.notify import Payload, notify
from app.db.session import Database
from app.errors import Conflict, NotFound
from app.metrics import LIVE_COMMANDS
from app.voice.session import CallSession
from telephony.errors import HangupCause

TOPIC = "live"
LONGEST_CALL = timedelta(days=1)

_log = structlog.get_logger(__name__)


class Command(StrEnum):
    """What is to be done; also the name of the event in the call's record."""

    HANG_UP = "operator_hang_up"
    SAY = "operator_say"
    ADVISE = "operator_advise"


async def command(session: AsyncSession, who: Actor, call_id: UUID, what: Command, text: str) -> None:
    """Have a running call's process do something. ``text``: the sentence, the advice, or the last words.

    Raises ``NotFound``, ``Conflict`` where the call is over.
    """
    call = await repository.call_by_id(session, call_id)
    if call is None:
        raise NotFound(f"there is no call {call_id}")
    if call.ended_at is not None:
        raise Conflict(f"the call {call_id} is over")
    number = time.time_ns() // 1000  # after all that its process numbers
    session.add(
        CallEvent(
            call_id=call_id, number=number, at=datetime.now(UTC), name=what.value, detail={"text": text}
        )
    )
    await write_audit(session, who, Action.COMMAND, "live", str(call_id), after={"command": what.value})
    await notify(session, TOPIC, {"call": str(call_id), "number": number})


class CallControl:
    """Obeys the commands for this process's calls, each once, in their order.

    Its ``obey`` and ``catch_up`` are to be subscribed to ``TOPIC``.
    """

    def __init__(self, database: Database, live: LiveCalls) -> None:
        self._database = database
        self._live = live
        self._obeyed: dict[UUID, set[int]] = {}  # numbers of the commands of each running call

    async def obey(self, message: Payload) -> None:
        """Do what a command says, if its call is ours. Raises what a message of another kind raises."""
        await self._obey_those_of([UUID(str(message["call"]))])

    async def catch_up(self) -> None:
        """Do what was asked while no message could be heard."""
        await self._obey_those_of(self._live.call_ids())

    async def _obey_those_of(self, calls: Sequence[UUID]) -> None:
        sessions = {call: session for call in calls if (session := self._live.session(call)) is not None}
        if not sessions:
            return
        running = set(self._live.call_ids())
        self._obeyed = {call: numbers for call, numbers in self._obeyed.items() if call in running}
        query = (
            select(CallEvent)
            .where(CallEvent.call_id.in_(sessions), CallEvent.name.in_([each.value for each in Command]))
            .where(CallEvent.at > datetime.now(UTC) - LONGEST_CALL)
            .order_by(CallEvent.number)
        )
        async with self._database.transaction() as transaction:
            events = (await transaction.scalars(query)).all()
        for event in events:
            obeyed = self._obeyed.setdefault(event.call_id, set())
            if event.number not in obeyed:
                obeyed.add(event.number)
                _obey(sessions[event.call_id], event)


def _obey(session: CallSession, event: CallEvent) -> None:
    text = str(event.detail.get("text", ""))
    match Command(event.name):
        case Command.HANG_UP:
            session.end(text, HangupCause.AGENT)
        case Command.SAY:
            session.announce(text)
        case Command.ADVISE:
            session.advise(text)
    LIVE_COMMANDS.labels(event.name).inc()
    _log.info("an operator's command was obeyed", call_id=str(event.call_id), command=event.name)
