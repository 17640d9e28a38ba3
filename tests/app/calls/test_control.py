"""Operators' commands: each obeyed once by the process of its call, also those that no message told of."""

from __future__ import annotations

from typing import cast
from uuid import UUID, uuid4

import pytest

from app.audit.service import OURSELVES
from app.calls.control import CallControl, Command, command
from app.calls.live import LiveCalls
from app.db.session import Database
from app.errors import Conflict, NotFound
from app.voice.session import CallSession
from telephony.errors import HangupCause
from tests.app.calls.conftest import Store
from tests.app.calls.events import ended, started


class Obeying:
    """In place of a conversation: what it was told to do."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def end(self, text: str, cause: HangupCause) -> None:
        self.told.append((f"end {cause}", text))

    def announce(self, text: str) -> None:
        self.told.append(("say", text))

    def advise(self, text: str) -> None:
        self.told.append(("advise", text))


class Operator:
    """Commands written for calls, and the control of the process that may answer them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._live = LiveCalls(10, lambda: 0.0)
        self.control = CallControl(database, self._live)

    async def asks(self, call_id: UUID, what: Command, text: str) -> None:
        async with self._database.transaction() as session:
            await command(session, OURSELVES, call_id, what, text)

    def answers(self, call_id: UUID) -> Obeying:
        session = Obeying()
        self._live.begin(f"CA{call_id}", call_id, cast(CallSession, session))
        return session


@pytest.fixture
def operator(database: Database) -> Operator:
    return Operator(database)


async def running_call(store: Store) -> UUID:
    call_id = uuid4()
    await store(started(call_id))
    return call_id


async def test_commands_are_obeyed_once_in_their_order(operator: Operator, store: Store) -> None:
    call_id = await running_call(store)
    session = operator.answers(call_id)
    await operator.asks(call_id, Command.ADVISE, "They are a regular customer.")
    await operator.control.obey({"call": str(call_id), "number": 1})
    await operator.asks(call_id, Command.SAY, "One moment.")
    await operator.asks(call_id, Command.HANG_UP, "Goodbye.")
    for _ in range(3):
        await operator.control.obey({"call": str(call_id), "number": 1})
    assert session.told == [
        ("advise", "They are a regular customer."),
        ("say", "One moment."),
        ("end agent", "Goodbye."),
    ]


async def test_what_no_message_told_of_is_obeyed_later(operator: Operator, store: Store) -> None:
    ours, silent, another = [await running_call(store) for _ in range(3)]
    session, quiet = operator.answers(ours), operator.answers(silent)
    await operator.asks(ours, Command.SAY, "One moment.")
    await operator.asks(another, Command.SAY, "Elsewhere.")
    await operator.control.catch_up()
    await operator.control.catch_up()
    assert session.told == [("say", "One moment.")]
    assert quiet.told == []


async def test_what_is_not_running_is_refused(operator: Operator, store: Store) -> None:
    with pytest.raises(NotFound):
        await operator.asks(uuid4(), Command.SAY, "Hello?")
    over = await running_call(store)
    await store(ended(over))
    with pytest.raises(Conflict):
        await operator.asks(over, Command.SAY, "Hello?")
