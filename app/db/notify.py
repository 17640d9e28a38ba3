"""Messages between the processes of one database, through PostgreSQL's NOTIFY.

``notify`` sends within a transaction, so that a message arrives once its change can be read, or not at all.
A process ``listen``s on one connection of its own. What is sent while that connection is away is lost: each
subscription is told when the connection is there (again), and looks for itself what has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database, describe

MESSAGES_FAILED = Counter(
    "trunkline_messages_failed_total",
    "Messages of other processes that came to nothing: unreadable, overflow (too many waited), handler (it "
    "failed)",
    ["reason"],
)

MOST_BYTES = 7_999
"""PostgreSQL's limit of a message, in bytes of UTF-8."""

_PREFIX = "trunkline_"
_WAITING = 1000  # messages of one subscription; older ones are dropped
_RETRY_SECONDS = (0.2, 10.0)  # first and longest wait for a connection that was lost
_PROBE_SECONDS = 15.0  # a peer that vanished without a word is found so

_log = structlog.get_logger(__name__)

Payload: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[[Payload], Awaitable[None]]


async def notify(session: AsyncSession, topic: str, payload: Payload) -> None:
    """Send a message to all processes that listen to the topic, when the transaction is committed.

    ``payload``: small, without personal data. Raises ``ValueError`` for more than ``MOST_BYTES`` of JSON.
    """
    text = orjson.dumps(payload).decode()
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"a message of {topic} has more than {MOST_BYTES} bytes; send an id instead")
    await session.execute(select(func.pg_notify(_PREFIX + topic, text)))


@dataclass(slots=True)
class _Subscription:
    handle: Handler
    resumed: Callable[[], Awaitable[None]] | None
    waiting: asyncio.Queue[Payload | None] = field(default_factory=lambda: asyncio.Queue(_WAITING))

    def put(self, message: Payload | None) -> None:
        """``None``: the connection is there; everything may have changed."""
        if self.waiting.full():
            self.waiting.get_nowait()
            MESSAGES_FAILED.labels("overflow").inc()
        self.waiting.put_nowait(message)


class Listener:
    """One connection that hears the topics of a process. Subscribe, then ``run`` it in a task group."""

    def __init__(self, database: Database) -> None:
        self._arguments = database.connect_arguments()
        self._subscriptions: dict[str, _Subscription] = {}
        self.connected = asyncio.Event()

    def subscribe(
        self, topic: str, handle: Handler, resumed: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Give messages of a topic to ``handle``, one after another; other topics go on beside it.

        ``resumed``: called whenever the connection is there, before the messages that it brings.
        """
        self._subscriptions[topic] = _Subscription(handle, resumed)

    async def run(self) -> None:
        """Listen until cancelled; the connection is opened again whenever it is lost."""
        async with asyncio.TaskGroup() as tasks:
            for topic, subscription in self._subscriptions.items():
                tasks.create_task(_work(topic, subscription))
            tasks.create_task(self._stay_connected())

    async def _stay_connected(self) -> None:
        wait, longest = _RETRY_SECONDS
        while True:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    connection = await asyncpg.connect(**self._arguments)
                try:
                    await self._listen(connection)
                    wait = _RETRY_SECONDS[0]
                    await self._watch(connection)
                finally:
                    self.connected.clear()
                    with suppress(*_AWAY):
                        await connection.close(timeout=1.0)
            except _AWAY as error:
                _log.warning("no messages of other processes: the database is away", **describe(error))
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        for topic in self._subscriptions:
            await connection.add_listener(_PREFIX + topic, self._on_message)
        for subscription in self._subscriptions.values():
            subscription.put(None)
        self.connected.set()

    async def _watch(self, connection: asyncpg.Connection) -> None:
        """Return once the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        while not connection.is_closed():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_SECONDS):
                    await lost.wait()
                return
            await connection.execute("SELECT 1", timeout=_PROBE_SECONDS)

    def _on_message(self, _: object, __: int, channel: str, text: str) -> None:
        try:
            payload = orjson.loads(text)
        except orjson.JSONDecodeError:
            payload = None
        if not isinstance(payload, dict):
            MESSAGES_FAILED.labels("unreadable").inc()
            return
        self._subscriptions[channel.removeprefix(_PREFIX)].put(payload)


_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


async def _work(topic: str, subscription: _Subscription) -> None:
    while True:
        message = await subscription.waiting.get()
        try:
            if message is not None:
                await subscription.handle(message)
            elif subscription.resumed is not None:
                await subscription.resumed()
        except Exception:  # noqa: BLE001 - the edge of a message: the next one may be right
            MESSAGES_FAILED.labels("handler").inc()
            _log.exception("a message of another process was not handled", topic=topic)
