"""Sending messages: signed, to an address that was checked, within a time, and again where it failed.

At least once: a worker that dies after its receiver took a message sends it again, with the same id.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx
import orjson
import structlog

from app.db.session import Database, describe, is_away
from app.metrics import WEBHOOKS_SENT
from app.webhooks import repository, signing
from app.webhooks.guard import Guard, Refused
from app.webhooks.repository import Claimed

LEASE_SECONDS = 30.0  # beyond the time for one try: until a worker that took a message is taken for dead
MOST_BYTES = 65_536  # of an answer; what follows is not read
JITTER = 0.2  # by how much a pause may be longer or shorter
LONGEST_PAUSE = 24 * 3600.0  # that a receiver may ask for with Retry-After
GONE = 410

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """How to send: seconds for one try, seconds before each further try, messages at once."""

    timeout_seconds: float
    retry_seconds: Sequence[float]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try. ``status`` is ``None`` where nobody answered, who may ask for a pause."""

    status: int | None
    error: str = ""
    pause_seconds: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends what is due: one a process, which knows what is under way. ``client``: see ``open_client``."""

    def __init__(self, database: Database, guard: Guard, client: httpx.AsyncClient, how: Sending) -> None:
        self._database = database
        self._guard = guard
        self._client = client
        self._how = how
        self._look = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], UUID] = {}

    def wake(self) -> None:
        """A message was committed: it is sent at once, also while others are. To be called on the loop."""
        self._look.set()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._look.wait()

    async def send_due(self) -> int:
        """Send until nothing is due; returns how many tries that were. One at a time may run.

        An endpoint that does not answer holds up half of what can be under way at most. Raises when the
        database is away, once what is under way is over.
        """
        tries = 0
        away: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._look.clear()
                try:
                    claimed = await self._claim()
                except Exception as error:
                    if not is_away(error):
                        raise
                    away = error  # not raised in the group, which would cut off what is under way
                    break
                tries += len(claimed)
                for message in claimed:
                    self._begin(tasks, message)
                if claimed:
                    continue  # there may be more, of other endpoints
                if not self._under_way and not self._look.is_set():
                    break
                await self._look.wait()
        if away is not None:
            raise away
        return tries

    async def _claim(self) -> list[Claimed]:
        free = self._how.concurrency - len(self._under_way)
        if free <= 0:
            return []
        share = max(1, self._how.concurrency // 2)
        counts = Counter(self._under_way.values())
        busy = [endpoint for endpoint, count in counts.items() if count >= share]
        async with self._database.transaction() as session:
            return await repository.claim(
                session,
                lease_seconds=self._how.timeout_seconds + LEASE_SECONDS,
                most=min(free, share),
                busy=busy,
            )

    def _begin(self, tasks: asyncio.TaskGroup, message: Claimed) -> None:
        task = tasks.create_task(self._send(message))
        self._under_way[task] = message.endpoint_id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._look.set()  # there is room for another

    async def _send(self, message: Claimed) -> None:
        answer = await self._post(message)
        try:
            async with self._database.transaction() as session:
                if answer.taken:
                    await repository.delivered(session, message, answer.status or 200)
                    WEBHOOKS_SENT.labels("delivered").inc()
                    return
                pause = self._pause(message.attempt, answer)
                await repository.failed(
                    session, message, status=answer.status, error=answer.error, retry_seconds=pause
                )
                if answer.status == GONE:
                    await repository.disable(session, message.endpoint_id)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("what became of a webhook's message is not known", **describe(error))
            return
        WEBHOOKS_SENT.labels("failed" if pause is not None else "dead").inc()
        if pause is None:
            _log.error(
                "a webhook's message is given up; `POST /webhooks/deliveries/{id}/send` sends it again",
                delivery=str(message.id),
                endpoint=str(message.endpoint_id),
                tries=message.attempt,
                reason=answer.error,
            )

    def _pause(self, attempt: int, answer: Answer) -> float | None:
        """Seconds until the next try; ``None``: there is none."""
        if attempt > len(self._how.retry_seconds) or answer.status == GONE:
            return None
        usual = self._how.retry_seconds[attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        return max(usual, answer.pause_seconds)

    async def _post(self, message: Claimed) -> Answer:
        body = orjson.dumps(message.body)
        try:
            async with asyncio.timeout(self._how.timeout_seconds):
                target = await self._guard.target(message.url)
                sent = signing.headers(message.secret, message.id, datetime.now(UTC), body)
                request = self._client.build_request(
                    "POST",
                    target.pinned_url,
                    content=body,
                    headers={"Host": target.host_header, "Content-Type": "application/json", **sent},
                    extensions={"sni_hostname": target.host},
                )
                response = await self._client.send(request, stream=True)
                try:
                    await _read(response)
                finally:
                    await response.aclose()
        except Refused as error:
            return Answer(None, str(error))
        except TimeoutError:
            return Answer(None, f"no answer within {self._how.timeout_seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Answer(None, f"it could not be reached ({type(error).__name__})")
        return _judged(response)


def open_client() -> httpx.AsyncClient:
    """For ``Sender``: no proxies, redirects or cookies, and no connection is used twice.

    A connection belongs to an address, and another host at the same address has another certificate.
    """
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - the whole try has one
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "Trunkline-Webhooks/1"},
    )


async def _read(response: httpx.Response) -> None:
    """Take so much of the answer that its sender is not cut off at once."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read >= MOST_BYTES:
            return


def _judged(response: httpx.Response) -> Answer:
    status = response.status_code
    if 300 <= status < 400:
        return Answer(status, f"HTTP {status}: redirects are not followed; change the endpoint's URL")
    asked = response.headers.get("retry-after", "")
    pause = min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else 0.0
    return Answer(status, "" if 200 <= status < 300 else f"HTTP {status}", pause)
